"""How much a task may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandbox may use.

    Attributes:
        memory: bytes of all its processes together.
        address_space: bytes of address space of one process.
        disk: bytes of the files that it writes, which lie in memory.
        files: how many files it may make.
        processes: how many run at the same time, of all its users together.
        open_files: of one process; some tasks' scripts write to file descriptors above 100,000.
        seconds: for one command.
        kept: bytes of a command's output; the rest is read and dropped.
    """

    memory: int = 1 << 30
    address_space: int = 4 << 30
    disk: int = 256 << 20
    files: int = 100_000
    processes: int = 128
    open_files: int = 200_000
    seconds: float = 30.0
    kept: int = 65_536
