"""What ``sit compare`` shows of several runs, or of files of answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.cli.scores.remarks import LEVEL, remarks
from synthetic_instruction_tuner.config import Config, EvaluateConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.methods import BASE
from synthetic_instruction_tuner.reporting.formatting import p_value
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen
from synthetic_instruction_tuner.run.folder import RunFolder, shown

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.pairs import PairedRow
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult
    from synthetic_instruction_tuner.evaluation.seeds import OverSeeds, SeedRow

Found = Mapping[tuple[str, str], Iterable["BenchmarkResult"]]


@dataclass(frozen=True, slots=True)
class Source:
    """One side: a run with its configuration, or a file of answers."""

    path: Path
    results: Found
    config: Config | None = None


def read_sources(paths: Sequence[Path], benchmark: str | None, settings: Callable[[], EvaluateConfig]) -> list[Source]:
    """Returns two or more runs, or files of answers to one benchmark.

    Raises:
        UserError: there are fewer than two, some are runs and some are files, or one cannot be read.
    """
    if len(paths) < 2:
        one = "is a run" if paths[0].is_dir() else "is a file"
        fix = "Name another one. One run: 'sit compare -d RUN'. One file: 'sit score BENCHMARK FILE'."
        raise UserError("One thing cannot be compared.", f"{paths[0]} {one}.", fix)
    if gone := [path for path in paths if not path.exists()]:
        raise UserError(f"There is no {gone[0]}.", "", "Name runs' folders, or files of answers.")
    if any(path.is_dir() for path in paths):
        if not all(path.is_dir() for path in paths):
            raise UserError("A run and a file of answers cannot be compared.", "", "Name runs, or files of answers.")
        if benchmark:
            raise UserError("--benchmark is for files of answers.", "Runs say what they evaluated.", "Leave it out.")
        _distinct(paths)
        return [_run(RunFolder(path)) for path in paths]
    _distinct(paths)
    from synthetic_instruction_tuner.evaluation.answers import benchmark_of, score_file

    own = settings()
    name = benchmark or benchmark_of(paths[0], own)
    files = [score_file(name, path, own, partial=True) for path in paths]
    return [Source(file.file, {("", ""): [file.result]}) for file in files]


def _distinct(paths: Sequence[Path]) -> None:
    places = [path.resolve() for path in paths]
    if same := next((path for i, path in enumerate(paths) if places[i] in places[:i]), None):
        raise UserError(f"{same} is named twice.", "A comparison with itself shows nothing.", "Name each one once.")


def compare_sources(sources: Sequence[Source], margin: float, form: str, wide: bool = False) -> None:
    """Prints the comparison in one of the forms of `cli.compare.Format`.

    Args:
        sources: two or more; the first is what the others are compared with, unless they differ in their seed alone.
        margin: of equivalence, as a share of a metric's span.
        form: text, markdown, csv or json.
        wide: do not fit the tables to the screen.
    """
    from synthetic_instruction_tuner.evaluation.pairs import paired
    from synthetic_instruction_tuner.evaluation.seeds import over_seeds

    seeds = one_configuration(sources)
    try:
        rows = over_seeds([source.results for source in sources]) if seeds else []
        others = () if seeds and len(sources) > 2 else sources[1:]
        pairs = [(other, paired(sources[0].results, other.results)) for other in others]
    except ValueError as error:
        raise UserError(
            "The items cannot be paired.", f"{error}.".capitalize(), "Compare what has the same items."
        ) from error
    if not rows and not any(found for _, found in pairs):
        fix = "Compare runs with the same students and benchmarks, or answers to one benchmark."
        raise UserError("There is nothing to compare.", "No student, variant and metric is in all of them.", fix)
    match form:
        case "json":
            print(json.dumps(_plain(rows, pairs, sources, margin)))
        case "csv":
            print(_csv(_plain(rows, pairs, sources, margin)), end="")
        case "markdown":
            for heading, table in _tables(rows, pairs, sources, margin):
                print(f"## {heading}\n\n{table.markdown()}")
        case _:
            screen = Screen(wide=wide)
            for heading, table in _tables(rows, pairs, sources, margin):
                screen.say(f"\n{heading}", style="bold")
                screen.table(table)
            for line in remarks(rows, pairs, sources, margin):
                screen.say(f"\n{line}", style="dim")


def one_configuration(sources: Sequence[Source]) -> bool:
    """Returns whether the sources are runs that differ in nothing but their seed."""
    configs = [source.config for source in sources]
    if any(config is None for config in configs):
        return False
    plain = [config.model_dump(mode="json", exclude={"seed"}) for config in configs if config]
    return all(own == plain[0] for own in plain) and len({config.seed for config in configs if config}) == len(configs)


def _run(folder: RunFolder) -> Source:
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult
    from synthetic_instruction_tuner.run.stages.variants.variant import variants

    config = folder.read_config()
    results: dict[tuple[str, str], list[BenchmarkResult]] = {}
    for variant in variants(config, folder):
        file = folder.results / f"{variant.label}.json"
        if file.exists():
            try:
                data = json.loads(file.read_text(encoding="utf-8"))
                found = [BenchmarkResult.from_json(one) for one in data["benchmarks"]]
            except (ValueError, KeyError, TypeError) as error:
                fix = f"Write it again: sit evaluate -d {shown(folder.root)}"
                raise UserError(f"{file} cannot be read.", "It is no file of results.", fix) from error
            results[variant.student.name, variant.name] = found
    if not results:
        fix = f"Run first: sit evaluate -d {shown(folder.root)}"
        raise UserError("Nothing has been evaluated yet.", f"{shown(folder.root)} holds no results.", fix)
    return Source(folder.root, results, config)


def _tables(
    rows: Sequence[SeedRow],
    pairs: Sequence[tuple[Source, Sequence[PairedRow]]],
    sources: Sequence[Source],
    margin: float,
) -> list[tuple[str, Table]]:
    """Returns the tables with their headings: seeds by metric, and each source against the first."""
    found = []
    for key in dict.fromkeys((row.benchmark, row.metric) for row in rows):
        own = [row for row in rows if (row.benchmark, row.metric) == key]
        found.append((f"{key[0]}: {key[1]}, {len(sources)} seeds", _seed_table(own)))
    for other, paired_rows in pairs:
        for name in dict.fromkeys(row.benchmark for row in paired_rows):
            own_rows = [row for row in paired_rows if row.benchmark == name]
            heading = f"{name}: A {sources[0].path}, B {other.path}"
            found.append((heading, _pair_table(own_rows, margin)))
    return found


def _seed_table(rows: Sequence[SeedRow]) -> Table:
    headings = ("mean ± SE", "95 % interval", "SE items", "SD seeds", "Δ base ± SE", "p")
    names = (Column("student", "name", key=True), Column("variant", "name", key=True))
    table = Table(*names, *(Column(heading, "whole", right=True) for heading in headings))
    for row in rows:
        score, delta = row.score, row.differences.get(BASE)
        difference = ("", "") if delta is None else (_with_error(delta, sign=True), p_value(delta.p))
        limits = f"{row.ci_low:.3f} to {row.ci_high:.3f}"
        parts = (f"{score.item_error:.3f}", f"{score.seed_deviation:.3f}")
        table.add(row.model, row.variant, _with_error(score), limits, *parts, *difference)
    return table


def _pair_table(rows: Sequence[PairedRow], margin: float) -> Table:
    headings = ("A", "B", "B − A ± SE", "p", "p (Holm)", "detectable", "n")
    names = [Column("student", "name", key=True), Column("variant", "name", key=True)] if rows[0].model else []
    numbers = [Column(heading, "whole", right=True) for heading in headings]
    table = Table(*names, Column("metric", "name", key=True), *numbers, Column(f"within ±{margin:g}", "whole"))
    for row in rows:
        delta = row.difference
        cells = (f"{row.first.value:.3f}", f"{row.second.value:.3f}", _signed(delta.value, delta.standard_error))
        holm = "" if delta.p_holm is None else p_value(delta.p_holm)
        found = "n/a" if math.isnan(delta.detectable) else f"{delta.detectable:.3f}"
        within = "yes" if row.equivalence(margin) < LEVEL else "not shown"
        labels = (row.model, row.variant) if row.model else ()
        table.add(*labels, row.metric, *cells, p_value(delta.p), holm, found, f"{row.first.n:,}", within)
    return table


def _plain(
    rows: Sequence[SeedRow],
    pairs: Sequence[tuple[Source, Sequence[PairedRow]]],
    sources: Sequence[Source],
    margin: float,
) -> list[dict[str, Any]]:
    """Returns flat rows for machines; `comparison` says which of the two kinds a row is."""
    found: list[dict[str, Any]] = []
    for row in rows:
        flat: dict[str, Any] = {
            "comparison": "seeds",
            "model": row.model,
            "variant": row.variant,
            "benchmark": row.benchmark,
        }
        flat |= {"metric": row.metric, "headline": row.headline, "n": row.n, "clusters": row.clusters}
        flat |= _seed_numbers(row.score, "") | {"ci_low": row.ci_low, "ci_high": row.ci_high}
        flat |= {f"seed_{s.config.seed}": v for s, v in zip(sources, row.score.by_seed, strict=True) if s.config}
        for reference, delta in row.differences.items():
            flat |= _seed_numbers(delta, f"_to_{reference}") | {f"p_to_{reference}": delta.p}
        found.append(flat)
    for other, paired_rows in pairs:
        for pair in paired_rows:
            p = pair.equivalence(margin)
            own = {"comparison": "paired", "first": str(sources[0].path), "second": str(other.path)}
            scores = {f"score_{n}" if n in ("first", "second") else n: v for n, v in pair.to_json().items()}
            found.append(own | scores | {"margin": margin, "p_equivalent": None if math.isnan(p) else p})
    return [{n: None if isinstance(v, float) and math.isnan(v) else v for n, v in flat.items()} for flat in found]


def _seed_numbers(found: OverSeeds, suffix: str) -> dict[str, Any]:
    return {
        f"{'delta' if suffix else 'value'}{suffix}": found.value,
        f"standard_error{suffix}": found.standard_error,
        f"item_error{suffix}": found.item_error,
        f"seed_deviation{suffix}": found.seed_deviation,
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _csv_value(value) for name, value in row.items()})
    return text.getvalue()


def _csv_value(value: Any) -> Any:
    from synthetic_instruction_tuner.escaping import csv_cell

    if isinstance(value, float):
        return f"{value:.6g}"
    return csv_cell(value) if isinstance(value, str) else value


def _with_error(found: OverSeeds, sign: bool = False) -> str:
    return _signed(found.value, found.standard_error) if sign else f"{found.value:.3f} ± {found.standard_error:.3f}"


def _signed(value: float, error: float) -> str:
    shown_error = "n/a" if math.isnan(error) else f"{error:.3f}"
    return f"{value:+.3f} ± {shown_error}".replace("-", "−")
