"""Quality filtering: every record is judged by every rule, and every drop is explained."""

from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkItem, BenchmarkSet
from synthetic_instruction_tuner.evaluation.benchmarks.sources import load_benchmarks
from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter, select
from synthetic_instruction_tuner.filtering.report import FilterReport
from synthetic_instruction_tuner.filtering.rule import Judgement, Verdict

__all__ = [
    "BenchmarkItem",
    "BenchmarkSet",
    "FilterReport",
    "Judgement",
    "QualityFilter",
    "Verdict",
    "load_benchmarks",
    "select",
]
