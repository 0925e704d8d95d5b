"""The comparison of all variants: every score with its error, and paired tests against base and SFT."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.evaluation import statistics
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

Results = Mapping[tuple[str, str], Iterable[BenchmarkResult]]
"""The benchmarks' results by student and variant (base, sft, prompt_tuning, dpo)."""


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One metric of one variant, with paired differences to the same student's base and SFT on the same items.

    Differences, their standard errors (``se``) and p-values are None where there is nothing to compare with. The Holm
    correction of a p-value is over all tests of the table of its kind: headline metrics are one kind, the rest, which
    are exploratory, the other. `detectable_to_base` is the true difference that would be found in 80 % of repetitions.
    """

    model: str
    variant: str
    benchmark: str
    metric: str
    headline: bool
    value: float
    standard_error: float
    ci_low: float
    ci_high: float
    n: int
    clusters: int
    n_truncated: int
    n_empty: int
    delta_to_base: float | None = None
    se_to_base: float | None = None
    p_to_base: float | None = None
    p_to_base_holm: float | None = None
    detectable_to_base: float | None = None
    delta_to_sft: float | None = None
    se_to_sft: float | None = None
    p_to_sft: float | None = None
    p_to_sft_holm: float | None = None
    detectable_to_sft: float | None = None


def compare(results: Results) -> list[ComparisonRow]:
    """Returns the long table: a row per student, variant, benchmark and metric, in the order of the results."""
    by_key = {(*key, r.benchmark): r for key, benchmarks in results.items() for r in benchmarks}
    rows = []
    for (model, variant, benchmark), result in by_key.items():
        for metric in result.metrics:
            row = _row(model, variant, result, metric)
            for against in ("base", "sft"):
                other = by_key.get((model, against, benchmark))
                if other and metric in other.metrics and variant not in ("base", against):
                    row = _against(row, result, other, against)
            rows.append(row)
    rows = _corrected(rows, lambda row: row.headline)
    return _corrected(rows, lambda row: not row.headline)


def write_csv(rows: Iterable[ComparisonRow], path: Path) -> None:
    """Writes the table as `csv_text` has it."""
    path.write_text(csv_text(rows), encoding="utf-8")


def csv_text(rows: Iterable[ComparisonRow]) -> str:
    """Returns the table as CSV; numbers have six significant digits, None and nan are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(ComparisonRow)])
    for row in rows:
        writer.writerow([_cell(value) for value in asdict(row).values()])
    return text.getvalue()


def _row(model: str, variant: str, result: BenchmarkResult, metric: str) -> ComparisonRow:
    found = result.estimate(metric)
    return ComparisonRow(
        model=model,
        variant=variant,
        benchmark=result.benchmark,
        metric=metric,
        headline=metric == result.headline,
        value=found.value,
        standard_error=found.standard_error,
        ci_low=found.low,
        ci_high=found.high,
        n=found.n,
        clusters=found.clusters,
        n_truncated=result.n_truncated,
        n_empty=result.n_empty,
    )


def _against(row: ComparisonRow, ours: BenchmarkResult, theirs: BenchmarkResult, against: str) -> ComparisonRow:
    if [item.id for item in ours.items] != [item.id for item in theirs.items]:
        raise ValueError(f"{row.model}: {row.variant} and {against} have different items of {row.benchmark}")
    found = statistics.compare(ours.clusters(row.metric), theirs.clusters(row.metric))
    change: dict[str, Any] = {
        f"delta_to_{against}": found.value,
        f"se_to_{against}": found.standard_error,
        f"p_to_{against}": found.p,
        f"detectable_to_{against}": found.detectable,
    }
    return replace(row, **change)


def _corrected(rows: list[ComparisonRow], of_kind: Callable[[ComparisonRow], bool]) -> list[ComparisonRow]:
    """Returns the rows with Holm's correction over both columns of the rows of one kind."""
    columns = ("p_to_base", "p_to_sft")
    places = [(i, c) for i, row in enumerate(rows) if of_kind(row) for c in columns if getattr(row, c) is not None]
    corrected = statistics.holm([getattr(rows[i], column) for i, column in places])
    rows = list(rows)
    for (i, column), p in zip(places, corrected, strict=True):
        change: dict[str, Any] = {f"{column}_holm": p}
        rows[i] = replace(rows[i], **change)
    return rows


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return "" if value is None else value
