"""``sit push``: a run's data, tuned students and report on the Hugging Face Hub."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthetic_instruction_tuner import __version__
from synthetic_instruction_tuner.cli.options import Json, Quiet, existing_run, run_path
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.publishing.names import target
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json
from synthetic_instruction_tuner.run.folder import RunFolder, shown

if TYPE_CHECKING:
    from synthetic_instruction_tuner.run.publishing.push import Pushed, Staged

_METHODS = {name: method.name for method in METHODS for name in (method.verb, method.name.replace("_", "-"))}


def push(
    run: Annotated[
        Path | None,
        typer.Argument(
            help="The run's folder; runs/nano when not given.", parser=run_path, metavar="RUN", show_default=False
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", help="USER/NAME, or USER alone for repositories named after the run.", metavar="NAME"),
    ] = None,
    what: Annotated[
        str | None,
        typer.Option(
            help="Some of data, adapters, merged, soft_prompt and report, with commas; data,adapters,report when not "
            "given. merged and soft_prompt are whole models, with the base model's weights.",
            show_default=False,
            metavar="PARTS",
        ),
    ] = None,
    student: Annotated[
        list[str] | None, typer.Option(help="Only this student's models. Repeatable.", metavar="STUDENT")
    ] = None,
    variant: Annotated[
        list[str] | None, typer.Option(help="Only this variant's models. Repeatable.", metavar="VARIANT")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be uploaded, every file with its size.")
    ] = False,
    public: Annotated[bool, typer.Option("--public", help="Let everybody see it; otherwise it is private.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace what else is in a repository of that name; its history keeps it."),
    ] = False,
    accept_license: Annotated[
        bool,
        typer.Option(
            "--accept-license", help="Publish the weights of a gated base model, whose license you have read."
        ),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Stages the run, then uploads it."""
    from synthetic_instruction_tuner.run.publishing.parts import Choice, checked, chosen

    config, folder = existing_run(run)
    if to is None:
        raise UserError("No name on the Hub was given.", "", "Add --to USER, or --to USER/NAME")
    where = target(to, folder.root.resolve().name)
    choice = Choice(chosen(what), student or (), [_METHODS.get(name, name) for name in variant or ()])
    checked(config, choice.students, choice.variants)
    # Imported here: a mistake on the command line is reported before the client of the Hub is loaded.
    from huggingface_hub import constants, get_token

    from synthetic_instruction_tuner.publishing.upload import connected
    from synthetic_instruction_tuner.run.progress import Display
    from synthetic_instruction_tuner.run.publishing.push import stage, upload

    with Display(quiet=quiet or as_json) as display:
        if dry_run:
            display.say(f"Staging {shown(folder.root)}; nothing is uploaded.")
            staged = stage(config, folder, where, choice, display, constants.ENDPOINT)
        else:
            with connected(__version__) as uploads:
                where = replace(where, owner=uploads.require_owner(where.owner))
                display.say(f"Pushing {shown(folder.root)} to {where.owner}, {'public' if public else 'private'}.")
                staged = stage(config, folder, where, choice, display, uploads.endpoint, get_token() or "")
                done = upload(staged, uploads, display, public=public, force=force, license_accepted=accept_license)
    if as_json:
        echo_json(json.dumps(_plain(staged, None if dry_run else done, public)))
    elif dry_run:
        _print_plan(staged, folder, public)
    else:
        _print(staged, done, folder)


def _plain(staged: Staged, done: Pushed | None, public: bool) -> dict[str, Any]:
    uploaded = {(one.repository.kind, one.repository.id): one for one in done.repositories} if done else {}
    rows = []
    for repository in staged.repositories:
        row: dict[str, Any] = {
            "id": repository.id,
            "kind": repository.kind,
            "part": repository.part,
            "files": repository.sizes(),
        }
        if one := uploaded.get((repository.kind, repository.id)):
            row |= {"url": one.address, "uploaded": list(one.added), "deleted": list(one.deleted)}
        rows.append(row)
    return {
        "dry_run": done is None,
        "private": not public,
        "repositories": rows,
        "collection": done.collection if done else "",
        "uncollected": done.uncollected if done else "",
        "missing": list(staged.missing),
        "remarks": list(staged.remarks),
    }


def _print_plan(staged: Staged, folder: RunFolder, public: bool) -> None:
    screen = Screen()
    total = 0
    for repository in staged.repositories:
        sizes = repository.sizes()
        total += sum(sizes.values())
        screen.say(f"{repository.kind} {repository.id}: {repository.title}", style="bold")
        table = Table(Column("file", "name", key=True), Column("size", "whole", right=True), headings=False)
        for name, size in sizes.items():
            table.add(name, _size(size))
        screen.table(table)
        screen.say()
    files = sum(len(one.sizes()) for one in staged.repositories)
    count = len(staged.repositories)
    seen, noun = "public" if public else "private", "repository" if count == 1 else "repositories"
    collected = " and a collection" if count > 1 else ""
    screen.say(f"{count} {seen} {noun}{collected}: {files} files, {_size(total)}.")
    _print_notes(screen, staged)
    screen.say(f"Nothing was uploaded. The files are in {shown(folder.staged)}.")


def _print(staged: Staged, done: Pushed, folder: RunFolder) -> None:
    screen = Screen()
    for one in done.repositories:
        if one.added or one.deleted:
            gone = f", {len(one.deleted)} deleted" if one.deleted else ""
            state = f"{len(one.added)} files, {_size(one.size)} uploaded{gone}"
        else:
            state = "all was there already"
        screen.say(f"{one.address}: {one.repository.title}; {state}.")
    if done.collection:
        screen.say(f"All of it: {done.collection}")
    if done.uncollected:
        screen.say(f"All is there, but in no collection: {done.uncollected}")
    _print_notes(screen, staged)
    size = sum(sum(one.sizes().values()) for one in staged.repositories)
    screen.say(f"What was uploaded is in {shown(folder.staged)} ({_size(size)}); you can delete it.")


def _print_notes(screen: Screen, staged: Staged) -> None:
    for line in staged.missing:
        screen.say(f"Not pushed: {line}.")
    for line in staged.remarks:
        screen.say(line)


def _size(count: int) -> str:
    for unit, bytes_each in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_each:
            return f"{count / bytes_each:,.1f} {unit}"
    return f"{count} B"
