"""Quality filtering: every rule checks every record, and every drop is explained.

Imports config, records, data_files, models, engines, chat and `evaluation.benchmarks` (items that no record may
contain), not the other libraries.
Start with `rule`, then `quality_filter`, which lists all rules in order; `files` filters files without a run.
"""

from typing import TYPE_CHECKING

from synthetic_instruction_tuner.lazy_names import lazy_names

if TYPE_CHECKING:
    from synthetic_instruction_tuner.filtering.files import filter_files
    from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter, select
    from synthetic_instruction_tuner.filtering.report import FilterReport
    from synthetic_instruction_tuner.filtering.rule import FilterResult, Verdict
    from synthetic_instruction_tuner.filtering.signals import compute_signals

__all__ = ["FilterReport", "FilterResult", "QualityFilter", "Verdict", "compute_signals", "filter_files", "select"]

__getattr__ = lazy_names(
    __name__,
    {
        "FilterReport": "report",
        "FilterResult": "rule",
        "QualityFilter": "quality_filter",
        "Verdict": "rule",
        "compute_signals": "signals",
        "filter_files": "files",
        "select": "quality_filter",
    },
)
