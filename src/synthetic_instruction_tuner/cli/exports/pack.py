"""``sit pack`` and ``sit unpack``: a whole run as one file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from synthetic_instruction_tuner.cli.options import Json, Quiet, existing_path, output_path, run_folder, run_path
from synthetic_instruction_tuner.reporting.screen.terminal import Screen, echo_json
from synthetic_instruction_tuner.run.folder import shown
from synthetic_instruction_tuner.run.packing.contents import SUFFIX
from synthetic_instruction_tuner.run.progress import Display


def pack(
    run: Annotated[Path, typer.Argument(help="The run's folder.", parser=run_path, metavar="RUN")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help=f"The file, whose name ends in {SUFFIX}; RUN{SUFFIX} in this folder when not given.",
            parser=existing_path,
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Packs a run."""
    from synthetic_instruction_tuner.run.packing import pack as packing

    folder = run_folder(None, run)
    folder.require_run()
    file = output or Path(f"{folder.root.resolve().name}{SUFFIX}")
    packing.check_archive(folder, file, force)
    with _shown("packing", f"Verifying {shown(folder.root)}", quiet or as_json) as start:
        contents = packing.pack(folder, file, start)
        links = sorted(packing.links(folder.root))
    size = file.stat().st_size
    if as_json:
        echo_json(
            json.dumps(
                {
                    "file": str(file),
                    "bytes": size,
                    "files": len(contents.files),
                    "unpacked": contents.size,
                    "links": links,
                }
            )
        )
        return
    screen = Screen()
    screen.say(f"{shown(file)}: {len(contents.files)} files, {_mb(contents.size)} packed into {_mb(size)}.")
    if links:
        named = f"{', '.join(links[:3])}{f' and {len(links) - 3} more' if len(links) > 3 else ''}"
        screen.say(f"Links are not in it: {named}.")
    screen.say(f"On another machine: sit unpack {shown(Path(file.name))}, then sit run -d runs/{contents.name}")


def unpack(
    file: Annotated[
        Path, typer.Argument(help="A file that 'sit pack' has written.", parser=existing_path, metavar="FILE")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The run's new folder; runs/NAME when not given.",
            parser=output_path,
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Unpacks a run."""
    from synthetic_instruction_tuner.run.packing.unpack import unpack as unpacking

    with _shown("unpacking", f"Unpacking {shown(file)}", quiet or as_json) as start:
        contents, folder = unpacking(file, output, start)
    if as_json:
        echo_json(json.dumps({"folder": str(folder.root), "files": len(contents.files), "bytes": contents.size}))
        return
    screen = Screen()
    screen.say(f"{shown(folder.root)}: {len(contents.files)} files, {_mb(contents.size)}, all as they were packed.")
    screen.say(f"The run goes on with: sit run -d {shown(folder.root)}")


@contextmanager
def _shown(label: str, first: str, quiet: bool) -> Iterator[Callable[[int], Callable[[int], None]]]:
    """Shows how many megabytes are done; yields what begins to count them."""
    from contextlib import ExitStack

    with Display(quiet=quiet) as display, ExitStack() as open_tasks:
        display.say(first)

        def start(size: int) -> Callable[[int], None]:
            advance = open_tasks.enter_context(display.task(label, max(1, size // 1_000_000), "MB"))
            done = 0

            def count(more: int) -> None:
                nonlocal done
                before, done = done, done + more
                if whole := done // 1_000_000 - before // 1_000_000:
                    advance(whole)

            return count

        yield start


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
