"""What a run knows of a trained student, for the card of its export.

Imports exporting, evaluation, reporting and the rest of run. Start reading in `facts`.
"""
