"""Measures variants of a student on benchmarks and compares them item by item.

May import config, models, chat, engines, data_files and nano.world. Start with `evaluator` (runs one benchmark), then
`benchmarks.base` (what a benchmark is), `results`, `statistics` and `comparison`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow, compare
    from synthetic_instruction_tuner.evaluation.evaluator import Evaluator
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult

__all__ = ["BenchmarkResult", "ComparisonRow", "Evaluator", "ItemResult", "compare"]


def __getattr__(name: str) -> Any:
    """Imports a name when it is asked for, because its module loads numpy."""
    places = {
        "BenchmarkResult": "results",
        "ComparisonRow": "comparison",
        "Evaluator": "evaluator",
        "ItemResult": "results",
        "compare": "comparison",
    }
    if name not in places:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{places[name]}"), name)
