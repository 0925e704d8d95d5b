"""Reads a conversation: a list of turns in any of the usual forms, checked before it is believed.

A list of texts, or of pairs of texts, is a conversation only where the field's name says so.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthetic_instruction_tuner.records import Message, Role

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    **dict.fromkeys(("chatgpt", "bing", "bard", "bot", "chatbot"), "assistant"),
    "model": "assistant",
    "ai": "assistant",
}
EXCHANGES = (  # the two texts of one object that is a question and its answer
    ("input", "output"),
    ("user", "assistant"),
    ("human", "assistant"),
    ("human", "gpt"),
    ("human", "bot"),
    ("user", "bot"),
    ("prompt", "response"),
    ("prompt", "completion"),
    ("question", "answer"),
    ("query", "response"),
    ("instruction", "output"),
    ("instruction", "response"),
)
SPEAKERS, CONTENTS = ("role", "from", "speaker", "sender", "author"), ("content", "value", "text")
REASONING = ("reasoning_content", "reasoning", "thinking")
CALLS = ("tool_calls", "function_call")  # an answer with one of them is not whole without it
WEIGHTS = ("weight", "train", "loss", "trainable")  # of a turn; 0 or false: not for training
TEXT_PARTS = (None, "text", "input_text", "output_text")
THOUGHT_PARTS = ("thinking", "reasoning", "thought")
TRANSCRIPT = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):[ \t]?")  # as in Anthropic's preference data


class ShapeError(ValueError):
    """A row that is not a record; its text says why."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns of a conversation.

    Attributes:
        turns: who said what.
        thinking: what the assistant thought before its last turn, if it is the last turn of all.
        more: whether the turns hold more than this: names, weights, thoughts before earlier answers.
    """

    turns: tuple[Message, ...]
    thinking: str | None = None
    more: bool = False


def read_conversation(value: object, field: str, texts: bool = True) -> Conversation:
    """Returns a conversation.

    Args:
        value: the turns, or JSON text that holds them.
        field: the name of its field, for messages.
        texts: whether the field's name says that a list of texts is a conversation.

    Raises:
        ShapeError: it is none, or a record cannot hold what its turns hold.
    """
    if isinstance(value, list) and value and (plain := _plain_turns(value)):
        return Conversation(plain)
    value = _list_of_turns(_parsed(value, field), "must be a list" if texts else "must be text or a list", field)
    if texts and value and all(isinstance(turn, str) for turn in value):  # LIMA: turns alternate
        return Conversation(tuple(Message("assistant" if i % 2 else "user", turn) for i, turn in enumerate(value)))
    if texts and value and all(map(_is_pair, value)):
        return Conversation(_pairs(value))
    if not all(isinstance(turn, Mapping) for turn in value):
        raise ShapeError(f"'{field}' must be {'' if texts else 'text or '}a list of turns with role and content")
    if value and (keys := _exchange_keys(value)):
        return Conversation(*_exchanges(value, keys, field))
    thinking = _reasoning(value[-1]) if value else None
    turns = tuple(_turn(turn, field) for turn in value)
    if turns and turns[-1].role == "assistant":
        _require_for_training(value[-1], field)
    else:
        thinking = None
    more = any(_has_more(turn, None) for turn in value[:-1]) or any(_has_more(turn, thinking) for turn in value[-1:])
    return Conversation(turns, thinking, more)


def _plain_turns(value: list[Any]) -> tuple[Message, ...] | None:
    """The turns of the usual form, which nearly all files have: a known role, a text, and nothing else."""
    turns = []
    for turn in value:
        if type(turn) is not dict or len(turn) != 2:
            return None
        name = "role" if "role" in turn else "from"
        role, content = turn.get(name), turn.get("content" if name == "role" else "value")
        if not isinstance(role, str) or not isinstance(content, str) or role.lower() not in ROLES:
            return None
        turns.append(Message(ROLES[role.lower()], content))
    return tuple(turns)


def is_turn(value: object) -> bool:
    """Returns whether a value is one turn: an object with a known role and a content."""
    if isinstance(value, str) or not isinstance(value, Mapping):
        return False
    return any(str(value.get(name)).lower() in ROLES for name in SPEAKERS) and any(n in value for n in CONTENTS)


def are_turns(value: object) -> bool:
    """Returns whether a value is a list of turns that have roles; some of the roles may be unknown."""
    return (
        isinstance(value, list)
        and bool(value)
        and is_turn(value[0])
        and all(isinstance(t, Mapping) and any(isinstance(t.get(name), str) for name in SPEAKERS) for t in value)
    )


def are_exchanges(value: object) -> bool:
    """Returns whether a value is a list of objects of which each is a question and its answer, and nothing more."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, Mapping) and len(turn) == 2 for turn in value)
        and _exchange_keys(value) is not None
    )


