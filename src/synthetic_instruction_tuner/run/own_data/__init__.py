"""A run that starts from the user's own data: what it needs not do, what it reads instead, and what that rests on.

May import what `run` imports. Start reading in `needs`; the stages generate and prefer call `records` and `pairs`.
"""
