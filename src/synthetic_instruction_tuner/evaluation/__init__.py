"""Measures variants of a student on benchmarks and compares them item by item.

May import config, models, chat, engines, data_files and nano.world. Start with `evaluator` (runs one benchmark), then
`benchmarks.base` (what a benchmark is), `results`, `statistics` and `comparison`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.evaluator import Evaluator

__all__ = ["Evaluator"]


def __getattr__(name: str) -> Any:
    """Imports the class when it is asked for, because its module loads numpy."""
    if name != "Evaluator":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from synthetic_instruction_tuner.evaluation.evaluator import Evaluator

    return Evaluator
