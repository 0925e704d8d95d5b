"""What an agent's turn says: AgentBench's text protocol, version 0.2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_ACT = re.compile(r"Act:\s*(.+)")
_BLOCK, _BLOCK_END = "```bash\n", "\n```"


class Kind(StrEnum):
    """What an agent may do."""

    BASH = "bash"
    FINISH = "finish"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Action:
    """What an agent does.

    Attributes:
        kind: what.
        content: the commands, or the answer; empty for `finish`.
    """

    kind: Kind
    content: str = ""


def read(text: str) -> Action | None:
    """Returns the last valid action of a turn; None where there is none.

    All blocks of bash belong to it, wherever they stand. An answer is what stands between the first parenthesis and the
    last one of its line.
    """
    for act in reversed(_ACT.findall(text)):
        name = act.lower()
        if name.startswith(Kind.BASH):
            return Action(Kind.BASH, "\n\n".join(_blocks(text)))
        if name.startswith(Kind.FINISH):
            return Action(Kind.FINISH)
        if name.startswith(Kind.ANSWER):
            said = act[len(Kind.ANSWER) :].strip()
            first, last = said.find("("), said.rfind(")")
            if first >= 0 and last >= 0:
                return Action(Kind.ANSWER, said[first + 1 : last])
    return None


def _blocks(text: str) -> Iterator[str]:
    """Yields the blocks of bash; the time for a long turn grows with its length alone."""
    place = 0
    while (start := text.find(_BLOCK, place)) >= 0:
        start += len(_BLOCK)
        end = text.find(_BLOCK_END, start)
        if end < 0:
            return
        yield text[start:end]
        place = end + len(_BLOCK_END)
