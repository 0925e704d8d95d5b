"""Turns a row of one of the usual shapes into a record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from synthetic_instruction_tuner.records import Message, Record, Role

PAIRS = (  # the field of the instruction, and those of its response
    ("instruction", ("response", "output", "completion", "answer")),
    ("prompt", ("completion", "response", "output", "answer")),
    ("question", ("answer", "response", "output")),
    ("query", ("response", "answer", "output")),
    ("input", ("output", "response", "completion")),
)
EXCHANGE = (("user", "input"), ("assistant", "output"))
EXTRAS = ("input", "context")  # what an instruction is about (Alpaca, Dolly)
SYSTEMS = ("system", "system_prompt")
CONVERSATIONS = ("messages", "conversations", "conversation")
RECORD_FIELDS = {*(ask for ask, _ in PAIRS), *CONVERSATIONS}  # one of them makes a row a record
ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
}


class ShapeError(ValueError):
    """A row that is not a record; its text says why."""


def record_from_row(row: object, default_id: str, source: dict[str, Any]) -> Record:
    """Returns the row's record.

    A row without a response becomes a record with an empty one. Fields that a record does not have are kept under
    ``provenance["fields"]``.

    Args:
        row: a parsed JSON object or Parquet row.
        default_id: the id if the row has none.
        source: the provenance if the row has none.

    Raises:
        ShapeError: the row is of no known shape, or a field has the wrong type.
    """
    if not isinstance(row, Mapping):
        raise ShapeError(f"a row must be an object with fields, not {_kind(row)}")
    used, exchange = _exchange(row)
    system = next((name for name in SYSTEMS if _text(row, name)), SYSTEMS[0])
    found, provenance = _id(row), _provenance(row)
    record = replace(
        exchange,
        id=found or default_id,
        system=_text(row, system) or exchange.system,
        domain=_text(row, "domain") or None,
        thinking=_thinking(row),
        provenance=source if provenance is None else provenance,
    )
    own = {"id": found, "domain": record.domain, "thinking": record.thinking, "provenance": provenance}
    used |= {system, *(name for name, value in own.items() if value is not None)}
    used |= {name for name in CONVERSATIONS if _repeats(row.get(name), record)}
    return with_fields(record, {name: v for name, v in row.items() if name not in used and v is not None})


def with_fields(record: Record, fields: Mapping[str, Any]) -> Record:
    """Returns the record with these fields, as JSON can hold them, under ``provenance["fields"]`` too."""
    if not fields:
        return record
    earlier = record.provenance.get("fields")
    together = (earlier if isinstance(earlier, dict) else {}) | _plain(fields)
    return replace(record, provenance=record.provenance | {"fields": together})


def _exchange(row: Mapping[str, Any]) -> tuple[set[str], Record]:
    """The fields with the question and the answer, and their contents.

    A pair takes precedence only if it is complete: many data sets repeat a conversation's prompt beside it.
    """
    return _from_pair(row, whole=True) or _from_conversation(row) or _from_pair(row, whole=False) or _unknown(row)


def _from_pair(row: Mapping[str, Any], whole: bool) -> tuple[set[str], Record] | None:
    """The first ask with its answer; if not ``whole``, either may be empty."""
    for ask, answers in PAIRS:
        answer = next((a for a in answers if row.get(a) is not None), None)
        if row.get(ask) is None or (whole and (answer is None or _is_blank(row[ask]))):
            continue
        return _pair(row, ask, answer or answers[0])
    return None


def _pair(row: Mapping[str, Any], ask: str, answer: str) -> tuple[set[str], Record]:
    if isinstance(row[ask], list):  # TRL's conversational prompt and completion
        end = row.get(answer) or []
        turns = _turns(end) if isinstance(end, list) else [Message("assistant", _text(row, answer))]
        return {ask, answer}, _conversation([*_turns(row[ask]), *turns])
    history = _turns(row["history"]) if row.get("history") else []
    extras = EXTRAS if ask == "instruction" else EXTRAS[:1]
    extra = next((name for name in extras if name != ask and _text(row, name)), "")
    parts = [_text(row, name) for name in (ask, extra) if name]
    used = {ask, answer, extra, "input", "history"}  # an input that is not used is empty
    return used, Record("", "\n\n".join(parts), _text(row, answer), history=tuple(history))


def _is_blank(value: object) -> bool:
    return not (value.strip() if isinstance(value, str) else value)


def _from_conversation(row: Mapping[str, Any]) -> tuple[set[str], Record] | None:
    name = next((n for n in CONVERSATIONS if row.get(n) is not None), None)
    return ({name}, _conversation(_turns(row[name]))) if name else None


def _repeats(value: object, record: Record) -> bool:
    """Whether a conversation beside a record's texts says the same, as in this package's own files."""
    try:
        return value is not None and _turns(value) == record.messages()
    except ShapeError:
        return False


def _unknown(row: Mapping[str, Any]) -> tuple[set[str], Record]:
    fields = ", ".join(str(k) for k in list(row)[:8]) or "none"
    raise ShapeError(f"no instruction, prompt, question, messages or conversations among its fields ({fields})")


def _conversation(turns: Sequence[Message]) -> Record:
    """A conversation as a record: the last user turn is the instruction, what follows it the response."""
    system = turns[0].content if turns and turns[0].role == "system" else None
    turns = turns[1:] if system is not None else turns
    if any(turn.role == "system" for turn in turns):
        raise ShapeError("there is a system turn within the conversation")
    asked = max((i for i, turn in enumerate(turns) if turn.role == "user"), default=None)
    if asked is None:
        raise ShapeError("the conversation has no user turn")
    answers = turns[asked + 1 :]
    if len(answers) > 1:
        raise ShapeError("several assistant turns follow the last user turn")
    response = answers[0].content if answers else ""
    return Record("", turns[asked].content, response, system=system, history=tuple(turns[:asked]))


def _turns(value: object) -> list[Message]:
    if isinstance(value, str) and value.lstrip().startswith("["):  # a list stored as JSON text, as in Parquet and CSV
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ShapeError("a conversation's text is not a JSON list") from None
    if isinstance(value, list) and value and all(isinstance(turn, str) for turn in value):  # LIMA: turns alternate
        return [Message("assistant" if number % 2 else "user", turn) for number, turn in enumerate(value)]
    if (
        isinstance(value, list)
        and value
        and all(isinstance(t, Mapping) and {"input", "output"} <= t.keys() for t in value)
    ):
        both = (_turn({"role": role, "content": turn[name]}) for turn in value for role, name in EXCHANGE)  # Capybara
        return list(both)
    if not isinstance(value, list) or not all(isinstance(turn, Mapping) for turn in value):
        raise ShapeError("a conversation must be a list of turns with role and content")
    return [_turn(turn) for turn in value]


def _turn(turn: Mapping[str, Any]) -> Message:
    role = turn.get("role") or turn.get("from")
    content = turn.get("content") if turn.get("content") is not None else turn.get("value")
    if isinstance(content, list) and all(isinstance(p, Mapping) and isinstance(p.get("text"), str) for p in content):
        content = "".join(part["text"] for part in content)
    if not isinstance(role, str) or role.lower() not in ROLES:
        raise ShapeError(f"a turn's role must be system, user or assistant, not {role!r}"[:200])
    if not isinstance(content, str):
        raise ShapeError(f"a turn's content must be text, not {_kind(content)}")
    return Message(ROLES[role.lower()], content)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ShapeError(f"'{name}' must be text, not {_kind(value)}")
    return value


def _id(row: Mapping[str, Any]) -> str | None:
    value = row.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def _thinking(row: Mapping[str, Any]) -> str | None:
    value = row.get("thinking")
    return value if isinstance(value, str) and value else None


def _provenance(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The row's own provenance; Parquet files hold it as JSON text."""
    value = row.get("provenance")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return cast("dict[str, Any]", _plain(value)) if isinstance(value, dict) else None


def _plain(value: object) -> Any:
    """The value as JSON can hold it: dates and bytes as text, null for NaN."""
    text = json.dumps(value, default=str, ensure_ascii=False, skipkeys=True)
    return json.loads(text, parse_constant=lambda _: None)


def _kind(value: object) -> str:
    names = {"NoneType": "nothing", "str": "text", "int": "a number", "float": "a number", "list": "a list"}
    return names.get(type(value).__name__, "an object" if isinstance(value, Mapping) else f"a {type(value).__name__}")
