"""``sit judge-check``: whether a judge can be believed.

May import what the other verbs may import. Start with `command`; what the check is, is in evaluation.
"""
