"""``sit export``: one variant of a student as an ordinary model, or as an adapter with all that belongs beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synthetic_instruction_tuner.cli.chat.command import Variant, adapter_of, last_trained, whom
from synthetic_instruction_tuner.cli.options import Json, Quiet, RunDir, existing_run, output_path
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.methods import BASE, method
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json
from synthetic_instruction_tuner.run.folder import shown

if TYPE_CHECKING:
    from synthetic_instruction_tuner.exporting.export import Exported


def export(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STUDENT] [VARIANT]",
            help="What to export, in any order; the first student and its last trained variant when not given.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the export.", parser=output_path, metavar="FOLDER"),
    ] = None,
    variant: Annotated[
        Variant | None, typer.Option("--variant", "-v", help="Variant to export.", show_default=False)
    ] = None,
    run_dir: RunDir = None,
    adapter: Annotated[
        bool, typer.Option("--adapter", help="The adapter alone, which needs its base model beside it.")
    ] = False,
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16"] | None,
        typer.Option(help="Type of the weights; by default that of the base model's files.", show_default=False),
    ] = None,
    gguf: Annotated[
        Literal["q8_0", "f16", "q4_k_m"] | None,
        typer.Option(help="Also write a GGUF file and a Modelfile, with llama.cpp's tools.", show_default=False),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Take the place of what is in the folder; files of yours are kept aside."),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Exports the variant."""
    config, folder = existing_run(run_dir)
    model, wanted = whom(config, words or (), variant, "export")
    chosen = wanted or last_trained(folder, model)
    if output is None:
        raise UserError("No output folder was given.", "", f"Add one, for example: -o {model.name}-{chosen}")
    if chosen == BASE:
        fix = f"Train a variant: sit run -d {shown(folder.root)}" if wanted is None else "Name a trained variant."
        raise UserError("The base model is not exported.", "It is as it was before the run.", fix)
    trained = adapter_of(folder, model, chosen)
    assert trained is not None
    # Imported here: a mistake on the command line is reported before torch is loaded.
    from synthetic_instruction_tuner.exporting.export import STEPS, Export
    from synthetic_instruction_tuner.run.exports.facts import card_facts, training_metrics
    from synthetic_instruction_tuner.run.progress import Display

    in_training = str(training_metrics(folder, chosen, model).get("quantized", ""))
    job = Export(model, chosen, trained, adapter, dtype, gguf, in_training)
    with Display(quiet=quiet or as_json) as display:
        display.say(f"Exporting {model.name}, {chosen}, to {shown(output)}")
        with display.task("exporting", STEPS + bool(gguf), "steps") as advance:
            facts = card_facts(config, folder, model, method(chosen))
            done = job.write(output, facts, force=force, step=lambda what: advance(1, what))
    if as_json:
        echo_json(json.dumps(_plain(done)))
    else:
        _print(done)


def _plain(done: Exported) -> dict[str, object]:
    return {
        "folder": str(done.folder),
        "form": done.form,
        "dtype": done.dtype,
        "bytes": sum(done.files.values()),
        "files": dict(done.files),
        "difference": done.difference,
        "already": done.already,
    }


def _print(done: Exported) -> None:
    screen = Screen()
    size = f"{sum(done.files.values()) / 1e6:,.1f} MB in {len(done.files)} files"
    if done.already:
        screen.say(f"{shown(done.folder)} already holds this export: {size}, as they were written.")
        return
    what = {
        "adapter": "the adapter, its tokenizer and chat template",
        "merged": f"the merged model in {done.dtype}",
        "soft_prompt": f"the model in {done.dtype}, its soft prompt as tokens",
    }[done.form]
    screen.say(f"{shown(done.folder)}: {what}; {size}.")
    if done.difference:
        screen.say(f"Largest difference of its logits from the adapter's: {done.difference}.")
    screen.say(f"README.md there says how to use it. Talk to it: sit chat {shown(done.folder)}")
