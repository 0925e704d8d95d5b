"""Checks before any long work: what is missing or cannot work is found at once, and all of it is said together.

Imports config, chat, models, engines, `training.lora_targets`, benchmarks' sources, and of run the pipeline's list,
folder, roles and own data.
Start reading in `before_start`; a `finding` is what each check returns.
"""
