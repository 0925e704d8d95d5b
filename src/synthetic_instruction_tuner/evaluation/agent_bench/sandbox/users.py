"""Who the sandbox's users are on the host: nobody, where that can be had."""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIRST, COUNT = 0x70010000, 65_536  # ids that no account and no container has: above systemd's


@dataclass(frozen=True, slots=True)
class Users:
    """How ids inside are ids outside, as in `user_namespaces(7)`: inside, outside, how many.

    Attributes:
        users: of users.
        groups: of groups.
        mapper: the program that may write them; empty where this process may.
    """

    users: tuple[tuple[int, int, int], ...]
    groups: tuple[tuple[int, int, int], ...]
    mapper: str = ""

    @property
    def several(self) -> bool:
        """Whether the sandbox can have users besides root."""
        return sum(entry[2] for entry in self.users) > 1

    def plan(self) -> dict[str, Any]:
        """Returns it for `namespaces`."""
        return {"map": [*map(list, self.users)], "groups": [*map(list, self.groups)], "mapper": self.mapper}


def found() -> Users:
    """Returns the best that this user can have.

    Root gives the sandbox ids that nobody has. Another user gives it its own subordinate ids, or, where there are none,
    itself alone as root: then the sandbox has one user.
    """
    me, group = os.geteuid(), os.getegid()
    if not me:
        whole = ((0, FIRST, COUNT),)
        return Users(whole, whole)
    mapper = shutil.which("newuidmap")
    users, groups = _subordinate("/etc/subuid", me), _subordinate("/etc/subgid", me)
    if mapper and shutil.which("newgidmap") and users and groups:
        return Users(((0, me, 1), (1, *users)), ((0, group, 1), (1, *groups)), mapper)
    return Users(((0, me, 1),), ((0, group, 1),))


def _subordinate(file: str, me: int) -> tuple[int, int] | None:
    try:
        names = (str(me), pwd.getpwuid(me).pw_name)
    except KeyError:
        names = (str(me), str(me))
    try:
        rows = [line.split(":") for line in Path(file).read_text(encoding="utf-8").splitlines()]
        return next((int(row[1]), int(row[2])) for row in rows if len(row) == 3 and row[0] in names)
    except (OSError, ValueError, StopIteration):
        return None
