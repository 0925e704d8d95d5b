"""Families with one right choice: multiple choice, opposites, the odd word out, yes or no with a reason.

Imports nano.world's family and vocabulary, and families.facts and families.prose.
Start with `word_meanings`, on which `multiple_choice` and `claims` are built.
"""
