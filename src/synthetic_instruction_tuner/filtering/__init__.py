"""Quality filtering: every record is judged by every rule, and every drop is explained."""

from .quality_filter import QualityFilter, select
from .report import FilterReport
from .verdict import Judgement, Verdict

__all__ = ["FilterReport", "Judgement", "QualityFilter", "Verdict", "select"]
