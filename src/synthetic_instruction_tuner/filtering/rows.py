"""Filtered records as rows of data files: what is kept, and what is dropped and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from synthetic_instruction_tuner.filtering.near_duplicates.nearest_neighbors import neighbor_columns
from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter, select
from synthetic_instruction_tuner.filtering.rule import FilterResult, Verdict
from synthetic_instruction_tuner.records import Record


def kept_rows(
    records: Sequence[Record], results: Sequence[FilterResult], quality: QualityFilter
) -> Iterator[dict[str, Any]]:
    """Yields the kept records, with the hash of the rules and the columns that the rules add.

    Args:
        records: all records.
        results: the filter's result on each.
        quality: the filter; its settings say how many are kept, and whether nearest neighbors are a column.
    """
    kept = set(select(results, quality.config.keep))
    stay = [(record, result) for record, result in zip(records, results, strict=True) if record.id in kept]
    neighbors = neighbor_columns([record for record, _ in stay]) if quality.config.neighbors else [{}] * len(stay)
    rules = quality.rule_set_hash
    for (record, result), columns in zip(stay, neighbors, strict=True):
        row = record.to_json()
        yield row | {"provenance": row["provenance"] | {"filter_rules": rules}} | result.columns | columns


def dropped_rows(
    records: Sequence[Record], results: Sequence[FilterResult], keep: int | None
) -> Iterator[dict[str, Any]]:
    """Yields each dropped record with the first verdict against it, and the other rules that it failed.

    Args:
        records: all records.
        results: the filter's result on each.
        keep: how many are kept; all when None.
    """
    kept = set(select(results, keep))
    over = Verdict("keep", False, None, keep, f"it passed every rule, but {keep} records were already kept")
    for record, result in zip(records, results, strict=True):
        if record.id in kept:
            continue
        failure = result.first_failure or over
        others = [v.rule for v in result.verdicts if not v.passed and v is not failure]
        items = [hit[0] for verdict in result.verdicts for hit in verdict.details or ()]
        found = {"benchmark_items": items} if items else {}
        yield failure.to_json() | {"also_failed": others} | found | result.columns | {"record": record.to_json()}
