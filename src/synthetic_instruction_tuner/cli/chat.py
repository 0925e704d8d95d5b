"""``sit chat``: talk to any variant of a run, or to any model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synthetic_instruction_tuner.cli.options import RunDir, existing_run
from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.methods import BASE, METHODS, VARIANTS
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.records import Message
from synthetic_instruction_tuner.reporting.screen.terminal import echo
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.written_files import require_whole

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.engines.base import Engine

    Variant = str
else:
    Variant = Literal[VARIANTS]  # Typer reads the choices from it


def chat(
    student: Annotated[str | None, typer.Argument(help="A student of the run (the first when not given).")] = None,
    variant: Annotated[Variant, typer.Option("--variant", "-v", help="Variant to talk to.")] = VARIANTS[-1],
    run_dir: RunDir = None,
    temperature: Annotated[float, typer.Option(min=0, help="0 is greedy.")] = 0.7,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Maximum length of an answer, in tokens.")] = 256,
    system: Annotated[str | None, typer.Option(help="System prompt.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed gives the same answers.")] = 0,
) -> None:
    """Loads the variant and answers the user's messages."""
    from synthetic_instruction_tuner.engines.opening import open_engine

    config, folder = existing_run(run_dir)
    model = _student(config, student)
    adapter = _adapter(folder, model, variant)
    hardware = detect(config.engine.device)
    with open_engine(model, config.engine, hardware, adapter, student=True) as (engine, template):
        if sys.stdin.isatty():
            typer.echo(f"{model.name}, {variant}. /new starts a new conversation, /quit ends the chat.", err=True)
        _converse(engine, template, system, temperature, max_new_tokens, seed)


def _student(config: Config, name: str | None) -> ModelConfig:
    students = {m.name: m for m in config.models.students}
    if name is None:
        return config.models.students[0]
    if name not in students:
        raise UserError(f"This run has no student '{name}'.", "", f"Students: {', '.join(students)}.")
    return students[name]


def _adapter(folder: RunFolder, model: ModelConfig, variant: str) -> Path | None:
    if variant == BASE:
        return None
    path = folder.adapter(variant, model.name)
    if not (path / "adapter_model.safetensors").exists():
        done = [method.name for method in METHODS if folder.adapter(method.name, model.name).is_dir()]
        raise UserError(
            f"{model.name} has no variant {variant} yet.",
            f"Variants: {', '.join([BASE, *done])}.",
            "Train it with 'sit run'.",
        )
    require_whole(folder, variant, path)
    return path


def _converse(
    engine: Engine, template: ChatTemplate, system: str | None, temperature: float, max_new_tokens: int, seed: int
) -> None:
    from synthetic_instruction_tuner.engines.base import Request

    start = [Message("system", system)] if system else []
    messages = list(start)
    while (line := _read()) is not None:
        if line == "/new":
            messages = list(start)
        elif line:
            messages.append(Message("user", line))
            request = Request(
                tuple(template.prompt_ids(messages)), seed, max_new_tokens, tuple(template.stop_ids), temperature
            )
            answer = template.decode(engine.generate([request])[0].token_ids)
            echo(answer)
            messages.append(Message("assistant", answer))
            seed += 1


def _read() -> str | None:
    try:
        line = input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None
    return None if line == "/quit" else line
