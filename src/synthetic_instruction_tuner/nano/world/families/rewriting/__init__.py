"""Families that rewrite: lists of words are sorted or reversed, sentences are edited.

Imports nano.world's family and vocabulary.
Start with `word_lists`, which is the simpler one; `sentences` has the sentence generator.
"""
