"""MMLU: four-choice questions of 57 subjects (Hendrycks et al. 2021, arXiv:2009.03300).

May import evaluation's results, harness and its neighbors in benchmarks, config, data_files and errors. Start with
`items` (reads the files), then `prompts` (as in lm-evaluation-harness), `scoring` and `benchmark` (a run).
"""

from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.benchmark import BENCHMARK

__all__ = ["BENCHMARK"]
