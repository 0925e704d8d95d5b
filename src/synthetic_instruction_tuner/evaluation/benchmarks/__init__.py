"""The benchmarks, one module each, and the items of published benchmarks for the contamination rule.

May import evaluation.results and evaluation.harness, config, records, data_files, errors and nano.world. Start with
`base`, which says what a benchmark is and how to add one. `nano_mmlu` chooses among options, `nano_ifeval` scores one
answer, `nano_mt` holds a conversation. `items` and `sources` read published benchmarks and score nothing.
"""
