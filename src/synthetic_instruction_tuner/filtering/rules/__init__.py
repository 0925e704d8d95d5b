"""Rules that look at one record at a time: length, truncation, repetition, language, a model's tags and reward.

Each module is one rule or a few of a kind and is listed in `filtering.quality_filter`. Imports `filtering.rule`;
rules that ask a model also import engines, chat and models.
Start with `length`, the simplest.
"""
