"""What ``sit compare`` says below the tables of several runs or files of answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synthetic_instruction_tuner.cli.scores.several import Source
    from synthetic_instruction_tuner.evaluation.pairs import PairedRow
    from synthetic_instruction_tuner.evaluation.seeds import SeedRow

LEVEL = 0.05  # of the two one-sided tests
SEEDS_LEGEND = (
    "SE: of the mean, from items and seeds together. SE items: what other items of the kind would change. "
    "SD seeds: between seeds, beyond what the items' noise explains."
)


def _falls(row: SeedRow | PairedRow) -> bool:
    """Whether lower values of the row's metric are better."""
    from synthetic_instruction_tuner.evaluation.benchmarks.base import described_metric

    known = described_metric(row.benchmark, row.metric)
    return known is not None and known.better == "lower"


def _failures(sources: Sequence[Source]) -> list[str]:
    """Says how many answers of a file are empty or name no choice; runs have that in their reports."""
    lines = []
    for source in sources:
        own = [] if source.config else [result for found in source.results.values() for result in found]
        empty, unparsed = sum(r.n_empty for r in own), sum(r.n_unparsed for r in own)
        counts = [f"{count:,} {what}" for count, what in ((empty, "empty"), (unparsed, "without a choice")) if count]
        if counts:
            lines.append(f"Answers of {source.path} that count as wrong: {', '.join(counts)}.")
    return lines


def remarks(
    rows: Sequence[SeedRow],
    pairs: Sequence[tuple[Source, Sequence[PairedRow]]],
    sources: Sequence[Source],
    margin: float,
) -> list[str]:
    """Returns what there is to say of these comparisons, a sentence or two each."""
    lines = []
    if rows:
        few = " With two seeds the last is hardly known: add a third." if len(rows[0].score.by_seed) == 2 else ""
        lines.append(SEEDS_LEGEND + few)
    for other, found in pairs:
        if lost := max(((row.only_first, row.only_second) for row in found), default=(0, 0)):
            for side, count in zip(("A", f"B ({other.path})"), lost, strict=True):
                if count:
                    lines.append(f"{count:,} items are only in {side} and do not count.")
    lines += _failures(sources)
    everything: list[SeedRow | PairedRow] = [*rows, *(row for _, own in pairs for row in own)]
    if lower := dict.fromkeys(row.metric for row in everything if _falls(row)):
        lines.append(f"Lower is better: {', '.join(lower)}.")
    if pairs:
        lines.append(
            f"Paired on the same items. Within ±{margin:g} (--margin, as a share of the metric's span): shown by two "
            f"one-sided tests at {100 * LEVEL:g} %. Detectable: the true difference that the paired test finds in 80 % "
            "of repetitions."
        )
    return lines
