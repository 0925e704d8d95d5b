"""Brings the rows of a file that holds one message per row, each with its parent, into trees (OpenAssistant)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError

NEEDED = frozenset(("message_id", "parent_id", "text", "role"))
DEEPEST = 200  # turns of a conversation
Numbered = tuple[int, Any, str]  # a row's number, the row, and its text


def is_message(row: Any) -> bool:
    """Returns whether a row is one message of a tree."""
    return isinstance(row, Mapping) and row.keys() >= NEEDED and isinstance(row["message_id"], str)


def trees(messages: Iterable[Numbered]) -> Iterator[Numbered]:
    """Yields a tree for each message without a parent, in order; then what is wrong with messages that are in none."""
    nodes: dict[str, dict[str, Any]] = {}
    first: dict[str, Numbered] = {}
    for number, row, text in messages:
        if row["message_id"] in nodes:
            yield number, ShapeError(f"message_id '{row['message_id']}' is there twice"), text
            continue
        nodes[row["message_id"]] = {**row, "rank": _whole(row.get("rank")), "replies": []}
        first[row["message_id"]] = (number, row, text)
    for node in nodes.values():
        if (parent := nodes.get(str(node["parent_id"]))) is not None and not _is_root(node):
            parent["replies"].append(node)
    told: set[str] = set()
    for name, node in nodes.items():
        if _is_root(node):
            number, _, text = first[name]
            names, depth = _reached(node)
            told |= names
            yield number, _row(node) if depth <= DEEPEST else ShapeError(f"a tree of more than {DEEPEST} turns"), text
    for name in (name for name in nodes if name not in told):
        number, row, text = first[name]
        yield number, ShapeError(f"its parent '{row['parent_id']}' is in no tree of the file"), text


def _reached(root: dict[str, Any]) -> tuple[set[str], int]:
    """Returns the ids of a tree's messages, and how many stand one below the other."""
    names: set[str] = set()
    level, depth = [root], 0
    while level:
        depth += 1
        names |= {node["message_id"] for node in level}
        level = [reply for node in level for reply in node["replies"]]
    return names, depth


def _row(root: dict[str, Any]) -> Any:
    if not root["replies"]:
        return ShapeError("a question without any answer")
    if str(root["role"]).lower() not in ("prompter", "user", "human"):
        return ShapeError(f"the first message of a tree has the role '{root['role']}'")
    return {"message_tree_id": root.get("message_tree_id") or root["message_id"], "prompt": root}


def _is_root(node: Mapping[str, Any]) -> bool:
    return node["parent_id"] is None or node["parent_id"] != node["parent_id"] or not str(node["parent_id"]).strip()


def _whole(value: Any) -> int | None:
    """A rank as a number; tables have it as a text or a number with a point."""
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
