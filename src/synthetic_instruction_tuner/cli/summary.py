"""The end of a run or of a stage: its main numbers, and where the files are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.cli.compare import print_comparison, stored_comparison
from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.reporting.formatting import duration, gigabytes
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen
from synthetic_instruction_tuner.run.folder import RunFolder, shown
from synthetic_instruction_tuner.run.store import StageState, Store

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow

EXAMPLES, EXAMPLE_LENGTH = 3, 160


def print_summary(config: Config, folder: RunFolder, states: Sequence[StageState], quiet: bool = False) -> None:
    """Prints what the last stage has found, the time, and the paths of what is up to date."""
    from synthetic_instruction_tuner.run.remaining import current_outputs, outdated

    screen = Screen()
    if states:
        _print_results(folder, states[-1], screen)
    if quiet:
        return
    total, peak = sum(s.seconds for s in states), max((s.peak_memory_gb or 0 for s in states), default=0)
    count = f"{len(states)} stages" if len(states) != 1 else "1 stage"
    screen.say(f"\n{count}, {duration(total)} of work, peak memory {gigabytes(peak)}.")
    current = current_outputs(config, folder)
    print_places(folder, current, screen)
    if old := outdated(folder, current):
        verb, them = ("is", "it") if len(old) == 1 else ("are", "them")
        command = f"'sit run -d {shown(folder.root)}'"
        screen.say(f"{', '.join(old)} {verb} out of date; {command} brings {them} up to date.")


def print_places(folder: RunFolder, current: Mapping[str, Sequence[Path]], screen: Screen) -> None:
    """Prints where the outputs of the stages that are up to date are."""
    places = Table(Column("label", key=True), Column("path", "name"), headings=False)
    for label, path in _places(folder, current):
        if path.exists():
            places.add(f"  {label}", str(path))
    screen.table(places)


def states_as_json(config: Config, folder: RunFolder, states: Sequence[StageState]) -> list[dict[str, object]]:
    """Returns the stages' states with the paths of their outputs, as plain JSON values."""
    from synthetic_instruction_tuner.run.remaining import current_outputs

    current = current_outputs(config, folder)
    return [state.to_json() | {"outputs": [str(path) for path in current.get(state.name, ())]} for state in states]


def _places(folder: RunFolder, current: Mapping[str, object]) -> Iterator[tuple[str, Path]]:
    """Yields labels and paths: a folder where all that is in it is up to date, otherwise the parts that are."""
    if "report" in current:
        yield "report", folder.report.with_suffix(".html")
        yield "slides", folder.presentation
    if "evaluate" in current:
        yield "comparison", folder.comparison
    if "agents" in current:
        yield "agents", folder.agents
    data = {"generate": folder.raw.parent, "filter": folder.filtered.parent, "prefer": folder.pairs.parent}
    models = {method.name: folder.root / "models" / method.name for method in METHODS}
    for label, parts in (("data", data), ("models", models)):
        there = [path for stage, path in parts.items() if stage in current]
        whole = len(there) == len(parts)
        for path in [folder.root / label] if whole else there:
            yield label, path
    if "report" in current:
        yield "figures", folder.figures


def _print_results(folder: RunFolder, last: StageState, screen: Screen) -> None:
    if last.name in ("evaluate", "report"):
        if rows := stored_comparison(folder):
            print_comparison(rows)
        if last.name == "evaluate":
            return
    from synthetic_instruction_tuner.run.stages.agents.units import stored_rows

    with closing(Store.open(folder.store, readonly=True)) as store:
        match last.name:
            case "generate":
                tables = list(_generated(store, last))
            case "filter":
                tables = list(_filtered(store.fact("filter_report") or {}))
            case "agents" | "report":
                tables = list(_agents(stored_rows(store)))
            case "prefer":
                tables = list(_preferred(store.fact("preference_report") or {}))
            case method:
                tables = list(_trained(store.fact(f"training:{method}") or []))
    for heading, table in tables:
        screen.say(f"\n{heading}")
        screen.table(table)


