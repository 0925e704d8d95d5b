"""What public data sets do in their own way, and what texts hold besides an answer, brought into the usual shapes.

It may import `conversations`, and nothing else of this package. Start with `public_sets.py`.
"""
