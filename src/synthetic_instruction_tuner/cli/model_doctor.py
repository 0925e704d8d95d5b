"""``sit doctor MODEL``: can this model write instructions?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import typer

from synthetic_instruction_tuner.config import Config, SamplingConfig
from synthetic_instruction_tuner.data_generation.faults import ENOUGH_PROBES, PROBES, Health
from synthetic_instruction_tuner.data_generation.faults import examine as examine_texts
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.hardware import Hardware, detect
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen
from synthetic_instruction_tuner.run.checks.model_checks import download_size
from synthetic_instruction_tuner.run.progress import Display

if TYPE_CHECKING:
    from synthetic_instruction_tuner.engines.base import Completion, Done, Engine, Request


PATIENCE = 5.0  # seconds to wait for a server: a user is waiting


@dataclass(frozen=True, slots=True)
class Findings:
    """What the doctor found.

    Attributes:
        model: the model's name.
        template: what was derived from its chat template.
        health: the probes' shares.
        least: the share of usable probes that a run asks for.
        records: the probes.
    """

    model: str
    template: dict[str, str]
    health: Health
    least: float
    records: tuple[Record, ...]

    @property
    def ready(self) -> bool:
        """Whether it is known that a run would start with this model."""
        return self.health.conclusive and self.health.problem(self.least) is None


def doctor_model(config: Config, probes: int, as_json: bool, quiet: bool = False) -> bool:
    """Prints the findings on the configuration's generator; returns whether a run would start with it."""
    with Display(quiet=quiet or as_json) as display:
        findings = probe(config, detect(config.engine.device), display, probes)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "model": findings.model,
                    "ready": findings.ready,
                    "min_healthy": findings.least,
                    "template": findings.template,
                    "health": findings.health.to_json(),
                    "instructions": [record.instruction for record in findings.records],
                }
            )
        )
    else:
        _print(findings)
    return findings.ready


def probe(config: Config, hardware: Hardware, display: Display, probes: int = PROBES) -> Findings:
    """Lets the generator write the first instructions of a run, and examines them.

    Raises:
        UserError: the model cannot be loaded, or its chat template cannot be used.
    """
    from synthetic_instruction_tuner.data_generation.magpie_generator import MagpieGenerator
    from synthetic_instruction_tuner.engines.choice import on_a_server
    from synthetic_instruction_tuner.engines.opening import open_engine
    from synthetic_instruction_tuner.models.availability import availability, shown_path

    model = config.models.generator
    served = on_a_server(model, config.engine)  # then the weights need not be here
    where = availability(model, reward=False, weights=not served)
    if fault := where.fault:  # before a library asks an unreachable Hub again and again
        raise UserError(f"Model {shown_path(model)} cannot be loaded.", fault.reason, fault.fix)
    if where.folder is None and not served:
        display.say(f"Downloading {model.path}: {download_size(where.download_gb)}")
    display.say(f"Loading {model.path}")
    hasty = config.engine.model_copy(update={"outage": min(config.engine.outage, PATIENCE)})
    with open_engine(model, hasty, hardware) as (engine, template):
        facts = template.describe() | ({"speed": slow} if (slow := engine.capabilities.slow) else {})
        with display.task(f"asking {model.name}", probes, "instructions") as advance:
            listener = _Listener(engine, template.opening_ids)
            generator = MagpieGenerator(
                config.generate, template, cast("Engine", listener), seed=config.seed, model_name=model.name
            )
            records = generator.ask(range(probes), done=advance)
        leaked = listener.leaked
        # It must not outlive the engine: its references keep the model in memory.
        del generator, listener, engine, template
    cut = [record.provenance["instruction_finish"] == "length" for record in records]
    health = examine_texts([record.instruction for record in records], cut, leaked)
    return Findings(model.name, facts, health, config.generate.min_healthy, tuple(records))


class _Listener:
    """Lets an engine continue where a special token begins another turn, and notes which texts did so.

    A run stops such a text there, so that it never sees how often that happens.
    """

    def __init__(self, engine: Engine, openings: frozenset[int]) -> None:
        self._engine, self._openings = engine, openings
        self.leaked: list[bool] = []

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """Returns what the engine returns."""
        stops = [tuple(stop for stop in request.stop_ids if stop not in self._openings) for request in requests]
        asked = [replace(request, stop_ids=kept) for request, kept in zip(requests, stops, strict=True)]
        completions = self._engine.generate(asked, done)
        self.leaked += [not self._openings.isdisjoint(completion.token_ids) for completion in completions]
        return completions


def for_model(config: Config, sampling_chosen: bool) -> Config:
    """Returns the configuration with sampling for a model of any size, unless the user has chosen the sampling."""
    if sampling_chosen or config.models.generator.path.startswith("nano:"):
        return config
    generate = config.generate.model_copy(update={"instruction": SamplingConfig()})
    return config.model_copy(update={"generate": generate})


def _print(findings: Findings) -> None:
    screen, health = Screen(), findings.health
    screen.say(f"Chat template of {findings.model}", style="bold")
    facts = Table(Column("", key=True), Column(""), headings=False)
    for name, value in findings.template.items():
        facts.add(f"  {name}", value)
    screen.table(facts)
    screen.say(f"\n{health.probes} instructions from the template alone", style="bold")
    number = Column("", "whole", right=True)
    shares = Table(Column("", key=True), number, number, Column(""), headings=False)
    for name, count in (*health.faults.items(), ("usable", health.usable)):
        share = count / health.probes if health.probes else 0.0
        label = {"answering": "answering instead of asking"}.get(name, name.replace("_", "-"))
        shares.add(f"  {label}", f"{count}", f"{share:.0%}", health.examples.get(name, ""))
    screen.table(shares)
    problem = health.problem(findings.least)
    if not health.conclusive:
        found = f"{health.usable} of {health.probes} are usable"
        screen.say(f"\nToo few probes to decide: {found}; a decision needs {ENOUGH_PROBES} probes.")
    elif problem is None:
        screen.say(f"\nUsable as a generator: {health.share:.0%} are usable, a run needs {findings.least:.0%}.")
    else:
        screen.say("\n".join(["", *problem.lines()]))
