"""Rules that look at one record at a time: length, truncation, repetition, language, a model's tags and reward.

Each module is one rule or a few of a kind, imports `filtering.rule` and is listed in `filtering.quality_filter`.
Start with `length`, the simplest.
"""
