"""Which database the tasks get: SQLite within this process, or a server that the user names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from synthetic_instruction_tuner.evaluation.agent_bench.db.environment import OpenDatabase


@dataclass(frozen=True, slots=True)
class Databases:
    """What opens tasks' databases.

    Attributes:
        name: what it is, for people.
        kind: SQLite, MariaDB or MySQL.
        open: makes a task's database.
        check: raises a UserError when it cannot be used now.
    """

    name: str
    kind: str
    open: OpenDatabase
    check: Callable[[], object]


def choose_databases(mysql: str | None) -> Databases:
    """Returns SQLite, or the server whose address is in this environment variable.

    Raises:
        UserError: the variable is not set, or the server cannot be used.
    """
    if mysql is None:
        from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase

        return Databases("SQLite that answers as MySQL", "SQLite", EmbeddedDatabase, lambda: None)
    from synthetic_instruction_tuner.evaluation.agent_bench.db.server import ServerAddress

    address = ServerAddress.given(mysql)
    version = address.check()
    kind = "MariaDB" if "maria" in version.lower() else "MySQL"
    return Databases(f"{kind} {version}", kind, address.database, address.check)
