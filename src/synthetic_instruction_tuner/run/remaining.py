"""What a run would do to its folder now: which stages run, why, how long, and which finished work they replace.

`look_ahead` only reads. `sit plan --run-dir` prints what it returns, `execute` acts on it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from synthetic_instruction_tuner.config import Config, fingerprint
from synthetic_instruction_tuner.errors import SitError
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.reporting.formatting import duration
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.pipeline import Step, flat, is_current, ordered, preview, stage_index, stage_names
from synthetic_instruction_tuner.run.planning import LOADS_NOTHING, StageEstimate, estimate, with_start
from synthetic_instruction_tuner.run.progress.forecast import Forecast
from synthetic_instruction_tuner.run.stages.stage import Amount, Stage
from synthetic_instruction_tuner.run.store import StageState, Store
from synthetic_instruction_tuner.run.written_files import WrittenFiles

Condition = Literal["done", "skipped", "partly done", "failed", "out of date", "in doubt", "incomplete", "not begun"]

AGREED = "agreed"  # the fact that holds which finished work the user has agreed to replace, and with which settings
KEPT = (
    "Texts, answers and scores under the earlier settings stay in the store: going back to them costs nothing. "
    "Adapters are replaced."
)
WRITING = 1.0  # seconds that it takes to write a stage's files, about
DELETED = "--from deletes the stored work and the files of these stages."


@dataclass(frozen=True, slots=True)
class StageAhead:
    """A stage and what a run would do to it.

    Attributes:
        step: what it would do, and why.
        state: what the store has of it.
        estimate: what it takes from its beginning.
        another: whether what the store has belongs to other settings or inputs. Otherwise only files are missing or
            damaged, and are written anew.
        forced: whether it runs again because the user names it, or one before it, with ``--from``.
        agreed: whether the user has agreed to replace it.
        amount: how much is done of a stage that is not finished.
        planned: seconds that are left of it by the plan.
        seconds: the same, at the pace of the stages that are done on this machine.
    """

    step: Step
    state: StageState | None
    estimate: StageEstimate
    another: bool = False
    forced: bool = False
    agreed: bool = False
    amount: Amount | None = None
    planned: float = 0.0
    seconds: float = 0.0

    @property
    def replaced(self) -> bool:
        """Whether finished work gives way to work under other settings or on other inputs."""
        return (self.another or self.forced) and self.state is not None and self.state.status == "done"

    @property
    def condition(self) -> Condition:
        """How it stands."""
        if self.state is None:
            return "not begun"
        if self.forced and self.state.status == "done":
            return "done"
        if self.step.action == "redo" and not self.forced:
            return "in doubt" if self.step.in_doubt else "out of date" if self.another else "incomplete"
        if self.step.action == "skip":
            return "skipped" if self.step.stage.skipped else "done"
        return "failed" if self.state.status == "failed" else "partly done"

    def line(self) -> str:
        """Returns what is done again, why, and what it took and takes."""
        took = f"it took {duration(self.state.seconds)}, " if self.state else ""
        return f"{self.step.stage.name}: {self.step.why}; {took}about {duration(self.seconds)} again"


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a run would do.

    Attributes:
        changes: the settings that differ from the folder's stored ones, one line each; None where none are stored.
        stages: the stages as far as the run goes, in their order.
    """

    changes: tuple[str, ...] | None
    stages: tuple[StageAhead, ...]

    @property
    def steps(self) -> list[Step]:
        """What is done to each stage."""
        return [stage.step for stage in self.stages]

    @property
    def todo(self) -> list[StageAhead]:
        """The stages that run."""
        return [stage for stage in self.stages if stage.step.action != "skip"]

    @property
    def replaced(self) -> list[StageAhead]:
        """The stages whose finished work is replaced and that the user has not agreed to yet."""
        return [stage for stage in self.stages if stage.replaced and not stage.agreed]

    @property
    def seconds(self) -> float:
        """What is left, estimated."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def certain_seconds(self) -> float:
        """What is left without the stages that may turn out to be up to date."""
        return sum(stage.seconds for stage in self.stages if not stage.step.in_doubt)

    @property
    def lost_seconds(self) -> float:
        """What the finished work took that is replaced."""
        return sum(stage.state.seconds for stage in self.replaced if stage.state)

    def kept(self) -> str:
        """Returns what becomes of the work that is replaced."""
        forced = any(stage.forced for stage in self.replaced)
        other = any(not stage.forced for stage in self.replaced)
        return " ".join([KEPT] * other + [DELETED] * forced)

    def lines(self) -> list[str]:
        """Returns what changes and what is replaced, for people; nothing where a run only goes on."""
        lines = []
        if self.changes:
            lines += ["Settings that change in this run:", *(f"  {change}" for change in self.changes)]
        if self.replaced:
            lines += ["Finished work that runs again:", *(f"  {stage.line()}" for stage in self.replaced), self.kept()]
        return lines


def look_ahead(
    config: Config,
    folder: RunFolder,
    hardware: Hardware,
    start: str | None = None,
    until: str | None = None,
    files: WrittenFiles | None = None,
) -> Ahead:
    """Returns what a run would do to the stages up to `until`, from `start` on in any case.

    Args:
        config, folder, hardware: what runs, and where.
        start, until: see `execution.execute`.
        files: verifies the run's files, and remembers which it has read.

    Raises:
        RunError: the store is damaged.
    """
    estimates = {e.stage: e for e in estimate(config, hardware)}
    store = Store.open(folder.store, readonly=True) if folder.store.exists() else None
    try:
        steps = _steps(config, folder, store, start, until, files)
        agreed = (store.fact(AGREED) or {}) if store else {}
        work = agreed.get("work", {}) if agreed.get("settings") == _settings_key(config) else {}
        stages = []
        for step in steps:
            name, state = step.stage.name, store.stage(step.stage.name) if store else None
            forced = step.why == _asked(start)
            another = step.action == "redo" and not forced and (step.in_doubt or _changed(step, config, store))
            known = state is not None and work.get(name) == state.key
            rewritten = step.action == "redo" and not (another or forced or name in {m.name for m in METHODS})
            goes_on = rewritten or step.action == "resume"
            so_far = step.stage.so_far if goes_on else None
            amount = so_far(config, folder, store, state.key) if so_far and store and state else None
            stages.append(StageAhead(step, state, estimates[name], another, forced, known, amount))
    finally:
        if store:
            store.close()
    return Ahead(_changes(config, folder), tuple(_timed(stages)))


def _timed(stages: Sequence[StageAhead]) -> Iterator[StageAhead]:
    """Yields the stages with the time that is left of each: by the plan, and at the pace of those that are done."""
    forecast, loaded = Forecast(), False
    first = next((stage.step.stage for stage in stages if _loads_model(stage.step.stage)), None)
    for stage in stages:
        if stage.step.action == "skip" and stage.state:
            forecast.learn(stage.estimate.stage, stage.state.seconds, stage.estimate.seconds)
    for stage in stages:
        if stage.step.action == "skip":
            yield stage
            continue
        name, whole, amount = stage.estimate.stage, stage.estimate.seconds, stage.amount
        planned = whole * max(0.0, 1 - amount.n / amount.of) if amount and amount.of else whole
        if stage.condition == "incomplete" and amount and (amount.of is None or not planned):  # all is in the store
            yield replace(stage, planned=WRITING, seconds=WRITING)
            continue
        if not loaded and _loads_model(stage.step.stage):
            loaded = True
            if stage.step.stage is not first:  # its plan has this
                planned = with_start(replace(stage.estimate, seconds=planned)).seconds
        yield replace(stage, planned=planned, seconds=forecast.scaled(name, planned))


def _loads_model(stage: Stage) -> bool:
    return stage.name not in LOADS_NOTHING and not stage.skipped


def remember_agreement(config: Config, folder: RunFolder, ahead: Ahead) -> None:
    """Keeps in the store that the user wants this work replaced by these settings: an interrupted run just goes on."""
    work = {s.step.stage.name: s.state.key for s in ahead.stages if s.replaced and s.state}
    store = Store.open(folder.store)
    try:
        store.set_fact(AGREED, {"settings": _settings_key(config), "work": work})
    finally:
        store.close()


def _settings_key(config: Config) -> str:
    return fingerprint(config)


def current_outputs(config: Config, folder: RunFolder) -> dict[str, list[Path]]:
    """Returns the files of each stage that is done with these settings; not those of stages that are out of date."""
    current: dict[str, list[Path]] = {}
    store = Store.open(folder.store, readonly=True)
    try:
        for stage in ordered(config):
            state = store.stage(stage.name)
            known = all(name in current for name in stage.inputs)
            if state and state.status == "done" and known and is_current(stage, config, store):
                current[stage.name] = [path for path in stage.outputs(config, folder) if path.exists()]
    finally:
        store.close()
    return current


def outdated(folder: RunFolder, current: Container[str]) -> list[str]:
    """Returns the stages that were done once and are not up to date, given those that are."""
    store = Store.open(folder.store, readonly=True)
    try:
        states = (store.stage(name) for name in stage_names())
        return [state.name for state in states if state and state.status == "done" and state.name not in current]
    finally:
        store.close()


def _asked(start: str | None) -> str:
    return f"--from {start}"


def _changed(step: Step, config: Config, store: Store | None) -> bool:
    return store is not None and not is_current(step.stage, config, store)


def _steps(
    config: Config,
    folder: RunFolder,
    store: Store | None,
    start: str | None,
    until: str | None,
    files: WrittenFiles | None,
) -> list[Step]:
    steps = preview(config, folder, store, files)
    last = stage_index(until, config) if until else len(steps) - 1
    again = stage_index(start, config) if start else len(steps)
    begun = {step.stage.name for step in steps if store and store.stage(step.stage.name)}
    forced = [
        Step(step.stage, "redo", _asked(start)) if i >= again and step.stage.name in begun else step
        for i, step in enumerate(steps)
    ]
    return forced[: last + 1]


def _changes(config: Config, folder: RunFolder) -> tuple[str, ...] | None:
    if not folder.holds_run():
        return None
    try:
        stored = folder.read_config()
    except SitError:
        return None  # damaged; it is written anew
    return changed_settings(stored, config)


def changed_settings(old: Config, new: Config) -> tuple[str, ...]:
    """Returns the settings that differ, each as ``generate.count 1500 -> 40``."""
    before, after = (flat(config.model_dump(mode="json")) for config in (old, new))
    pairs = ((name, before.get(name, "null"), after.get(name, "null")) for name in {**after, **before})
    return tuple(f"{name} {earlier} -> {now}" for name, earlier, now in pairs if earlier != now)
