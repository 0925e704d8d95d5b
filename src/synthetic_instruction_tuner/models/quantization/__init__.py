"""Models whose linear layers are held in fewer bits than they compute in.

Imports the rest of models, config and errors; transformers only inside functions.
Start with `held` (which models are, and what they need), then `layers` (what is done to the layers).
"""
