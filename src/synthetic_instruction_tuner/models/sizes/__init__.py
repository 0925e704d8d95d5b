"""The sizes of models whose files are not here: a table of those that the profiles name.

Imports nothing. Start with ``known_shapes.py``.
"""
