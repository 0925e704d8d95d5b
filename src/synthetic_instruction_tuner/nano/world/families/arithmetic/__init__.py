"""Families with numbers: calculating in small steps, word problems, ordering, comparing and sequences.

Imports nano.world's family and vocabulary.
Start with `calculation`; `working` splits calculations into steps and checks the numbers of a response.
"""
