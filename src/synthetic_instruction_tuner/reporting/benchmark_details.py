"""What the report shows of a public benchmark beside its scores: which items, which form, what went wrong, by kind."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from synthetic_instruction_tuner.evaluation.benchmarks.base import Benchmark
from synthetic_instruction_tuner.evaluation.benchmarks.published_scores import published_score
from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult
from synthetic_instruction_tuner.evaluation.statistics import Estimate
from synthetic_instruction_tuner.methods import BASE
from synthetic_instruction_tuner.reporting.language.translation import retold, say, term

Results = Mapping[tuple[str, str], BenchmarkResult]
"""The results of one benchmark by student and variant."""

SIDE_BY_SIDE = 8
"""A table with more kinds than these has a line per kind and a column per variant; it stands at the report's end."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of a variant's answers were cut off, empty or unreadable."""

    model: str
    variant: str
    truncated: int
    empty: int
    unparsed: int


@dataclass(frozen=True, slots=True)
class DetailTable:
    """Scores by kind of item.

    Attributes:
        title: what it shows.
        keys: headings of the columns that say what a line is about.
        columns: the other headings; they are names of variants where `by_variant` is set.
        rows: cells, line by line; without any, the title says it all.
        by_variant: whether the variants are side by side.
    """

    title: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    by_variant: bool = False


@dataclass(frozen=True, slots=True)
class BenchmarkDetails:
    """Of one public benchmark.

    Attributes:
        chosen: a sentence on which of the published items were asked.
        form: a sentence on the form of the prompt.
        detectable: a sentence on the smallest difference that these items can show; empty without comparisons.
        sanity: sentences on chance levels and published scores.
        counts: answers that were cut off, empty or unreadable, by student and variant.
        cut: what counts as cut off there.
        tables: breakdowns that stand beside the scores.
        long_tables: breakdowns that stand at the end.
    """

    chosen: str
    form: str
    detectable: str
    sanity: tuple[str, ...]
    counts: tuple[Counts, ...]
    cut: str
    tables: tuple[DetailTable, ...]
    long_tables: tuple[DetailTable, ...]

    @property
    def flawless(self) -> bool:
        """Whether no answer was cut off, empty or unreadable."""
        return not any(c.truncated or c.empty or c.unparsed for c in self.counts)


def describe(
    benchmark: Benchmark,
    results: Results,
    rows: Iterable[ComparisonRow],
    chosen: str,
    paths: Mapping[str, str],
    *,
    generated: bool,
) -> BenchmarkDetails:
    """Returns what there is to say of a benchmark.

    Args:
        benchmark: the benchmark.
        results: of all variants, on the same items.
        rows: its rows of the comparison.
        chosen: a sentence on which items were asked.
        paths: the students' Hub ids or folders by name, by which published scores are found.
        generated: whether answers are texts; otherwise they are chosen by log-likelihood.
    """
    headlines = [row for row in rows if row.headline]
    short, long = _breakdowns(benchmark, results)
    return BenchmarkDetails(
        retold(chosen),
        term(benchmark.form),
        smallest_difference(headlines),
        (*_chance(benchmark, headlines), *_published(benchmark, headlines, paths)),
        tuple(Counts(*key, r.n_truncated, r.n_empty, r.n_unparsed) for key, r in results.items()),
        _cut(generated),
        tuple(short),
        tuple(long),
    )


def _cut(generated: bool) -> str:
    """Says what counts as cut off."""
    if generated:
        return say("answers that reached the longest length")
    return say("prompts that were too long for the model")


def smallest_difference(headlines: Sequence[ComparisonRow]) -> str:
    """Says which true difference the paired tests of these rows can find; nothing where nothing is compared."""
    differences = [difference for row in headlines for difference in row.differences.values()]
    if not differences:
        return ""
    count = headlines[0].clusters
    items = say("{n:,} items", n=count) if count != 1 else say("one item")
    known = sorted(d.detectable for d in differences if not math.isnan(d.detectable))
    if not known:
        return say(
            "Smallest difference that {items} can show: none. No test here finds a difference in 80 % of repetitions.",
            items=items,
        )
    low, high = f"{known[0]:.3f}", f"{known[-1]:.3f}"
    span = low if low == high else say("{low} to {high}, depending on the two variants", low=low, high=high)
    return say(
        "Smallest difference that {items} can show: {size} (the true difference that the paired test at 5 % finds in "
        "80 % of repetitions). A smaller one may well go unseen.",
        items=items,
        size=span,
    )


def _chance(benchmark: Benchmark, headlines: Sequence[ComparisonRow]) -> list[str]:
    """Says which scores are not distinguishable from those of guessing."""
    level = benchmark.metric(benchmark.headline).random_level
    if level is None:
        return []
    at_chance = [row for row in headlines if row.interval[0] <= level <= row.interval[1]]
    guessing = [f"{row.model} {term(row.variant.replace('_', ' '))}" for row in at_chance]
    if not guessing:
        return []
    if len(guessing) == len(headlines):
        whose = say("every score")
    else:
        whose = say("the scores of {variants}", variants=", ".join(guessing))
    return [
        say(
            "Chance ({level:g}) lies within the 95 % interval of {whose}. A score like that cannot show that tuning "
            "lost anything.",
            level=level,
            whose=whose,
        )
    ]


def _published(benchmark: Benchmark, headlines: Sequence[ComparisonRow], paths: Mapping[str, str]) -> list[str]:
    """Sets the untuned students' scores against published ones, where these are known."""
    found = []
    for row in headlines:
        known = published_score(paths.get(row.model, ""), benchmark.name) if row.variant == BASE else None
        if known is not None:
            low, high = row.interval
            found.append(
                say(
                    "Published for {model}: {published:.3f} ({how}). Measured here: {value:.3f}, 95 % interval "
                    "{low:.3f} to {high:.3f}.",
                    model=paths[row.model],
                    published=known.value,
                    how=retold(known.how),
                    value=row.value,
                    low=low,
                    high=high,
                )
            )
    return found


