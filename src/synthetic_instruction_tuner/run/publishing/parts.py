"""The parts of a run that can be pushed now, and what is missing of those that were asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from synthetic_instruction_tuner.config import Config, ModelConfig, tuned_students
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.methods import METHODS, Method
from synthetic_instruction_tuner.publishing.names import Target, distinct
from synthetic_instruction_tuner.publishing.repository import Kind
from synthetic_instruction_tuner.run.folder import RunFolder, shown
from synthetic_instruction_tuner.run.pipeline import Step
from synthetic_instruction_tuner.run.written_files import WEIGHTS

WHAT = ("data", "adapters", "merged", "soft_prompt", "report")
USUAL = ("data", "adapters", "report")
DATA_SETS = {"generate": "raw", "filter": "filtered", "prefer": "preference"}
"""The names of the data's configurations, by the stage that makes them."""
_STATES = {"start": "is not done yet", "resume": "is partly done", "redo": "is out of date or damaged"}


@dataclass(frozen=True, slots=True)
class Part:
    """One repository of a run.

    Attributes:
        what: one of `WHAT`.
        kind: of the repository.
        id: ``OWNER/NAME``.
        title: what it is, for people.
        student, method: of a model.
        stages: of data: the stages whose data there are.
        missing: what is not in it, a sentence each.
    """

    what: str
    kind: Kind
    id: str
    title: str
    student: ModelConfig | None = None
    method: Method | None = None
    stages: Sequence[str] = ()
    missing: Sequence[str] = ()

    @property
    def name(self) -> str:
        """What tells it from the other parts of the run, whatever the repository is called."""
        return "/".join([self.what, *([self.student.name] if self.student else []), *self._method()])

    def _method(self) -> list[str]:
        return [self.method.name] if self.method else []


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked for.

    Attributes:
        what: some of `WHAT`.
        students: only these students' models; all where none is named.
        variants: only these methods' models; all where none is named.
    """

    what: Sequence[str] = USUAL
    students: Sequence[str] = ()
    variants: Sequence[str] = ()


def parts_of(
    config: Config, folder: RunFolder, steps: Sequence[Step], target: Target, choice: Choice
) -> tuple[list[Part], list[str]]:
    """Returns the parts that can be pushed, and a sentence for each that cannot.

    Args:
        config: the run's settings.
        folder: the run.
        steps: what a run would do to each stage now.
        target: where it is pushed.
        choice: what is asked for.

    Raises:
        UserError: none of it is there.
    """
    state = {step.stage.name: step for step in steps}
    found: list[Part] = []
    missing: list[str] = []
    if "data" in choice.what:
        sets, without = _data(state)
        if sets:
            found.append(Part("data", "dataset", target.repository(), "data", stages=sets, missing=without))
        missing += without
    for what in ("adapters", "merged", "soft_prompt"):
        if what in choice.what:
            models, without = _models(config, folder, state, target, choice, what)
            found += models
            missing += [line for line in without if line not in missing]
    if "report" in choice.what:
        if not (reason := _undone(state, "report")):
            found.append(Part("report", "space", target.repository(), "report"))
        else:
            missing.append(f"report: {reason}")
    if not found:
        if not missing:
            cause = "No model of this run is what --what, --student and --variant name together."
            fix = "merged is for variants with LoRA, soft_prompt for prompt tuning, adapters for all of them."
            raise UserError("There is nothing to push.", cause, fix)
        fix = f"Bring the run further: sit run -d {shown(folder.root)}"
        raise UserError("There is nothing to push.", "; ".join(missing), fix)
    return found, missing


def _data(state: Mapping[str, Step]) -> tuple[list[str], list[str]]:
    """Returns the stages whose data there are, and what is missing."""
    sets, missing = [], []
    for stage, name in DATA_SETS.items():
        if state[stage].stage.skipped and not _undone(state, stage):
            continue  # the user's own data begin later
        if reason := _undone(state, stage):
            missing.append(f"data, {name}: {reason}")
        else:
            sets.append(stage)
    return sets, missing


def _models(
    config: Config, folder: RunFolder, state: Mapping[str, Step], target: Target, choice: Choice, what: str
) -> tuple[list[Part], list[str]]:
    found, missing = [], []
    names = distinct(student.name for student in config.models.students)
    for method in METHODS:
        if (choice.variants and method.name not in choice.variants) or not _fits(method, what):
            continue
        for student in tuned_students(config, method):
            if choice.students and student.name not in choice.students:
                continue
            if reason := _untrained(folder, state, method, student):
                missing.append(f"{student.name}, {method.label}: {reason}")
                continue
            words = [names[student.name], method.name.replace("_", "-"), "adapter" if what == "adapters" else ""]
            title = f"{student.name}, {method.label}{_as(what)}"
            found.append(Part(what, "model", target.repository(*words), title, student, method))
    return found, missing


def _as(what: str) -> str:
    return {"adapters": ", adapter", "merged": ", merged model", "soft_prompt": ", model with its soft prompt"}[what]


def _fits(method: Method, what: str) -> bool:
    return what == "adapters" or (what == "soft_prompt") == (method.name == "prompt_tuning")


def _untrained(folder: RunFolder, state: Mapping[str, Step], method: Method, student: ModelConfig) -> str:
    """Returns why a student's adapter is not there; empty where it is."""
    reason = _undone(state, method.name)
    whole = (folder.adapter(method.name, student.name) / WEIGHTS).is_file()
    return "" if whole and (not reason or state[method.name].action == "resume") else reason or "its adapter is missing"


def _undone(state: Mapping[str, Step], stage: str) -> str:
    step = state[stage]
    return "" if step.action == "skip" else f"stage {stage} {_STATES[step.action]}"


def chosen(what: str | None) -> tuple[str, ...]:
    """Returns what a list such as ``data,adapters`` names.

    Raises:
        UserError: it names something else, or nothing.
    """
    if what is None:
        return USUAL
    names = [name.strip().replace("-", "_") for name in what.split(",") if name.strip()]
    unknown = [name for name in names if name not in WHAT]
    if unknown or not names:
        problem = f"--what {what} is not possible." if unknown else "--what names nothing."
        raise UserError(problem, f"Parts of a run: {', '.join(WHAT)}.", "Write for example --what data,adapters")
    return tuple(name for name in WHAT if name in names)


def checked(config: Config, students: Collection[str], variants: Collection[str]) -> None:
    """Stops where a student or a variant is named that the run does not have.

    Raises:
        UserError: one is.
    """
    for names, known, option in (
        (students, [model.name for model in config.models.students], "--student"),
        (variants, [method.name for method in METHODS], "--variant"),
    ):
        for name in _unknown(names, known):
            raise UserError(f"{option} {name} is not in this run.", f"It has {', '.join(known)}.", "Name one of them.")


def _unknown(names: Collection[str], known: Sequence[str]) -> Iterator[str]:
    yield from (name for name in names if name not in known)
