"""``sit plan``: what a run would do, or do again in its folder, before anything is loaded; it writes nothing."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated

import typer

from synthetic_instruction_tuner.cli.options import (
    ConfigFile,
    Json,
    Limit,
    Profile,
    RunDir,
    Set,
    Wide,
    configuration,
    opened,
    price_of_an_hour,
    profile_line,
    run_folder,
)
from synthetic_instruction_tuner.cli.run import From, Until
from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.subsets import what_subsets_show
from synthetic_instruction_tuner.models.hardware import Hardware, detect
from synthetic_instruction_tuner.reporting.formatting import duration, gigabytes
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json
from synthetic_instruction_tuner.run.checks.model_checks import check_local_models
from synthetic_instruction_tuner.run.checks.settings_checks import check_settings, check_stages
from synthetic_instruction_tuner.run.costs.cards import Card, card_of, machine_with, read_card
from synthetic_instruction_tuner.run.costs.fitting import settings_that_fit
from synthetic_instruction_tuner.run.costs.plan_tables import (
    downloads_gb,
    models_table,
    money,
    stages_table,
    tasks_table,
)
from synthetic_instruction_tuner.run.folder import RunFolder, shown
from synthetic_instruction_tuner.run.pipeline import ordered, stage_index, stage_names
from synthetic_instruction_tuner.run.planning import StageEstimate, does_not_fit, estimate, largest, too_large
from synthetic_instruction_tuner.run.remaining import Ahead, StageAhead, look_ahead


def plan(
    profile: Profile = None,
    config: ConfigFile = None,
    set_: Set = None,
    limit: Limit = None,
    run_dir: RunDir = None,
    from_: From = None,
    until: Until = None,
    on: Annotated[
        Card | None,
        typer.Option(
            "--on",
            help="Plan for this GPU instead of this machine: t4, l4, a100-40, a100-80, h100, h200, or its memory, "
            "bandwidth and FLOP/s, such as memory=24GB,bandwidth=1TB/s,flops=120TFLOPS.",
            parser=read_card,
            metavar="GPU",
        ),
    ] = None,
    price_per_hour: Annotated[
        float | None,
        typer.Option(
            "--price-per-hour", help="What an hour of the machine costs.", parser=price_of_an_hour, metavar="PRICE"
        ),
    ] = None,
    wide: Wide = False,
    as_json: Json = False,
    settings: Annotated[
        bool, typer.Option("--settings", help="Print the whole resolved configuration instead.")
    ] = False,
) -> None:
    """Prints the plan."""
    resolved = configuration(profile, config, set_, limit, run_dir)
    if settings:
        echo_json(resolved.as_json())
        return
    check_stages(resolved, from_, until)
    check_local_models(resolved)
    asked = _asked(resolved, on, price_per_hour)
    screen = Screen(wide=wide)
    first = profile_line(profile, config, run_dir, asked.hardware)
    folder = run_folder(resolved, run_dir)
    if on:  # the whole run, wherever this machine's one stands
        _plan_new(resolved, folder, until, screen, as_json, asked, first)
        return
    if from_:
        resolved, folder = opened(profile, config, set_, limit, folder.root, new=False)
    elif run_dir is None or not folder.holds_run():
        _plan_new(resolved, folder, until, screen, as_json, asked, first)
        return
    folder.require_current_format()
    hardware = asked.hardware
    ahead = look_ahead(resolved, folder, hardware, from_, until)
    if ahead.todo:
        check_settings(resolved, hardware, until)
    if as_json:
        echo_json(json.dumps(_ahead_as_json(resolved, folder, ahead, hardware)))
    else:
        if first:
            screen.say(first)
        _print_ahead(resolved, folder, ahead, hardware, screen)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the plan is for.

    Attributes:
        hardware: the machine.
        card: the GPU that ``--on`` names, if it does.
        price: of an hour there.
    """

    hardware: Hardware
    card: Card | None
    price: float | None

    def machine(self) -> str:
        """Returns the machine in a few words."""
        if self.card is None:
            return self.hardware.describe()
        speed = f"{self.card.bandwidth / 1e9:,.0f} GB/s, {self.card.flops / 1e12:,.0f} TFLOP/s"
        return f"{self.card.name} ({self.card.memory_gb:.1f} GB for programs, {speed}), wherever it is"

    @property
    def speed_assumed(self) -> bool:
        """Whether the GPU is one that nobody has described."""
        return self.card is None and self.hardware.device == "cuda" and card_of(self.hardware).assumed


def _asked(config: Config, card: Card | None, price: float | None) -> Asked:
    if card is None:
        return Asked(detect(config.engine.device), None, price)
    if config.engine.device == "cpu":
        raise UserError("--on names a GPU.", "engine.device is cpu.", "Leave one of them out.")
    return Asked(machine_with(card, detect("cpu")), card, price)


