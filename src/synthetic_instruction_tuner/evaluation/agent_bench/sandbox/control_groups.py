"""Control groups: limits on memory and processes that the kernel keeps, where this user may make groups."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.limits import Limits

PLACE = Path("/sys/fs/cgroup")


class ControlGroup:
    """The groups of one sandbox; none where they cannot be made.

    Args:
        limits: what it may use.
        place: where the kernel's groups are.

    Attributes:
        members: files into which a process writes itself.
        kinds: what they limit.
    """

    def __init__(self, limits: Limits, place: Path = PLACE) -> None:
        self.members: list[str] = []
        self.kinds: set[str] = set()
        self._folders: list[Path] = []
        name = f"sit-{os.getpid()}-{secrets.token_hex(4)}"
        if (place / "cgroup.controllers").is_file():
            wanted = {"memory.max": limits.memory, "memory.swap.max": 0, "pids.max": limits.processes}
            self._make(place / name, wanted, {"memory.max": "memory", "pids.max": "processes"})
            return
        memory = {"memory.limit_in_bytes": limits.memory}
        self._make(place / "memory" / name, memory, {"memory.limit_in_bytes": "memory"})
        self._make(place / "pids" / name, {"pids.max": limits.processes}, {"pids.max": "processes"})

    def _make(self, folder: Path, settings: dict[str, int], kinds: dict[str, str]) -> None:
        try:
            if not folder.parent.is_dir():
                return
            _sweep(folder.parent)
            folder.mkdir()
        except OSError:
            return
        self._folders.append(folder)
        done = set()
        for name, value in settings.items():
            with suppress(OSError):
                if (folder / name).is_file():
                    (folder / name).write_text(str(value))
                    done |= {kinds[name]} if name in kinds else set()
        if done and os.access(folder / "cgroup.procs", os.W_OK):
            self.members.append(str(folder / "cgroup.procs"))
            self.kinds |= done

    def remove(self) -> None:
        """Ends what is left in them and removes them."""
        for _ in range(50):
            for folder in list(self._folders):
                with suppress(OSError, ValueError):
                    for process in map(int, (folder / "cgroup.procs").read_text().split()):
                        if process:  # 0 stands for one that cannot be seen from here
                            os.kill(process, 9)
                with suppress(OSError):
                    folder.rmdir()
                    self._folders.remove(folder)
            if not self._folders:
                return
            time.sleep(0.02)


def _sweep(place: Path) -> None:
    """Removes the groups of programs that were killed: empty ones, since a sandbox ends with its program."""
    for folder in place.glob("sit-*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not Path("/proc", owner).exists():
            with suppress(OSError):
                folder.rmdir()
