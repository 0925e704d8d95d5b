"""The comparison of all variants: every score with its error, and paired tests against base and SFT.

Rows are made here once, stored as they are (`ComparisonRow.to_json`), and read by everything that shows them. The CSV
is an export of them.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.escaping import csv_cell
from synthetic_instruction_tuner.evaluation import statistics
from synthetic_instruction_tuner.evaluation.benchmarks.base import described_metric, kind_of, plain_name
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult
from synthetic_instruction_tuner.evaluation.statistics import Difference, Estimate
from synthetic_instruction_tuner.methods import BASE, METHODS

Results = Mapping[tuple[str, str], Iterable[BenchmarkResult]]
"""The benchmarks' results by student and variant (base, sft, prompt_tuning, dpo)."""

REFERENCES: tuple[str, ...] = tuple(dict.fromkeys([BASE, *(m.starts_from for m in METHODS if m.starts_from)]))
"""The variants that others are compared with: the untuned student, and whatever another method starts from."""

SCORE_COLUMNS = ("value", "standard_error", "ci_low", "ci_high")
COUNT_COLUMNS = ("n", "clusters", "n_truncated", "n_empty", "n_unparsed")
CLEAN_COLUMNS = ("clean_value", "clean_standard_error", "clean_ci_low", "clean_ci_high", "clean_n", "clean_clusters")


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One metric of one variant, with paired differences to the same student's references on the same items.

    Attributes:
        model: the student.
        variant: one of `methods.VARIANTS`.
        headline: whether this is the benchmark's headline metric.
        value: mean over `n` observations; `standard_error` is nan where it is unknown.
        ci_low, ci_high: the score's 95 % interval.
        n: observations, in `clusters` items.
        n_truncated, n_empty, n_unparsed: answers that hit the token limit, answers without any text, and answers
            from which no choice, or no rating, can be read; see `BenchmarkResult`.
        n_seen: items that occur in the training data.
        clean: the score on all other items; None where there are none, or in rows of earlier versions.
        differences: value minus the reference's value, by reference; none where there is nothing to compare with. The
            Holm correction is over all tests of the table of the same kind: headline metrics are one kind, the rest,
            which are exploratory, the other.
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
    n_truncated: int = 0
    n_empty: int = 0
    n_unparsed: int = 0
    n_seen: int = 0
    clean: Estimate | None = None
    differences: Mapping[str, Difference] = field(default_factory=dict)

    def equivalence(self, reference: str, margin: float) -> float:
        """Returns the p-value that the variant and a reference differ by the margin or more (`statistics.equivalence`).

        Args:
            reference: one of `differences`.
            margin: as a share of the metric's span, from its worst to its best score.

        Returns:
            Below 0.05 where the two are equivalent; nan where the metric has no span, or its error is unknown.
        """
        known = described_metric(self.benchmark, self.metric)
        if known is None or known.span is None:
            return math.nan
        own = margin * known.span
        return statistics.equivalence(self.differences[reference], self.clusters, own, known.span == 1)

    @property
    def better(self) -> str:
        """Whether ``higher`` or ``lower`` values are better; empty where the benchmark does not say."""
        known = described_metric(self.benchmark, self.metric)
        return known.better if known else ""

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval; of no width where the error is unknown."""
        low, high = (end if math.isfinite(end) else self.value for end in (self.ci_low, self.ci_high))
        return min(low, self.value), max(high, self.value)

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values under the names of the CSV's columns; None where a number is unknown."""
        data: dict[str, Any] = {"model": self.model, "variant": self.variant, "benchmark": self.benchmark}
        data |= {"metric": self.metric, "headline": self.headline, "kind": kind_of(self.benchmark)}
        data |= {"better": self.better}
        data |= {name: getattr(self, name) for name in (*SCORE_COLUMNS, *COUNT_COLUMNS, "n_seen")}
        data |= dict(zip(CLEAN_COLUMNS, astuple(self.clean) if self.clean else [None] * 6, strict=True))
        for reference in REFERENCES:
            data |= _difference_columns(reference, self.differences.get(reference))
        return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in data.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ComparisonRow:
        """Returns the row that `to_json` wrote."""
        names = ("model", "variant", "benchmark", "metric", "headline")
        own: dict[str, Any] = {name: data[name] for name in names}
        own |= {name: data.get(name, 0) for name in (*COUNT_COLUMNS, "n_seen")}  # earlier versions lack some of them
        own |= {name: _number(data[name]) for name in SCORE_COLUMNS}
        if data.get("clean_n"):
            value, error, low, high, n, clusters = (data[name] for name in CLEAN_COLUMNS)
            own["clean"] = Estimate(value, _number(error), _number(low), _number(high), n, clusters)
        differences = {
            reference: Difference(
                data[f"delta_to_{reference}"],
                _number(data[f"se_to_{reference}"]),
                data[f"p_to_{reference}"],
                data[f"p_to_{reference}_holm"],
                _number(data[f"detectable_to_{reference}"]),
            )
            for reference in REFERENCES
            if data[f"p_to_{reference}"] is not None
        }
        return cls(**own, differences=differences)


