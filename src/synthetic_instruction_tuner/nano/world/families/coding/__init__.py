"""Families about Python: writing a tiny function, and saying what a few lines print.

Imports nano.world's family, goals, tiny_python and vocabulary, and families.arithmetic.
Start with `write_function`; `function_goals` lists what its functions do.
"""
