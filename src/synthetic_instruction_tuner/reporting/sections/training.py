"""Sentences on what happened in a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthetic_instruction_tuner.reporting.language.translation import retold, say, term
from synthetic_instruction_tuner.reporting.report_data import ReportData


def recovery(data: ReportData, training: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """Returns a sentence on a step that failed, and how the training went on."""
    rate, skipped = event["learning_rate"], event["skipped"]
    return say(
        "{method} of {student}, step {step}: {reason} ({detail}). It went on from step {back_to} with {rows} rows at "
        "once{rate}{skipped}.",
        method=data.labels.get(training["method"], training["method"]),
        student=training["student"],
        step=event["step"],
        reason=term(event["reason"]),
        detail=retold(event["detail"]),
        back_to=event["back_to"],
        rows=event["micro_batch"],
        rate=say(" and {rate:g} of the learning rate", rate=rate) if rate != 1 else "",
        skipped=say(", without batch {n}", n=skipped + 1) if skipped is not None else "",
    )
