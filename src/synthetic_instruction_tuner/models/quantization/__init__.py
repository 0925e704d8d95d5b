"""Models whose linear layers are held in fewer bits than they compute in.

It imports what `models` may. Start with `held` (which models are, and what they need), then
`layers` (what is done to the layers).
"""
