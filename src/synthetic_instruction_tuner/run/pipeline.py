"""The stages in their order, and the runner that skips, resumes or redoes each of them.

A stage's key is a hash of its settings, its code version and the outputs of the stages before it. Same key and done:
skipped. Same key and partly done: resumed. Another key: the stage runs again, and the reason is shown.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from synthetic_instruction_tuner.config import Config, fingerprint
from synthetic_instruction_tuner.data_files.file_hashes import clear_way
from synthetic_instruction_tuner.errors import SitError, UserError
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.models.memory import set_apart
from synthetic_instruction_tuner.models.peak_memory import peak_memory_gb, reset_peak_memory
from synthetic_instruction_tuner.reporting.formatting import duration, gigabytes
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.kept_settings import keep_settings
from synthetic_instruction_tuner.run.own_data.fitting import fitted, own_files_changed
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.progress.progress_file import ProgressFile
from synthetic_instruction_tuner.run.repair import forget, keep_aside, open_store
from synthetic_instruction_tuner.run.stages import evaluate, filter, generate, prefer, report, training
from synthetic_instruction_tuner.run.stages.agents import stage as agents
from synthetic_instruction_tuner.run.stages.stage import Context, Outcome, Stage, Stopwatch
from synthetic_instruction_tuner.run.store import StageState, Store
from synthetic_instruction_tuner.run.written_files import WEIGHTS, Damage, WrittenFiles, keep_file, one_line

STAGES: tuple[Stage, ...] = (
    generate.STAGE,
    filter.STAGE,
    prefer.STAGE,
    *training.STAGES,
    evaluate.STAGE,
    agents.STAGE,
    report.STAGE,
)


def ordered(config: Config) -> tuple[Stage, ...]:
    """Returns the stages in the order of a run, with those that the user's own data make unnecessary.

    Where the tuned students themselves answer for preference pairs, prefer comes after sft and reads from it.
    """
    return tuple(fitted(config, stage) for stage in _in_order(config))


def _in_order(config: Config) -> tuple[Stage, ...]:
    if config.prefer.on_policy != "sft" or config.data.pairs:
        return STAGES
    moved = dataclasses.replace(prefer.STAGE, inputs=("filter", "sft"))
    rest = [stage for stage in STAGES if stage is not prefer.STAGE]
    place = [stage.name for stage in rest].index("sft") + 1
    return (*rest[:place], moved, *rest[place:])


@dataclass(frozen=True, slots=True)
class Step:
    """What a run would do to a stage now.

    Attributes:
        action: ``skip`` (done), ``resume`` (partly done), ``start`` (never run), ``redo`` (something changed).
        why: why it runs again, in one line for the user.
        damage: its files that are not what it has written; what it hands on to later stages stays the same.
        in_doubt: whether it runs again only if an earlier stage's new output is another one.
    """

    stage: Stage
    action: str
    why: str = ""
    damage: tuple[Damage, ...] = ()
    in_doubt: bool = False


def stage_names(config: Config | None = None) -> list[str]:
    """Returns the stages' names in their order."""
    return [stage.name for stage in (ordered(config) if config else STAGES)]


def stage_index(name: str, config: Config | None = None) -> int:
    """Returns a stage's place.

    Raises:
        UserError: there is no such stage.
    """
    if name not in stage_names():
        raise UserError(f"There is no stage '{name}'.", "The name is unknown.", f"Stages: {', '.join(stage_names())}.")
    return stage_names(config).index(name)


