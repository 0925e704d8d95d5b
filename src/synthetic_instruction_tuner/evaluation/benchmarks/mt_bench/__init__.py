"""MT-Bench: two-turn questions, answered by a student and rated by a judge, a chat model.

May import evaluation.results, evaluation.statistics, evaluation.harness, engines, chat, config, records, data_files and
errors. Start with `benchmark` (what a run does), then `files` (questions, prompts, references), `prompts`, `judge`
(asks, and asks again), `grading` (single answers) and `pairwise`; `judge_check` measures the judge itself.
"""

from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.benchmark import BENCHMARK

__all__ = ["BENCHMARK"]