def _breakdowns(benchmark: Benchmark, results: Results) -> tuple[list[DetailTable], list[DetailTable]]:
    """Returns the short tables, with all variants, and the long ones, student by student."""
    if benchmark.breakdowns is None or not results:
        return [], []
    short, long = [], []
    broken = {key: {b.name: b for b in benchmark.breakdowns(result)} for key, result in results.items()}
    first = next(iter(broken.values()))
    for name, shown in first.items():
        title = retold(shown.title)
        rows = {key: dict(own[name].rows) for key, own in broken.items() if name in own}
        labels = tuple(label for label, _ in shown.rows)
        if not labels:
            continue
        if len(labels) <= SIDE_BY_SIDE:
            whole = {key: results[key] for key in rows} if not shown.metric else {}
            if whole and all(value.clusters == len(r.items) for r in whole.values() for _, value in shown.rows):
                short.append(DetailTable(title, (), (), ()))  # all items: the scores are those above
                continue
            cells = tuple(
                (*key, *(cell(own.get(label)) + _of_all(whole.get(key), label) for label in labels))
                for key, own in rows.items()
            )
            headings = tuple(f"{term(label)} (n={value.n:,})" for label, value in shown.rows)
            short.append(DetailTable(title, (say("student"), say("variant")), headings, cells))
            continue
        for model in dict.fromkeys(model for model, _ in rows):
            own = {variant: found for (student, variant), found in rows.items() if student == model}
            lines = tuple(
                (label, f"{value.n:,}", *(cell(found.get(label)) for found in own.values()))
                for label, value in shown.rows
            )
            long.append(DetailTable(f"{title}: {model}", (say("kind"), "n"), tuple(own), lines, by_variant=True))
    return short, long


def _of_all(result: BenchmarkResult | None, metric: str) -> str:
    """Sets the score on all items beside that on some of them."""
    return "" if result is None else " " + say("(all: {value:.3f})", value=result.estimate(metric).value)


def cell(found: Estimate | None) -> str:
    """Returns a score with its error; empty where there is none."""
    if found is None:
        return ""
    error = "n/a" if math.isnan(found.standard_error) else f"{found.standard_error:.3f}"
    return f"{found.value:.3f} ± {error}".replace("-", "−")