def read_transcript(text: str, open_ended: bool = False) -> Conversation | None:
    """Returns the turns of a text of the form ``Human: ... Assistant: ...``; None if it is another text.

    Args:
        text: the text.
        open_ended: whether it is a prompt, that ends where the assistant's answer would begin.
    """
    marks = list(TRANSCRIPT.finditer(text))
    names = [mark[1] for mark in marks]
    if len(marks) < 2 or marks[0].start() or names != (["Human", "Assistant"] * len(names))[: len(names)]:
        return None
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    parts = [text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)]
    if open_ended and (names[-1] != "Assistant" or parts.pop()):
        return None
    return Conversation(tuple(Message("assistant" if i % 2 else "user", part) for i, part in enumerate(parts)))


def is_nothing(value: object) -> bool:
    """Returns whether a value says nothing: null, NaN, or an empty text, list or object."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, str | list | Mapping) and not value


def kind_of(value: object) -> str:
    """Returns what a value is, for messages."""
    names = {"NoneType": "nothing", "str": "text", "int": "a number", "float": "a number", "list": "a list"}
    return names.get(type(value).__name__, "an object" if isinstance(value, Mapping) else f"a {type(value).__name__}")


def _parsed(value: object, field: str) -> object:
    """The list that a text holds: JSON, as in Parquet and CSV, or Python's way to write it, as pandas does in CSV."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(value.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    raise ShapeError(f"'{field}' is text that is not a JSON list")


def _list_of_turns(value: object, must: str, field: str) -> list[Any]:
    if isinstance(value, Mapping) and is_turn(value):
        return [value]
    parts = list(value.values()) if isinstance(value, Mapping) else []
    if isinstance(value, Mapping) and all(isinstance(part, list) for part in parts) and len(set(map(len, parts))) == 1:
        return [dict(zip(value, turn, strict=True)) for turn in zip(*parts, strict=True)]  # Parquet: a struct of lists
    if not isinstance(value, list):
        raise ShapeError(f"'{field}' {must} of turns with role and content, not {kind_of(value)}")
    return value


def _is_pair(value: object) -> bool:
    return isinstance(value, Sequence) and len(value) == 2 and all(isinstance(part, str) for part in value)


def _pairs(pairs: Sequence[Sequence[str]]) -> tuple[Message, ...]:
    """Pairs of role and content, or of question and answer."""
    if all(role.lower() in ROLES for role, _ in pairs):
        return tuple(Message(ROLES[role.lower()], content) for role, content in pairs)
    return tuple(message for ask, answer in pairs for message in (Message("user", ask), Message("assistant", answer)))


