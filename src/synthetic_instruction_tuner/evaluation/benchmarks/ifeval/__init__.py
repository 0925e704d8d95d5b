"""IFEval: 541 prompts with rules that a program checks (Zhou et al. 2023, arXiv:2311.07911).

May import evaluation's results, harness and its neighbors in benchmarks, config, data_files and errors. Start with
`items` (the prompts and their known faults), then `scoring` (answers without a model) and `benchmark` (a run).
"""

from synthetic_instruction_tuner.evaluation.benchmarks.ifeval.benchmark import BENCHMARK

__all__ = ["BENCHMARK"]
