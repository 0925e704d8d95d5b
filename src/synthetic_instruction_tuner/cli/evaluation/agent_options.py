"""The options of the verb agent-eval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from synthetic_instruction_tuner.cli.evaluation.agent_benchmarks import KINDS
from synthetic_instruction_tuner.cli.options import existing_path, output_path, whole_number
from synthetic_instruction_tuner.errors import UserError

FORMS = ("auto", "text", "tools")
SANDBOXES = ("docker", "podman", "bubblewrap", "namespaces")


def _one_of(option: str, words: Sequence[str]) -> Callable[[object], str]:
    """Returns what reads an option that takes one of these words."""

    def parse(text: object) -> str:
        if str(text) and str(text) not in words:
            raise UserError(
                f"{option} {text} is not possible.", f"it is one of {', '.join(words)}", "Name one of them."
            )
        return str(text)

    return parse


Model = Annotated[
    str,
    typer.Argument(
        help="The model: nano:NAME, a folder or a Hub id; without --tasks also a run's folder, whose variants play "
        "its tasks, or an adapter's folder."
    ),
]
Tasks = Annotated[
    list[Path] | None,
    typer.Option(
        "--tasks",
        "-t",
        help="File of tasks: AgentBench 0.2's DBBench or OS interaction, or BFCL; of the latter two "
        "also a folder of files. May be given several times for BFCL.",
        parser=existing_path,
        metavar="FILE",
    ),
]
Results = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder for the results.", parser=output_path, metavar="FOLDER"),
]
OneTask = Annotated[str | None, typer.Option("--task", help="Play this task alone, such as db-0007 or os-dev-0003.")]
Show = Annotated[bool, typer.Option("--show", help="Print the conversations, turn by turn.")]
Mysql = Annotated[
    str | None,
    typer.Option(
        "--mysql",
        help="Environment variable with the address of a MySQL or MariaDB server to use instead of SQLite: "
        "mysql://USER:PASSWORD@HOST:PORT, or mysql://USER@/?unix_socket=PATH.",
        metavar="VARIABLE",
    ),
]
Checkout = Annotated[
    Path | None,
    typer.Option(
        "--agentbench",
        help="Checkout of AgentBench, with the scripts that OS tasks need.",
        parser=existing_path,
        metavar="FOLDER",
    ),
]
SandboxKind = Annotated[
    str,
    typer.Option(
        "--sandbox",
        help="Where OS tasks run: docker, podman, bubblewrap or namespaces; by default the first that works.",
        parser=_one_of("--sandbox", SANDBOXES),
        metavar="KIND",
    ),
]
RootFiles = Annotated[
    str,
    typer.Option(
        "--root",
        help="Files of the machine of OS tasks: debian (made once by mmdebstrap), host (this machine's programs "
        "alone), a folder, a tar archive, or image:NAME for docker and podman.",
        metavar="FILES",
    ),
]
Kind = Annotated[
    str,
    typer.Option(
        "--benchmark",
        help="What the tasks are: db, os or bfcl; by default what they look like.",
        parser=_one_of("--benchmark", KINDS),
        metavar="KIND",
    ),
]
Form = Annotated[
    str,
    typer.Option(
        "--form",
        help="How the model acts: text, tools, or auto: tools where its chat template has them, text elsewhere.",
        parser=_one_of("--form", FORMS),
        metavar="FORM",
    ),
]
TurnTokens = Annotated[
    int,
    typer.Option(
        "--max-new-tokens",
        help="Tokens of a turn.",
        parser=whole_number("--max-new-tokens", 1, 100_000),
        metavar="NUMBER",
    ),
]
