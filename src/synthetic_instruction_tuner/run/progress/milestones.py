"""The seven milestones of docs/plan.md, read from a run's facts: what is there, what is missing, and what comes next.

The numbers that a milestone needs are those of the run's profile as it is shipped. A run whose settings ask for less,
or whose records give less, has *cut down* that milestone: it goes on, and the plan's number stays in sight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from synthetic_instruction_tuner.config import Config, load_config, profile_names, tuned_students
from synthetic_instruction_tuner.evaluation.benchmarks.base import plain_name
from synthetic_instruction_tuner.methods import METHODS, method
from synthetic_instruction_tuner.reporting.formatting import counted, listed
from synthetic_instruction_tuner.run.remaining import Ahead, StageAhead
from synthetic_instruction_tuner.run.stages.agents.units import stored_rows
from synthetic_instruction_tuner.run.stages.evaluate import comparison_rows
from synthetic_instruction_tuner.run.stages.stage import FORMATS
from synthetic_instruction_tuner.run.store import Store

State = Literal["reached", "cut down", "partly", "open"]


@dataclass(frozen=True, slots=True)
class Count:
    """One number of a milestone.

    Attributes:
        n: how many there are.
        needed: how many the plan has.
        unit: what is counted, in the plural.
        setting: the setting that decides how many the run makes.
        asked: how many that setting asks for.
    """

    n: int
    needed: int
    unit: str
    setting: str
    asked: int

    def has(self) -> str:
        """Returns it in words: 958 of 1,000 records."""
        return (
            f"{self.n:,} of {counted(self.needed, self.unit)}" if self.n < self.needed else counted(self.n, self.unit)
        )


@dataclass(frozen=True, slots=True)
class Milestone:
    """A milestone and how far the run is from it.

    Attributes:
        name: M1 to M7.
        title: what it is, in words.
        state: ``reached``; ``cut down``: its stages are done, with less than the plan has; ``partly``; ``open``.
        counts: its numbers.
        note: what a reader should know: why less is there, what failed, or how the generator is held.
        until: the stage at whose end it is decided.
        seconds: what is left of its stages, estimated.
    """

    name: str
    title: str
    state: State
    counts: tuple[Count, ...]
    note: str
    until: str
    seconds: float

    def missing(self) -> str:
        """Returns what is missing, in words; empty where nothing is."""
        short = [(count.needed - count.n, count.unit) for count in self.counts if count.n < count.needed]
        return listed([counted(n, unit) for n, unit in short])

    def to_json(self) -> dict[str, Any]:
        """Returns it as plain JSON values."""
        counts = [
            {"n": c.n, "needed": c.needed, "unit": c.unit, "setting": c.setting, "asked": c.asked} for c in self.counts
        ]
        return {
            "milestone": self.name,
            "title": self.title,
            "state": self.state,
            "counts": counts,
            "missing": self.missing(),
            "note": self.note,
            "until": self.until,
            "seconds_left": round(self.seconds, 1),
        }


def milestones(config: Config, store: Store, ahead: Ahead) -> list[Milestone]:
    """Returns the seven milestones.

    Args:
        config: the run's settings.
        store: the run's store.
        ahead: what a run would do to its folder now.

    Raises:
        RunError: the store is damaged.
    """
    plan = load_config(config.profile) if config.profile in profile_names() else config
    return list(_Facts(config, plan, store, {s.step.stage.name: s for s in ahead.stages}).milestones())


def next_milestone(found: Sequence[Milestone]) -> Milestone | None:
    """Returns the first milestone that running on would bring nearer, or None."""
    return next((one for one in found if one.state in ("open", "partly")), None)


@dataclass(frozen=True, slots=True)
class _Facts:
    config: Config
    plan: Config
    store: Store
    stages: dict[str, StageAhead]

    def milestones(self) -> Iterator[Milestone]:
        yield self._first_records()
        yield self._milestone("M2", "raw records", ["generate"], [self._raw()])
        kept = self._kept()
        yield self._milestone("M3", "filtered records", ["filter"], [kept], _few_kept(kept))
        pairs = self._pairs()
        yield self._milestone("M4", "preference pairs", ["prefer"], [pairs], _few_pairs(pairs))
        adapters = [self._adapters("sft"), self._adapters("prompt_tuning")]
        yield self._milestone("M5", "tuned by SFT and prompt tuning", ["sft", "prompt_tuning"], adapters)
        yield self._milestone("M6", "tuned by DPO", ["dpo"], [self._adapters("dpo")])
        last = ["evaluate", "agents", "report"]
        yield self._milestone("M7", "evaluated and reported", last, list(self._scores()), self._left_out())

    def _milestone(
        self, name: str, title: str, stages: Sequence[str], counts: Sequence[Count], short_of: str = ""
    ) -> Milestone:
        """Returns a milestone; `short_of` says why less is there than the settings ask for."""
        short = [count for count in counts if count.n < count.needed]
        skipped = [self.stages[stage].step.stage.skipped for stage in stages]
        if not all(self._done(stage) for stage in stages):
            begun = any(count.n for count in counts) or self._amounts(stages)
            state: State = "partly" if begun else "open"
            note = "; ".join(filter(None, (self._amounts(stages), *self._faults(stages))))
        elif all(skipped):  # the run has data of the user's own: as many as there are, or none
            state, note = "reached", skipped[0]
            counts = [replace(count, needed=min(count.n, count.needed)) for count in counts if count.n]
        else:
            asks = [f"{count.setting} asks for {count.asked:,}" for count in short if count.asked < count.needed]
            state, note = ("cut down", "; ".join(asks) or short_of) if short else ("reached", "")
        seconds = sum(self.stages[stage].seconds for stage in stages)
        return Milestone(name, title, state, tuple(counts), note, stages[-1], seconds)

    def _first_records(self) -> Milestone:
        """The environment is ready where the generator has written its first batch: models load, texts are kept."""
        settings, generate = self.config.generate, self.stages["generate"]
        batch, n = min(settings.batch, settings.count), self._rows("generate")
        ready = n > 0 or any(stage.state and stage.state.status == "done" for stage in self.stages.values())
        counts = (Count(n, batch, "records", "generate.batch", settings.batch),) if n >= batch or not ready else ()
        held = self.store.fact(FORMATS) or {}
        generator = self.config.models.generator
        weights = f"{generator.name} is held in {held[generator.path]}" if generator.path in held else ""
        state: State = "reached" if ready else "open"
        note = weights if ready else "; ".join(self._faults(["generate"]))
        left = 0.0 if ready else generate.seconds * batch / settings.count
        return Milestone("M1", "environment ready", state, counts, note, "generate", left)

    def _raw(self) -> Count:
        wanted, n = self.config.generate, self._rows("generate")
        if not self.config.data.magpie:
            return Count(n, n, "records", "data.count", n)  # as many as the user's own files have
        if wanted.until_kept is None:
            return Count(n, self.plan.generate.count, "records", "generate.count", wanted.count)
        return Count(n, n, "records", "generate.until_kept", n)  # as many as it takes

    def _kept(self) -> Count:
        n = self._rows("filter")
        if not self.config.data.magpie:
            return Count(n, n, "records", "filter.keep", n)  # as many of them as pass
        needed = self.plan.filter.keep or n
        asked = self.config.filter.keep or self.config.generate.until_kept or needed
        return Count(n, needed, "records", "filter.keep", asked)

    def _pairs(self) -> Count:
        config, plan = self.config, self.plan
        each = len(config.models.students) if config.prefer.on_policy != "off" else 1
        n = self._rows("prefer") if self._done("prefer") else 0  # before, answers are counted
        return Count(n, plan.prefer.pairs * each, "pairs", "prefer.pairs", config.prefer.pairs * each)

    def _adapters(self, name: str) -> Count:
        by = method(name)
        asked, planned = (len(tuned_students(config, by)) for config in (self.config, self.plan))
        unit = "soft prompts" if name == "prompt_tuning" else f"{by.label} adapters"
        setting = f"train.{name}.students" if by.chooses_students else "models.students"
        return Count(self._rows(name), planned, unit, setting, asked)

    def _scores(self) -> Iterator[Count]:
        """What is scored, and the report."""
        config, plan = self.config, self.plan
        rows = comparison_rows(self.store) if self._done("evaluate") else []
        scored = {plain_name(row.benchmark) for row in rows}
        variants = {(row.model, row.variant) for row in rows}
        asked, planned = (
            len(c.models.students) + sum(len(tuned_students(c, by)) for by in METHODS) for c in (config, plan)
        )
        yield Count(len(variants), planned, "variants", "models.students", asked)
        wanted, needed = len(config.evaluate.benchmarks), len(plan.evaluate.benchmarks)
        yield Count(len(scored), needed, "benchmarks", "evaluate.benchmarks", wanted)
        if needed := len(plan.agents.benchmarks):
            played = {row.benchmark for row in stored_rows(self.store)} if self._done("agents") else set()
            yield Count(len(played), needed, "agent benchmarks", "agents.benchmarks", len(config.agents.benchmarks))
        yield Count(int(self._done("report")), 1, "reports", "report", 1)

    def _left_out(self) -> str:
        """The benchmarks of the settings that could not run here."""
        parts = []
        if self._done("evaluate"):
            scored = {plain_name(row.benchmark) for row in comparison_rows(self.store)}
            absent = [name for name in self.config.evaluate.benchmarks if name not in scored]
            parts += [f"without {listed(absent)}: 'sit benchmarks' says what is missing"] if absent else []
        if self._done("agents"):
            played = {row.benchmark for row in stored_rows(self.store)}
            fewer = len(self.config.agents.benchmarks) - len(played)
            parts += [f"without {counted(fewer, 'agent benchmarks')}: 'sit status' says why"] if fewer > 0 else []
        return "; ".join(parts)

    def _done(self, stage: str) -> bool:
        return self.stages[stage].condition in ("done", "skipped")

    def _rows(self, name: str) -> int:
        """How many a stage has made: of a finished one what it handed on, else what is committed."""
        stage = self.stages[name]
        if self._done(name):
            return (stage.state.rows_out if stage.state else None) or 0
        return stage.amount.n if stage.amount else 0

    def _amounts(self, stages: Sequence[str]) -> str:
        """What unfinished stages have that is no number of the milestone: answers before there are pairs or scores."""
        amounts = [self.stages[stage].amount for stage in stages if not self._done(stage)]
        return "; ".join(one.describe() for one in amounts if one and one.n and one.unit in ("answers", "tasks"))

    def _faults(self, stages: Sequence[str]) -> Iterator[str]:
        for name in stages:
            stage = self.stages[name]
            if stage.condition == "failed" and stage.state:
                yield f"{name} failed: {stage.state.note}"
            elif stage.condition in ("out of date", "in doubt", "incomplete"):
                yield f"{name} is {stage.condition}: {stage.step.why}"


def _few_kept(kept: Count) -> str:
    more = f"{kept.needed - kept.n:,} more had to pass the rules"
    return f"{more}: raise generate.count, or set generate.until_kept={kept.needed}"


def _few_pairs(pairs: Count) -> str:
    return f"the records gave no more than {pairs.n:,}: more records make more"
