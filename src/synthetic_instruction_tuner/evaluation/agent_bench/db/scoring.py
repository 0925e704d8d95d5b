"""Whether a task is solved: by the table's hash after a change, by the values of the answer to a question.

As AgentBench 0.2 judges, with one exception: there an answer is evaluated as Python, which lets an agent run code.
Here it is read as a literal, so that the same lists count and nothing is ever run.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask

LONGEST = 100_000  # characters of an answer that are read as a list; a longer one is a text
GROUP_CONCAT = 1024  # MySQL's group_concat_max_len


def is_right(task: DbTask, answer: str) -> bool:
    """Returns whether a question's final answer is right: what stands behind `Final Answer:`.

    One value equals one value as a number, or else exactly; several are compared as sets. Spaces and case count.
    """
    given, wanted = _values(answer), list(task.label)
    if len(given) == len(wanted) == 1:
        try:
            return float(given[0]) == float(wanted[0])
        except (ValueError, TypeError, OverflowError):
            return bool(given[0] == wanted[0])
    try:
        return set(given) == set(wanted)
    except TypeError:  # a list in the list
        return False


def _values(answer: str) -> list[Any]:
    if len(answer) <= LONGEST:
        try:
            return list(ast.literal_eval(answer.strip(" \t")))
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, OverflowError):
            pass
    return [answer]


def table_hash(rows: Iterable[Sequence[str | None]]) -> str:
    """Returns what MySQL gives for AgentBench's query over all rows of a table, as its connector prints it.

    The query is `md5(group_concat(rowhash order by rowhash))`, where a row's hash is the first five digits of the MD5
    of `CONCAT_WS(',', all columns)`, which skips NULL.
    """
    hashes = sorted(_md5(",".join(cell for cell in row if cell is not None))[:5] for row in rows)
    return f"[({_md5(','.join(hashes)[:GROUP_CONCAT])!r},)]" if hashes else "[(None,)]"


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