def _plan_new(
    config: Config,
    folder: RunFolder,
    until: str | None,
    screen: Screen,
    as_json: bool,
    asked: Asked,
    first: str | None,
) -> None:
    hardware = asked.hardware
    check_settings(config, hardware, until, here=asked.card is None)
    last = stage_index(until, config) if until else None
    names = stage_names(config)[: last + 1 if last is not None else None]
    every = estimate(config, hardware, asked.card)
    estimates = sorted((e for e in every if e.stage in names), key=lambda e: names.index(e.stage))
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "config": config.model_dump(mode="json"),
                    "stages": [dataclasses.asdict(e) for e in estimates],
                    "warning": does_not_fit(estimates, hardware),
                    "fixes": _with_settings(config, estimates, asked),
                    "machine": dataclasses.asdict(hardware),
                    "download_gb": downloads_gb(config),
                    "price": None if asked.price is None else _seconds(estimates) / 3600 * asked.price,
                }
            )
        )
    else:
        if first:
            screen.say(first)
        _print(config, estimates, asked, screen)
        if asked.card:
            return
        name = shown(folder.root)
        if folder.holds_run():
            screen.say(f"{name} holds a run: 'sit plan -d {name}' with the same options shows what runs again there.")
        else:
            screen.say(f"{name} holds no run yet: all of this would be done.")


def _ahead_as_json(config: Config, folder: RunFolder, ahead: Ahead, hardware: Hardware) -> dict[str, object]:
    return {
        "run_dir": str(folder.root),
        "config": config.model_dump(mode="json"),
        "changes": list(ahead.changes or ()),
        "stages": [
            dataclasses.asdict(stage.estimate)
            | {
                "seconds": stage.seconds,
                "state": stage.condition,
                "next": stage.step.action,
                "why": stage.step.why or stage.step.stage.skipped,
                "replaces_seconds": stage.state.seconds if stage.replaced and stage.state else 0.0,
            }
            for stage in ahead.stages
        ],
        "warning": does_not_fit((stage.estimate for stage in ahead.todo), hardware),
    }


def _print_ahead(config: Config, folder: RunFolder, ahead: Ahead, hardware: Hardware, screen: Screen) -> None:
    screen.say(f"{shown(folder.root)}: profile {config.profile}, seed {config.seed}\nOn {hardware.describe()}")
    if ahead.changes:
        screen.say("\n".join(["\nSettings that change:", *(f"  {change}" for change in ahead.changes)]))
    table = Table(
        Column("stage", "name", key=True),
        Column("now", "name"),
        Column("a run", "name"),
        Column("time", "whole"),
        Column("why"),
    )
    for stage in ahead.stages:
        now = f"{stage.condition}: {stage.amount.describe()}" if stage.amount else stage.condition
        time = duration(stage.seconds) if stage.step.action != "skip" else ""
        table.add(stage.step.stage.name, now, _deed(stage), time, stage.step.why or stage.step.stage.skipped)
    screen.say()
    screen.table(table)
    if not ahead.todo:
        screen.say("\nEverything is done: a run would do nothing.")
        return
    screen.say(f"\nEstimated: about {_span(ahead)}.")
    if ahead.replaced:
        screen.say(f"It would replace finished work that took {duration(ahead.lost_seconds)}. {ahead.kept()}")
    if warning := does_not_fit((stage.estimate for stage in ahead.todo), hardware):
        screen.say(warning)


def _span(ahead: Ahead) -> str:
    least, most = duration(ahead.certain_seconds), duration(ahead.seconds)
    return most if least == most else f"{least}, or up to {most} with the stages in doubt"


def _deed(stage: StageAhead) -> str:
    if stage.step.in_doubt:
        return "may repeat it"
    return {"skip": "skips it", "resume": "goes on", "start": "does it", "redo": "repeats it"}[stage.step.action]


def _print(config: Config, estimates: list[StageEstimate], asked: Asked, screen: Screen) -> None:
    hardware = asked.hardware
    screen.say(f"Profile {config.profile}: {config.description}\nOn {asked.machine()}\n")
    screen.table(models_table(config))
    screen.say()
    titles = {stage.name: stage.title for stage in ordered(config)}
    screen.table(stages_table(estimates, titles, asked.price))
    if any(e.tasks for e in estimates):
        screen.say()
        screen.table(tasks_table(estimates))
    seconds, peak = _seconds(estimates), largest(estimates).memory_gb
    total = f"about {duration(seconds)} in total, peak memory about {gigabytes(peak)}"
    total += f", {gigabytes(sum(e.disk_gb for e in estimates))} of disk"
    if gb := downloads_gb(config):
        total += f", {gigabytes(gb)} to download"
    if asked.price is not None:
        total += f". Price: {money(seconds, asked.price)} at {asked.price:g} an hour"
    screen.say(f"\nEstimated: {total}.")
    if asked.speed_assumed:
        screen.say(f"The speed of {hardware.device_name} is not known here: its times assume a usual card. Use --on.")
    for line in [*what_subsets_show(config.evaluate), *_what_fits(config, estimates, asked)]:
        screen.say(line)


def _seconds(estimates: list[StageEstimate]) -> float:
    return sum(e.seconds for e in estimates)


def _what_fits(config: Config, estimates: list[StageEstimate], asked: Asked) -> list[str]:
    """Returns which stages do not fit, and the settings with which each does."""
    warning = does_not_fit(estimates, asked.hardware, "there" if asked.card else "here")
    if warning is None:
        return []
    lines = [warning, *_with_settings(config, estimates, asked)]
    if asked.hardware.device == "cpu":
        lines.append("With --on GPU, such as --on t4 or --on a100-40, this is a plan for a GPU that is not here.")
    return lines


def _with_settings(config: Config, estimates: list[StageEstimate], asked: Asked) -> list[str]:
    lines = []
    for stage in too_large(estimates, asked.hardware):
        found = settings_that_fit(config, asked.hardware, stage, asked.card)
        options = " ".join(f"--set {setting}" for setting in found or ())
        lines.append(f"{stage.stage} fits with {options}" if found else f"{stage.stage} fits with smaller models only.")
    return lines
