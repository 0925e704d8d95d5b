"""Training of the embedded models; runs never import it.

Imports nano.world, data_files, records, torch and transformers.
Start with `train` (the command) and `recipes`; `language` trains the language models, `reward` the reward model.
"""
