"""Stage report."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from synthetic_instruction_tuner.config.sections.section import Section


class ReportConfig(Section):
    """The report."""

    title: str = Field("Synthetic instruction tuning", description="Title of the report.")
    samples: int = Field(3, ge=0, description="Number of sample records, dropped records and answers to show.")
    language: Literal["en", "ko"] = Field(
        "en", description="Language of report, figures, slides and data card: English or Korean."
    )