def _exchange_keys(turns: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    if any(any(n in turn for n in SPEAKERS) and any(n in turn for n in CONTENTS) for turn in turns):
        return None
    return next((keys for keys in EXCHANGES if all(set(keys) <= turn.keys() for turn in turns)), None)


def _exchanges(turns: list[Any], keys: tuple[str, str], field: str) -> tuple[tuple[Message, ...], None, bool]:
    ask, answer = keys
    messages: list[Message] = []
    for turn in turns:
        for role, name in (("user", ask), ("assistant", answer)):
            messages.append(_turn({"role": role, "content": turn[name]}, field))
    more = any(not is_nothing(value) for turn in turns for name, value in turn.items() if name not in keys)
    return tuple(messages), None, more


def _turn(turn: Mapping[str, Any], field: str) -> Message:
    role = next((turn[name] for name in SPEAKERS if turn.get(name)), None)
    content = next((turn[name] for name in CONTENTS if not _is_null(turn.get(name))), None)
    called = next((name for name in CALLS if not is_nothing(turn.get(name))), None)
    if called:
        raise ShapeError(f"a turn of '{field}' has '{called}', which a record cannot hold")
    if not isinstance(role, str) or role.lower() not in ROLES:
        raise ShapeError(f"a turn's role in '{field}' must be system, user or assistant, not {role!r}"[:200])
    if isinstance(content, list):
        content = _joined(content, field)
    if not isinstance(content, str):
        raise ShapeError(f"a turn's content in '{field}' must be text, not {kind_of(content)}")
    return Message(ROLES[role.lower()], content)


def _joined(parts: list[Any], field: str) -> str:
    """The text of a content of parts; parts that are no text, such as images, cannot be left out. Thoughts can."""
    said = [part for part in parts if _thought(part) is None]
    if parts and not said:
        raise ShapeError(f"a turn's content in '{field}' has only '{parts[0]['type']}', and no text"[:200])
    for part in said:
        kind = part.get("type") if isinstance(part, Mapping) else kind_of(part)
        if not isinstance(part, Mapping) or kind not in TEXT_PARTS or not isinstance(part.get("text"), str):
            raise ShapeError(f"a turn's content in '{field}' must be text, not a list with {kind!r}"[:200])
    return "".join(part["text"] for part in said)


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _reasoning(turn: Mapping[str, Any]) -> str | None:
    beside = next((v for name in REASONING if isinstance(v := turn.get(name), str) and v.strip()), None)
    return beside or _thoughts_among(turn)


def _thoughts_among(turn: Mapping[str, Any]) -> str | None:
    """The thoughts among the parts of a turn's content."""
    content = next((turn[name] for name in CONTENTS if not _is_null(turn.get(name))), None)
    parts = content if isinstance(content, list) else []
    return "\n\n".join(text for part in parts if (text := _thought(part))) or None


def _thought(part: object) -> str | None:
    """The text of a part that is a thought: a text, or a list of parts with texts; None of any other part."""
    kind = part.get("type") if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping) or kind not in THOUGHT_PARTS:
        return None
    value = next((part[name] for name in (kind, "thinking", "text") if part.get(name)), None)
    texts = [one.get("text") if isinstance(one, Mapping) else one for one in value] if isinstance(value, list) else []
    spoken = [one for one in texts if isinstance(one, str)]
    if texts and len(spoken) == len(texts):
        return "".join(spoken)
    return value if isinstance(value, str) else None


def _require_for_training(turn: Mapping[str, Any], field: str) -> None:
    for name in WEIGHTS:
        value = turn.get(name)
        if isinstance(value, bool | int | float) and not value:
            raise ShapeError(f"the last turn of '{field}' has '{name}': {json.dumps(value)}, so it is not for training")


def _has_more(turn: Mapping[str, Any], thinking: str | None) -> bool:
    """Whether a turn says something that its message and the record's thinking do not."""
    content = next((name for name in CONTENTS if not _is_null(turn.get(name))), None)
    speaker = next((name for name in SPEAKERS if turn.get(name)), None)
    if _thoughts_among(turn) not in (None, thinking):
        return True
    for name, value in turn.items():
        kept = name in (content, speaker) or (name in REASONING and value == thinking)
        if not kept and not is_nothing(value):
            return True
    return False
