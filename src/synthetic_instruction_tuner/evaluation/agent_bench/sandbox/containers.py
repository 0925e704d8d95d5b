"""The command lines of docker and podman."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress

from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.bubblewrap import RIGHTS
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.limits import Limits

PROGRAMS = ("docker", "podman")
IMAGES = ("local-os/default", "localhost/local-os/default")  # what AgentBench's instructions build
_WAIT = 15  # seconds for an answer of the daemon


def answers(program: str) -> str:
    """Returns why this program cannot start containers; empty where it can."""
    if not shutil.which(program):
        return "not installed"
    try:
        tried = subprocess.run([program, "info"], capture_output=True, timeout=_WAIT, text=True)
    except (OSError, subprocess.TimeoutExpired):
        return "does not answer"
    return "" if not tried.returncode else "no daemon answers"


def image(program: str, given: str) -> str:
    """Returns the image to use: the given one, or AgentBench's where it has been built; empty where there is none."""
    for name in (given,) if given else IMAGES:
        found = subprocess.run([program, "image", "inspect", name], capture_output=True, timeout=_WAIT)
        if not found.returncode:
            return name
    return ""


def arguments(program: str, name: str, name_of_image: str, limits: Limits) -> list[str]:
    """Returns the command line, to which what runs inside is added.

    Args:
        program: docker or podman.
        name: the container's name.
        name_of_image: the image.
        limits: what it may use.
    """
    rights = [word for right in RIGHTS for word in ("--cap-add", right)]
    return [
        *(program, "run", "--rm", "--interactive", "--name", name, "--hostname", "agentbench", "--pull", "never"),
        *("--network", "none", "--ipc", "private", "--security-opt", "no-new-privileges", "--cap-drop", "ALL", *rights),
        *("--memory", str(limits.memory), "--memory-swap", str(limits.memory), "--pids-limit", str(limits.processes)),
        *("--ulimit", f"nofile={limits.open_files}:{limits.open_files}", "--ulimit", "core=0:0"),
        *("--ulimit", f"fsize={limits.disk}:{limits.disk}", "--workdir", "/", "--shm-size", "16m"),
        *("--entrypoint", "", name_of_image),
    ]


def remove(program: str, name: str) -> None:
    """Ends a container and removes it."""
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run([program, "rm", "--force", name], capture_output=True, timeout=_WAIT)