def compare(results: Results, seen: Mapping[str, Collection[str]] = {}) -> list[ComparisonRow]:
    """Returns the long table: a row per student, variant, benchmark and metric, in the order of the results.

    Args:
        results: of all variants.
        seen: by benchmark, without a judge's name, the ids of items that the training data contain.

    Raises:
        ValueError: two variants of a student were evaluated on different items.
    """
    by_key = {(*key, r.benchmark): r for key, benchmarks in results.items() for r in benchmarks}
    rows = []
    for (model, variant, benchmark), result in by_key.items():
        others = {reference: by_key.get((model, reference, benchmark)) for reference in REFERENCES}
        for metric in result.metrics:
            row = _row(model, variant, result, metric, seen.get(plain_name(benchmark), ()))
            differences = {
                reference: _difference(row, result, other, reference)
                for reference, other in others.items()
                if other and metric in other.metrics and variant not in (BASE, reference)
            }
            rows.append(replace(row, differences=differences))
    return corrected(rows)


def corrected(rows: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    """Returns the rows with Holm's correction: over all tests of headline metrics, and apart over all the others."""
    found = list(rows)
    for headline in (True, False):
        places = [(i, ref) for i, row in enumerate(found) if row.headline == headline for ref in row.differences]
        for (i, ref), p in zip(places, statistics.holm([found[i].differences[r].p for i, r in places]), strict=True):
            differences = found[i].differences
            found[i] = replace(found[i], differences={**differences, ref: replace(differences[ref], p_holm=p)})
    return found


def write_csv(rows: Iterable[ComparisonRow], path: Path) -> None:
    """Writes the table as `csv_text` has it."""
    write_text(path, csv_text(rows))


def csv_text(rows: Iterable[ComparisonRow]) -> str:
    """Returns the table as CSV; numbers have six significant digits, unknown ones are empty. No text is a formula."""
    table = [row.to_json() for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]) if table else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in table)
    return text.getvalue()


def _row(model: str, variant: str, result: BenchmarkResult, metric: str, seen: Collection[str]) -> ComparisonRow:
    found = result.estimate(metric)
    others = tuple(item for item in result.items if item.id not in seen)
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
        n_unparsed=result.n_unparsed,
        n_seen=len(result.items) - len(others),
        clean=replace(result, items=others).estimate(metric) if others else None,
    )


def _difference(row: ComparisonRow, ours: BenchmarkResult, theirs: BenchmarkResult, reference: str) -> Difference:
    if [item.id for item in ours.items] != [item.id for item in theirs.items]:
        raise ValueError(f"{row.model}: {row.variant} and {reference} have different items of {row.benchmark}")
    return statistics.compare(ours.clusters(row.metric), theirs.clusters(row.metric), ours.is_share(row.metric))


def _difference_columns(reference: str, found: Difference | None) -> dict[str, float | None]:
    return {
        f"delta_to_{reference}": found.value if found else None,
        f"se_to_{reference}": found.standard_error if found else None,
        f"p_to_{reference}": found.p if found else None,
        f"p_to_{reference}_holm": found.p_holm if found else None,
        f"detectable_to_{reference}": found.detectable if found else None,
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return csv_cell(value)
    return "" if value is None else value
