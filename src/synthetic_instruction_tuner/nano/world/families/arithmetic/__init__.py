"""Families with numbers: calculating in small steps, word problems, ordering, comparing and sequences.

Imports nano.world's family and vocabulary.
Start with `calculation`; `number_checks` says when the numbers of a response are right.
"""
