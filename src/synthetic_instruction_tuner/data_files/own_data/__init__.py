"""The user's own data as a run and the verbs on files need them: their sources, pairs, scored answers, output folders.

Imports records, errors and its neighbours in `data_files`. Start reading in `sources`, which reads records and
instructions, then `preference_rows` and `scored_answers`.
"""
