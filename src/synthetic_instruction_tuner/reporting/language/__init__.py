"""The language of the documents: English sentences stand in the code and the templates, other languages in tables.

Imports nothing of the package. Start with `translation`; `particles` chooses Korean particles by the sound before them,
and ``ko.yaml`` has every sentence in Korean.
"""
