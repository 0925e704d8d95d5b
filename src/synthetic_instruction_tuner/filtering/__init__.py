"""Quality filtering: every rule checks every record, and every drop is explained.

Imports config, records, data_files, models, engines, chat and `evaluation.benchmarks` (items that no record may
contain), not the other libraries.
Start with `rule`, then `quality_filter`, which lists all rules in order; `files` filters files without a run.
"""

from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkItem, BenchmarkSet
from synthetic_instruction_tuner.evaluation.benchmarks.sources import load_benchmarks
from synthetic_instruction_tuner.filtering.files import filter_files
from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter, select
from synthetic_instruction_tuner.filtering.report import FilterReport
from synthetic_instruction_tuner.filtering.rule import FilterResult, Verdict
from synthetic_instruction_tuner.filtering.signals import compute_signals

__all__ = [
    "BenchmarkItem",
    "BenchmarkSet",
    "FilterReport",
    "FilterResult",
    "QualityFilter",
    "Verdict",
    "compute_signals",
    "filter_files",
    "load_benchmarks",
    "select",
]
