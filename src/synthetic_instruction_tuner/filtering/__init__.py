"""Quality filtering: every record is judged by every rule, and every drop is explained."""

from .benchmark_items import BenchmarkItem, BenchmarkSet
from .benchmark_sources import load_benchmarks
from .quality_filter import QualityFilter, select
from .report import FilterReport
from .verdict import Judgement, Verdict

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
