"""Measures variants of a student on benchmarks and compares them item by item.

May import config, models, chat, engines, data_files and nano.world. Start with `evaluator` (runs one benchmark), then
`benchmarks.base` (what a benchmark is), `results`, `statistics` and `comparison`.
"""
