"""The sizes of models whose weights are not here: a table of those that the profiles name, and what a config makes.

Imports `models`. Start with ``known_shapes.py``; ``counted.py`` builds what a configuration states.
"""
