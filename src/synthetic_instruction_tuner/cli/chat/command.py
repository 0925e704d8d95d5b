"""``sit chat``: talk to any variant of a run's students."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synthetic_instruction_tuner.cli.chat.exported import exported_model
from synthetic_instruction_tuner.cli.chat.session import Answering, Input, converse
from synthetic_instruction_tuner.cli.options import RunDir, existing_run
from synthetic_instruction_tuner.config import Config, EngineConfig, ModelConfig
from synthetic_instruction_tuner.config.messages import nearest
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.methods import BASE, METHODS, VARIANTS
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.run.folder import RunFolder, shown
from synthetic_instruction_tuner.run.written_files import require_whole

if TYPE_CHECKING:
    Variant = str
else:
    Variant = Literal[VARIANTS]  # Typer reads the choices from it
_VERBS = {method.verb: method.name for method in METHODS} | {variant: variant for variant in VARIANTS}


def chat(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STUDENT] [VARIANT]",
            help="Whom to talk to, in any order, or the folder of an export; the first student and its last trained "
            "variant when not given.",
            show_default=False,
        ),
    ] = None,
    variant: Annotated[
        Variant | None, typer.Option("--variant", "-v", help="Variant to talk to.", show_default=False)
    ] = None,
    run_dir: RunDir = None,
    base: Annotated[
        str | None,
        typer.Option(help="Base model of an exported adapter, if it is a folder.", show_default=False, metavar="MODEL"),
    ] = None,
    temperature: Annotated[float, typer.Option(min=0, help="0 is greedy.")] = 0.7,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Maximum length of an answer, in tokens.")] = 256,
    system: Annotated[str | None, typer.Option(help="System prompt.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed gives the same answers.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print each answer as a line of JSON.")] = False,
) -> None:
    """Loads the variant and answers the user's messages."""
    source_of = exported_model(words or (), variant, run_dir, base)
    if source_of is not None:
        _talk(*source_of, EngineConfig(), "export", temperature, max_new_tokens, system, seed, as_json)
        return
    config, folder = existing_run(run_dir)
    model, wanted = whom(config, words or (), variant)
    chosen = wanted or last_trained(folder, model)
    adapter = adapter_of(folder, model, chosen)
    from synthetic_instruction_tuner.run.number_formats import as_trained

    trained = as_trained(folder, model)
    _talk(trained, adapter, config.engine, chosen, temperature, max_new_tokens, system, seed, as_json)


def _talk(
    model: ModelConfig,
    adapter: Path | None,
    config: EngineConfig,
    what: str,
    temperature: float,
    max_new_tokens: int,
    system: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Loads a model and answers the user's messages; `what` is said beside its name."""
    source = Input()  # nothing is loaded where there is nothing to answer
    if sys.stderr.isatty():
        typer.echo(f"Loading {model.name}, {what} ...", err=True)
    # Imported here: a mistake on the command line is reported before torch is loaded.
    from synthetic_instruction_tuner.engines.opening import open_engine

    with open_engine(model, config, detect(config.device), adapter, student=True) as (engine, template):
        if source.terminal:
            typer.echo(f"{model.name}, {what}. /help lists the commands, Ctrl-D ends the chat.", err=True)
        converse(source, Answering(engine, template, temperature, max_new_tokens, seed), system, as_json)


def whom(
    config: Config, words: Sequence[str], variant: str | None, verb: str = "chat"
) -> tuple[ModelConfig, str | None]:
    """Returns the student and the variant that the words name, in any order; None for a variant not named.

    Raises:
        UserError: a word names neither, or they name several.
    """
    students = {m.name: m for m in config.models.students} | {m.path: m for m in config.models.students}
    names = ", ".join(m.name for m in config.models.students)
    found: list[ModelConfig] = []
    variants = [variant] if variant else []
    for word in words:
        if word in students:
            found.append(students[word])
        elif word in _VERBS:
            variants.append(_VERBS[word])
        else:
            near = nearest(word, [*students, *_VERBS])
            fix = f"Did you mean {near}?" if near else f"Write for example: sit {verb} STUDENT VARIANT"
            cause = f"Students: {names}. Variants: {', '.join(VARIANTS)}."
            raise UserError(f"This run has no student '{word}', and there is no such variant.", cause, fix)
    if len(found) > 1 or len(set(variants)) > 1:
        raise UserError(
            f"'sit {verb}' takes one variant of one student.",
            f"You named {', '.join([m.name for m in found] + variants)}.",
            f"Write for example: sit {verb} STUDENT VARIANT",
        )
    return (found[0] if found else config.models.students[0]), (variants[0] if variants else None)


def last_trained(folder: RunFolder, model: ModelConfig) -> str:
    """Returns the last variant of the run's order that is there."""
    return _trained(folder, model)[-1]


def _trained(folder: RunFolder, model: ModelConfig) -> list[str]:
    methods = [method.name for method in METHODS if (_weights(folder, method.name, model)).is_file()]
    return [BASE, *methods]


def _weights(folder: RunFolder, variant: str, model: ModelConfig) -> Path:
    return folder.adapter(variant, model.name) / "adapter_model.safetensors"


def adapter_of(folder: RunFolder, model: ModelConfig, variant: str) -> Path | None:
    """Returns the folder of a trained adapter, which is whole; None for the base model.

    Raises:
        UserError: it is not trained yet.
        RunError: it is damaged.
    """
    if variant == BASE:
        return None
    if not _weights(folder, variant, model).is_file():
        raise UserError(
            f"{model.name} has no variant {variant} yet.",
            f"Variants: {', '.join(_trained(folder, model))}.",
            f"Name one of them, or train it: sit run -d {shown(folder.root)}",
        )
    path = folder.adapter(variant, model.name)
    require_whole(folder, variant, path)
    return path