def run_pipeline(
    config: Config,
    folder: RunFolder,
    display: Display,
    hardware: Hardware,
    *,
    start: str | None = None,
    until: str | None = None,
    repair: bool = False,
    files: WrittenFiles | None = None,
) -> list[StageState]:
    """Runs the stages, resuming what the folder already holds.

    Args:
        start: this stage and those after it run again from their beginning.
        until: stop after this stage.
        repair: drop damaged batches, or set an unreadable store aside, before anything else.
        files: what has verified the run's files already, if something has.

    Raises:
        UserError, RunError: see the stages; whatever was committed is kept.
    """
    stages = ordered(config)
    first = stage_index(start, config) if start else None
    wanted = stages[: stage_index(until, config) + 1] if until else stages
    files = files or WrittenFiles(folder)
    with folder.hold():
        store, earlier = open_store(folder, display, files, [stage.name for stage in stages], repair)
        display.tell = ProgressFile(folder.progress).write
        try:
            keep_settings(store, folder.config, config.as_json(), display.say)
            if first is not None:
                forget(config, folder, store, stages, first, files)
            if any(step.action != "skip" for step in preview(config, folder, store, files)[: len(wanted)]):
                files.read_all()
            return _run_stages(config, folder, store, display, hardware, wanted, files, earlier, repair)
        finally:
            display.tell(None)
            store.close()


def preview(config: Config, folder: RunFolder, store: Store | None, files: WrittenFiles | None = None) -> list[Step]:
    """Returns what a run would do to each stage, as far as it can be known before it runs."""
    files = files or WrittenFiles(folder)
    steps: list[Step] = []
    digests: dict[str, str] = {}
    for stage in ordered(config):
        state = store.stage(stage.name) if store else None
        if any(name not in digests for name in stage.inputs):
            steps.append(_after(steps, stage, config, state))
            continue
        step = _step(stage, config, folder, state, _key(stage, config, digests), store, files)
        steps.append(step)
        if (step.action == "skip" or step.damage) and state and state.digest:
            digests[stage.name] = state.digest
    return steps


def _after(steps: Sequence[Step], stage: Stage, config: Config, state: StageState | None) -> Step:
    """What a run would do to a stage that reads from one that is not done."""
    if state is None:
        return Step(stage, "start")
    changed = _what_changed(state.part, stage.part(config))
    *others, last = (step.stage.name for step in steps if step.stage.name in stage.inputs and step.action != "skip")
    reads = f"{', '.join(others)} or {last}" if others else last
    return Step(stage, "redo", changed or f"only if the output of {reads} changes", in_doubt=not changed)


def is_current(stage: Stage, config: Config, store: Store) -> bool:
    """Returns whether the work on a stage belongs to these settings and to its inputs as they are now."""
    inputs = {name: store.stage(name) for name in stage.inputs}
    digests = {name: state.digest for name, state in inputs.items() if state and state.digest}
    state = store.stage(stage.name)
    return state is not None and digests.keys() == inputs.keys() and state.key == _key(stage, config, digests)


def _run_stages(
    config: Config,
    folder: RunFolder,
    store: Store,
    display: Display,
    hardware: Hardware,
    stages: Sequence[Stage],
    files: WrittenFiles,
    earlier: dict[str, StageState],
    repair: bool,
) -> list[StageState]:
    digests: dict[str, str] = {}
    keys: dict[str, str] = {}
    for stage in stages:
        key = keys[stage.name] = _key(stage, config, digests)
        before = store.stage(stage.name)
        step = _step(stage, config, folder, before, key, store, files)
        if step.action == "skip":
            display.leave_stage(stage.name)
        else:
            if step.why:
                display.say(f"  {stage.name} runs again: {step.why}")
            keep_aside(step.damage, folder, display)
            if before is None and not repair:
                _keep_foreign(stage, config, folder, store, display)
            done = before if step.damage else earlier.get(stage.name)
            _run_stage(Context(config, folder, store, display, hardware, stage.name, key, keys), stage, files, done)
        state = store.stage(stage.name)
        assert state and state.digest
        digests[stage.name] = state.digest
    return [state for stage in stages if (state := store.stage(stage.name))]


def _keep_foreign(stage: Stage, config: Config, folder: RunFolder, store: Store, display: Display) -> None:
    """Puts aside files at the places of a stage's outputs that were there before the stage has ever begun."""
    begun = [other for other in ordered(config) if store.stage(other.name)]
    own = {path for other in begun for path in other.outputs(config, folder)}
    for path in sorted(stage.outputs(config, folder), key=lambda path: path.name != WEIGHTS):  # with its whole folder
        if path not in own and path.is_file() and (moved := keep_file(path)):
            name, kept = (p.relative_to(folder.root) for p in (path, moved))
            display.say(f"  {name} is not of this run; it is kept as {kept}")


