"""Measures variants of a student on benchmarks and compares them item by item.

May import config, models, chat, engines, data_files and nano.world. Start with `evaluator` (runs one benchmark), then
`benchmarks.base` (what a benchmark is), `benchmark_lm` (a model as public benchmarks ask it), `results`, `statistics`,
`power`, `breakdowns` and `comparison`. `answers` scores saved answers; `pairs` and `seeds` compare several runs.
"""

from typing import TYPE_CHECKING

from synthetic_instruction_tuner.lazy_names import lazy_names

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow, compare
    from synthetic_instruction_tuner.evaluation.evaluator import Evaluator
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult

__all__ = ["BenchmarkResult", "ComparisonRow", "Evaluator", "ItemResult", "compare"]

__getattr__ = lazy_names(
    __name__,
    {
        "BenchmarkResult": "results",
        "ComparisonRow": "comparison",
        "Evaluator": "evaluator",
        "ItemResult": "results",
        "compare": "comparison",
    },
)
