"""Checks before any long work: what is missing or cannot work is found at once, and all of it is said together.

Imports config, models, engines, evaluation's item sources, and of run stages, roles and own data.
Start reading in `before_start`; a `finding` is what each check returns.
"""
