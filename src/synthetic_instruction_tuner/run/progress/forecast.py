"""How long a run still takes: the plan at first, then what is measured.

A stage's estimate is scaled by what earlier stages of its kind took. Within a stage, each task has its share of the
estimate, and the pace of the task replaces it bit by bit. What was measured last counts most: that a machine was busy
at first is soon forgotten. Estimates count down with the clock; work that does not arrive when it should makes them
longer, so that none stays the same for minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp

from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.reporting.formatting import duration

PRIOR = 0.1  # of a task's plan: how much of it must be done to trust the pace as much as the plan
RECENT = 0.25  # of a task: work that is further back counts for little
FORGOTTEN = 0.1  # of what earlier stages had planned: after as much newer work, they count for a third
PRIOR_SECONDS = 5.0  # a stage this long counts as much as the plan when later stages are scaled
SCALES = (0.2, 10.0)  # a stage is not expected to be further from its plan
OVERDUE = 0.2  # of the time that something is late: what is added to the estimate
SHORTEST_WAIT = 3.0  # seconds without progress that mean nothing


@dataclass(frozen=True, slots=True)
class Part:
    """A task of a stage, as it is planned.

    Attributes:
        label: the task's label on the screen.
        seconds: its expected time.
        telling: whether its pace tells of the stage's tasks to come.
    """

    label: str
    seconds: float
    telling: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """The time that something still takes.

    Attributes:
        seconds: the estimate; None before anything is known.
        measured: whether it is based on work that is done, not on the plan alone.
        late: whether what is being done takes longer than expected.
    """

    seconds: float | None
    measured: bool = False
    late: bool = False

    def words(self) -> str:
        """Returns the estimate in words."""
        if self.seconds is None:
            return "time left not known yet"
        if self.late:
            return f"longer than expected, about {duration(max(self.seconds, 1.0))} left"
        return f"about {duration(max(self.seconds, 1.0))} left" + ("" if self.measured else " by the plan")

    def short(self) -> str:
        """Returns the estimate in few words, for narrow screens."""
        if self.seconds is None:
            return "? left"
        return f"{'late, ' if self.late else ''}{'' if self.measured else '~'}{duration(max(self.seconds, 1.0))} left"


class TaskForecast:
    """The time that a task still takes.

    Args:
        now: the time at its start.
        total: its units; 0 when unknown.
        done: units that an earlier attempt has done.
        planned: its expected seconds, for the units that are left to do; None without a plan.
    """

    def __init__(self, now: float, total: int, done: int = 0, planned: float | None = None) -> None:
        self.total, self.done = total, done
        self._first, self._start, self._last = done, now, now
        self._planned = planned
        self._advances, self._longest_gap = 0, 0.0
        prior = PRIOR * (planned or 0.0)  # the plan itself, as if this much of it had been measured
        self._recent = (prior, prior)  # measured and planned seconds, or units, of late

    def advance(self, n: int, now: float) -> None:
        """Notes that `n` units more are done."""
        if n <= 0:
            return
        self._longest_gap = max(self._longest_gap, now - self._last)
        cost, whole = self._cost(self.done, self.done + n), self._cost(self._first, self.total)
        kept = exp(-cost / (RECENT * whole)) if whole else 1.0
        self._recent = (self._recent[0] * kept + now - self._last, self._recent[1] * kept + cost)
        self.done += n
        self._advances += 1
        self._last = now

    def measured(self) -> tuple[float, float]:
        """Returns the seconds that the finished units took, and those that were planned for them."""
        return (self._last - self._start, 0.0 if self._planned is None else self._cost(self._first, self.done))

    def rate(self) -> float | None:
        """Returns the units a second that were done so far in this attempt; None before any are."""
        seconds = self._last - self._start
        return (self.done - self._first) / seconds if seconds > 0 else None

    def left(self, now: float) -> Left:
        """Returns the time that is left."""
        if not self.total or (self._planned is None and not self._advances):
            return Left(None)
        waited, end = now - self._last, self.done + self._usual_step()
        pace, step, after = self._pace(), self._cost(self.done, end), self._cost(end, self.total)
        expected = max(pace * step, self._longest_gap, SHORTEST_WAIT)
        if waited > expected:  # then what is being done now tells of the pace, too
            pace = max(pace, self._pace(waited, step))
        overdue = OVERDUE * waited if step else 0.0
        seconds = pace * after + max(pace * step - waited if waited <= expected else 0.0, overdue)
        return Left(seconds, self._advances > 0, waited > 2 * expected)

    def _pace(self, waited: float = 0.0, step: float = 0.0) -> float:
        """Seconds that a planned second takes; without a plan, seconds per unit.

        Args:
            waited: seconds since the last unit was done.
            step: planned seconds, or number, of the units that were to be done in this time.
        """
        measured, done = self._recent[0] + waited, self._recent[1] + step
        return measured / done if done else 1.0

    def _usual_step(self) -> int:
        """Units that are done at once; before the first are done, a quarter of all."""
        if not self._advances:
            return max(1, (self.total - self._first) // 4)
        return max(1, round((self.done - self._first) / self._advances))

    def _cost(self, start: int, end: int) -> float:
        """The planned seconds of the units in between; without a plan, their number."""
        end = min(end, self.total)
        if end <= start:
            return 0.0
        if self._planned is None:
            return end - start
        return self._planned * (end - start) / max(self.total - self._first, 1)


class Forecast:
    """The time that a run still takes."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._parts: dict[str, dict[str, Part]] = {}
        self._took: dict[str, tuple[float, float]] = {}  # by kind: measured and planned seconds
        self._stage, self._start = "", 0.0
        self._begun: set[str] = set()
        self._task: TaskForecast | None = None
        self._task_scale = 1.0
        self._telling = False
        self._of_tasks = (0.0, 0.0)  # what the finished tasks of this stage have taught

    def plan(self, seconds: Mapping[str, float], parts: Mapping[str, Sequence[Part]] | None = None) -> None:
        """Sets what the remaining stages take by the plan.

        Args:
            seconds: by stage.
            parts: by stage, the tasks that take most of it.
        """
        self._seconds = dict(seconds)
        self._parts = {stage: {part.label: part for part in some} for stage, some in (parts or {}).items()}

    def learn(self, stage: str, measured: float, planned: float) -> None:
        """Notes what a stage took; later stages of its kind are scaled by it."""
        old = self._earlier(stage, planned)
        self._took[_kind(stage)] = (old[0] + measured, old[1] + planned)

    def _earlier(self, stage: str, newer: float) -> tuple[float, float]:
        """Measured and planned seconds of earlier stages of this kind, less of them the more newer work was planned."""
        measured, planned = self._took.get(_kind(stage), (0.0, 0.0))
        kept = exp(-newer / max(FORGOTTEN * planned, PRIOR_SECONDS))
        return measured * kept, planned * kept

    def scaled(self, stage: str, seconds: float) -> float:
        """Returns what the stage is expected to take, after what is known of this machine."""
        measured, planned = self._earlier(stage, 0.0)
        if self._task is not None and stage != self._stage and _kind(stage) == _kind(self._stage):
            took, scaled = self._task.measured()
            newer = scaled / self._task_scale
            measured, planned = self._earlier(stage, newer)
            measured, planned = measured + took, planned + newer
        scale = (measured + PRIOR_SECONDS) / (planned + PRIOR_SECONDS)
        return seconds * min(max(scale, SCALES[0]), SCALES[1])

    def enter(self, stage: str, now: float) -> None:
        """A stage begins."""
        self._stage, self._start, self._task = stage, now, None
        self._of_tasks = (0.0, 0.0)
        self._begun.clear()

    def leave(self, stage: str, now: float) -> None:
        """A stage is done, or skipped."""
        planned = self._seconds.pop(stage, None)
        if planned is not None and stage == self._stage:
            took, taught = self._of_tasks
            self.learn(stage, max(now - self._start - took, 0.0), max(planned - taught, 0.0))
        if stage == self._stage:
            self._stage, self._task = "", None

    def begin_task(self, label: str, total: int, done: int, now: float) -> TaskForecast:
        """A task of the stage begins, and the one before it is done."""
        if self._task is not None and self._telling:
            took, scaled = self._task.measured()
            newer = scaled / self._task_scale
            self.learn(self._stage, took, newer)
            self._of_tasks = (self._of_tasks[0] + took, self._of_tasks[1] + newer)
        part = self._parts.get(self._stage, {}).get(label)
        planned = None
        if part is not None and part.seconds > 0:
            planned = self.scaled(self._stage, part.seconds)
            if total:
                planned *= max(total - done, 0) / total
        self.skip([label])
        self._telling = part is not None and part.telling
        self._task_scale = self.scaled(self._stage, 1.0)
        self._task = TaskForecast(now, total, done, planned or None)
        return self._task

    def skip(self, labels: Iterable[str]) -> None:
        """These tasks of the stage are not to come any more."""
        self._begun.update(labels)

    def left(self, now: float) -> float:
        """Returns the seconds that the run still takes."""
        later = sum(self.scaled(name, s) for name, s in self._seconds.items() if name != self._stage)
        return later + self._of_this_stage(now)

    def _of_this_stage(self, now: float) -> float:
        planned = self.scaled(self._stage, self._seconds.get(self._stage, 0.0))
        waited = now - self._start
        if not self._begun or self._task is None:
            return max(planned - waited, OVERDUE * waited) if planned else 0.0
        to_come = [p.seconds for p in self._parts.get(self._stage, {}).values() if p.label not in self._begun]
        current = self._task.left(now).seconds
        return (current or 0.0) + self.scaled(self._stage, sum(to_come))


def _kind(stage: str) -> str:
    """Stages of one kind are as far from their plans as each other: those that train, and those that ask models."""
    if stage in {method.name for method in METHODS}:
        return "training"
    return "asking" if stage in ("generate", "prefer", "evaluate", "agents") else stage