def _generated(store: Store, state: StageState) -> Iterator[tuple[str, Table]]:
    """Yields the records by domain, and the first instructions."""
    unit = f"{state.name}:{state.key}"
    domains = Counter(row["domain"] or "(none)" for row in store.rows(unit))
    table = Table(Column("domain", "name", key=True), _number("records"))
    for name, n in domains.most_common():
        table.add(name, f"{n:,}")
    yield f"{sum(domains.values()):,} records are written.", table
    examples = Table(Column("id", "whole", key=True), Column("instruction"), headings=False)
    for row in islice(store.rows(unit), EXAMPLES):
        examples.add(f"  {row['id']}", shorten(row["instruction"], EXAMPLE_LENGTH, placeholder=" …"))
    yield "The first instructions:", examples


def _filtered(report: Mapping[str, Any]) -> Iterator[tuple[str, Table]]:
    """Yields the rules in the order in which they are applied."""
    table = Table(Column("rule", "name", key=True), *map(_number, ("checked", "dropped", "alone")))
    for row in report.get("funnel", ()):
        table.add(row["rule"], *(f"{row[name]:,}" for name in ("records_in", "dropped", "alone")))
    over = f", {report['over']:,} of them over filter.keep" if report.get("over") else ""
    passed = f"{report.get('passed', 0):,} of {report.get('records', 0):,} records pass every rule{over}"
    heading = f"{passed}; {report.get('kept', 0):,} are kept."
    yield f"{heading} 'alone': dropped by this rule, whether or not an earlier one drops it.", table


def _preferred(report: Mapping[str, Any]) -> Iterator[tuple[str, Table]]:
    """Yields how often each model was chosen, and why records gave no pair."""
    headings = ("answers", "chosen", "rejected", "mean score")
    table = Table(Column("model", "name", key=True), *map(_number, headings))
    for name, model in report.get("models", {}).items():
        mean = (model.get("score") or {}).get("mean")
        counts = (f"{model[key]:,}" for key in ("answers", "chosen", "rejected"))
        table.add(name, *counts, "" if mean is None else f"{mean:.2f}")
    margin = (report.get("margin") or {}).get("mean")
    yield f"{report.get('pairs', 0):,} pairs" + (f", mean margin {margin:.2f}." if margin is not None else "."), table
    skipped = [(row["guard"], row["skipped"]) for row in report.get("guards", ()) if row["skipped"]]
    if skipped:
        reasons = Table(Column("reason", "name", key=True), _number("records"))
        for reason, n in skipped:
            reasons.add(reason, f"{n:,}")
        yield "Records without a pair:", reasons


def _agents(rows: Sequence[ComparisonRow]) -> Iterator[tuple[str, Table]]:
    """Yields what share of the tasks each variant has solved as an agent."""
    keys = (Column(name, "name", key=True) for name in ("student", "variant", "agent on"))
    table = Table(*keys, _number("solved"), _number("tasks"))
    heads = [row for row in rows if row.headline]
    for row in heads:
        table.add(row.model, row.variant, row.benchmark, f"{row.value:.2f}±{row.standard_error:.2f}", f"{row.n:,}")
    if heads:
        yield "Agents, share of tasks solved ± standard error:", table


def _trained(metrics: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Table]]:
    """Yields the losses and costs of the trainings."""
    headings = ("examples", "steps", "first loss", "final loss", "time", "memory")
    table = Table(Column("student", "name", key=True), *map(_number, headings))
    for m in metrics:
        losses = (f"{m[key]:.3f}" for key in ("first_loss", "final_loss"))
        memory = gigabytes(m["peak_memory_gb"]) if m.get("peak_memory_gb") else ""
        table.add(m["student"], f"{m['examples']:,}", f"{m['steps']:,}", *losses, duration(m["seconds"]), memory)
    if metrics:
        yield f"{len(metrics)} trained:" if len(metrics) > 1 else "Trained:", table


def _number(heading: str) -> Column:
    return Column(heading, "whole", right=True)