def _run_stage(ctx: Context, stage: Stage, files: WrittenFiles, done: StageState | None) -> None:
    """Runs a stage; where it only makes damaged files of a stage again that was done, the stage keeps its time."""
    part = stage.part(ctx.config)
    for path in stage.outputs(ctx.config, ctx.folder):
        if moved := clear_way(path, ctx.folder.root):
            name, kept = (p.relative_to(ctx.folder.root) for p in (path, moved))
            ctx.display.say(f"  what stood in the way of {name} is kept as {kept}")
    ctx.store.begin_stage(stage.name, ctx.key, part)
    ctx.display.enter_stage(stage.name, stage.title)
    set_apart()
    reset_peak_memory()
    ctx.watch = Stopwatch()
    try:
        outcome = stage.run(ctx)
    except SitError as error:
        ctx.store.fail_stage(stage.name, error.problem)
        raise
    ctx.store.add_time(stage.name, ctx.watch.lap(), peak_memory_gb())
    files.record(ctx.store, stage.name, [*stage.outputs(ctx.config, ctx.folder), *outcome.files])
    ctx.store.finish_stage(stage.name, outcome.digest, outcome.rows_in, outcome.rows_out, outcome.note)
    if done and (done.key, done.digest) == (ctx.key, outcome.digest):
        ctx.store.set_time(stage.name, done.seconds, done.peak_memory_gb)
    ctx.display.leave_stage(stage.name)
    _say_done(ctx, stage, outcome)


def _say_done(ctx: Context, stage: Stage, outcome: Outcome) -> None:
    state = ctx.store.stage(stage.name)
    assert state
    if stage.skipped and outcome.rows_out is None:
        return ctx.display.say(f"  {outcome.note}")
    flow = stage.flow(outcome.rows_in, outcome.rows_out)
    memory = gigabytes(state.peak_memory_gb) if state.peak_memory_gb else ""
    facts = "; ".join(fact for fact in (flow, outcome.note, duration(state.seconds), memory) if fact)
    ctx.display.say(f"  done: {facts}")


def _key(stage: Stage, config: Config, digests: dict[str, str]) -> str:
    return fingerprint(stage.name, stage.version, stage.part(config), [digests[name] for name in stage.inputs])


def _step(
    stage: Stage,
    config: Config,
    folder: RunFolder,
    state: StageState | None,
    key: str,
    store: Store | None,
    files: WrittenFiles,
) -> Step:
    if state is None or store is None:
        return Step(stage, "start")
    if state.key != key:
        return Step(stage, "redo", _what_changed(state.part, stage.part(config)) or "an earlier stage's output changed")
    if state.status != "done":
        return Step(stage, "resume")
    damage = files.damage(store, stage.name, stage.outputs(config, folder))
    return Step(stage, "redo", one_line(damage), tuple(damage)) if damage else Step(stage, "skip")


def _what_changed(old: dict[str, Any], new: dict[str, Any]) -> str:
    before, after = flat(old), flat(new)
    changed = [k for k in {**before, **after} if before.get(k) != after.get(k)]
    if not changed:
        return ""
    if own := own_files_changed(old, new):
        return own
    shown = ", ".join(f"{k} {before.get(k)} -> {after.get(k)}" for k in changed[:2])
    return shown + (f" and {len(changed) - 2} more" if len(changed) > 2 else "")


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Returns the values of nested settings as JSON texts, by their dotted names."""
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        value = {str(i): one for i, one in enumerate(value)}
    if isinstance(value, dict):
        return {
            k: v for key, part in value.items() for k, v in flat(part, f"{prefix}.{key}" if prefix else key).items()
        }
    return {prefix: json.dumps(value, sort_keys=True)}  # a stored part comes back with its keys sorted
