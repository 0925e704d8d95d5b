"""Which sandbox this machine has: docker or podman where a daemon answers, else bubblewrap, else namespaces alone.

A sandbox is tried before it is chosen. Where there is none, nothing runs.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import EnvironmentFailed
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox import (
    bubblewrap,
    carried,
    containers,
    root_files,
    users,
)
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.control_groups import ControlGroup
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.limits import Limits
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.machine import Machine, OpenMachine, program

KINDS = ("docker", "podman", "bubblewrap", "namespaces")
IMAGE = "image:"  # before an image's name, where root files are named
_SHARED = 16 << 20  # bytes of shared memory
_PYTHON = "/usr/bin/python3"
_WHERE = {"bubblewrap": "bubblewrap {0}", "namespaces": "Linux namespaces (unshare)"}


class NoSandbox(UserError):
    """This machine has none in which an agent's commands could run."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A kind of sandbox that works here.

    Attributes:
        kind: one of `KINDS`.
        name: for the result: what it is, which files it has, and what limits it.
        key: what of it a task's course depends on: its kind and its files.
        open: starts one.
        several_users: whether it can have users besides root, which some tasks make.
    """

    kind: str
    name: str
    key: str
    open: OpenMachine = field(repr=False)
    several_users: bool = True


def choose(
    kind: str = "", root: str = "", limits: Limits | None = None, say: Callable[[str], None] = lambda text: None
) -> Sandbox:
    """Returns the first sandbox that works.

    Args:
        kind: one of `KINDS`; empty for the first that works.
        root: root files: `host`, `debian`, a folder, an archive or `image:NAME`; empty for the best that is there.
        limits: what a task may use.
        say: is told of work that takes long.

    Raises:
        NoSandbox: none works; nothing is ever run without one.
        UserError: the root files are not there.
    """
    whole = limits or Limits()
    reasons = []
    for name in (kind,) if kind else KINDS:
        if root and root.startswith(IMAGE) != (name in containers.PROGRAMS):
            reasons.append(f"{name}: the root files are not of its kind")
            continue
        made = _container(name, root, whole) if name in containers.PROGRAMS else _namespaces(name, root, whole, say)
        why = made if isinstance(made, str) else _tried(made)
        if not why and isinstance(made, Sandbox):
            return made
        reasons.append(f"{name}: {why}")
    raise NoSandbox(
        "There is no sandbox in which an agent's commands could run.",
        "; ".join(reasons),
        "Install bubblewrap (Debian, Ubuntu: apt-get install bubblewrap; Fedora: dnf install bubblewrap), or start "
        "docker or podman.",
    )


def _tried(sandbox: Sandbox) -> str:
    """Returns why a sandbox does not work; empty where it does."""
    try:
        machine = sandbox.open()
    except EnvironmentFailed as error:
        return str(error)
    try:
        if machine.run(["bash", "-c", "echo $((6 * 7))"]).output != "42\n":
            return "its bash does not work"
        return "" if "sandbox" in machine.type("echo sandbox") else "its shell does not answer"
    except EnvironmentFailed as error:
        return str(error)
    finally:
        machine.close()


def _container(name: str, root: str, limits: Limits) -> Sandbox | str:
    if why := containers.answers(name):
        return why
    image = containers.image(name, root.removeprefix(IMAGE))
    if not image:
        given = root.removeprefix(IMAGE) or " or ".join(containers.IMAGES)
        return f"it has no image {given}"

    def opened() -> Machine:
        container = f"sit-{secrets.token_hex(8)}"
        command = containers.arguments(name, container, image, limits)
        return Machine([*command, *program(_PYTHON)], limits, lambda: containers.remove(name, container))

    return Sandbox(name, f"{name}, image {image}", f"container {image}", opened)


def _namespaces(name: str, root: str, limits: Limits, say: Callable[[str], None]) -> Sandbox | str:
    if not sys.platform.startswith("linux"):
        return "it needs Linux"
    bwrap = bubblewrap.found() if name == "bubblewrap" else ""
    if name == "bubblewrap" and not bwrap:
        return "not installed"
    identity = users.found()
    root_of = root_files.chosen(root, identity, say)
    masked = [place for place in bubblewrap.MASKED if os.path.isdir(place)]
    plan = identity.plan() | {
        "masked": masked,
        "unreadable": [] if root_of.folder else list(root_files.unreadable(os.geteuid())),
        "lower": str(root_of.folder or ""),
        "unpack": False,
        "disk": limits.disk,
        "files": limits.files,
        "shared": _SHARED,
        "limits": _resources(limits),
        "bwrap": bubblewrap.arguments(bwrap, "/tmp/stage/root", _SHARED, masked) if bwrap else [],
        "environment": {"PATH": "/usr/bin:/bin"},
        "rights": sorted(bubblewrap.RIGHTS.values()),
        "program": program(_PYTHON),
    }
    text = carried.entering()

    def opened() -> Machine:
        group = ControlGroup(limits)
        whole = json.dumps(plan | {"cgroups": group.members})
        return Machine([sys.executable, "-I", "-S", "-c", text, whole], limits, group.remove)

    trial = ControlGroup(limits)
    trial.remove()
    by = f", {' and '.join(sorted(trial.kinds))} limited by control groups" if trial.kinds else ""
    where = _WHERE[name].format(bubblewrap.version(bwrap)) if bwrap else _WHERE[name]
    alone = "" if identity.several else ", one user"
    return Sandbox(name, f"{where}, {root_of.name}{alone}{by}", f"{root_of.name}{alone}", opened, identity.several)


def _resources(limits: Limits) -> dict[str, int]:
    return {
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_AS": limits.address_space,
        "RLIMIT_FSIZE": limits.disk,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_CORE": 0,
        "RLIMIT_MSGQUEUE": 1 << 20,
        "RLIMIT_MEMLOCK": 1 << 20,
    }
