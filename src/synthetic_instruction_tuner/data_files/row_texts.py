"""Finds what a row asks and what it answers: the fields of a question and its answer, or a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import (
    REASONING,
    Conversation,
    ShapeError,
    are_turns,
    is_turn,
    kind_of,
    read_conversation,
    read_transcript,
)
from synthetic_instruction_tuner.data_files.row_shapes.other_answers import TO_PAIRS, are_compared
from synthetic_instruction_tuner.records import Message, Record, Role

PAIRS = (  # the field of the instruction, and those of its response
    ("instruction", ("response", "output", "completion", "answer")),
    ("prompt", ("completion", "response", "output", "answer")),
    ("question", ("answer", "response", "output")),
    ("query", ("response", "answer", "output")),
    ("input", ("output", "response", "completion")),
)
ANSWERS = ("response", "output", "completion", "answer", "reply", "solution", "target", "generation")
COMPLETE = (  # pairs that are read only where both texts are there
    *((ask, ANSWERS) for ask, _ in PAIRS),
    ("problem", ANSWERS),
    ("inputs", ("targets", "outputs")),
    ("user", ("assistant",)),
    ("human", ("assistant",)),
    ("context", ("response",)),
)
CHOSEN, REJECTED = "chosen", "rejected"  # the answers of a preference pair, as texts or as messages
EXTRAS = ("input", "context")  # what an instruction is about (Alpaca, Dolly)
SYSTEMS = ("system", "system_prompt")
CONVERSATIONS = ("messages", "conversations", "conversation")
DIALOGUES = ("dialogue", "dialog", "chat")  # further names of conversations
RECORD_FIELDS = {*(ask for ask, _ in PAIRS), *CONVERSATIONS}  # one of them makes a row a record
TEXTS = {name for ask, answers in (*PAIRS, *COMPLETE) for name in (ask, *answers)} | {CHOSEN, REJECTED}
KNOWN = {*TEXTS, *CONVERSATIONS, *DIALOGUES, *EXTRAS}
Exchange = tuple[set[str], Record]  # the names of the fields that the record now holds, and the record


def read_exchange(row: Mapping[str, Any]) -> tuple[Mapping[str, Any], set[str], Record]:
    """Returns the row, the names of the fields with the question and the answer, and a record of their contents.

    Names in another case, such as ``Question``, count where the usual names give no answer; then the row returned has
    the usual names.

    Raises:
        ShapeError: the row is of no known shape, a field has the wrong type, or a record cannot hold the row.
    """
    try:
        used, record = _usual_exchange(row)
    except ShapeError:
        if (renamed := _renamed(row)) is None:
            raise
        return renamed, *_usual_exchange(renamed)
    if _is_blank(record.response) and (renamed := _renamed(row)) is not None:
        used_too, another = _usual_exchange(renamed)
        if not _is_blank(another.response):
            return renamed, used_too, another
    return row, used, record


def _renamed(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The row with the usual names for those in another case; None if it has none of these."""
    names = {name: field_of(name) for name in row}
    renamed = {plain if plain and plain not in row else name: row[name] for name, plain in names.items()}
    return None if renamed.keys() == row.keys() else renamed


def field_of(name: object) -> str | None:
    """Returns the field of a record's texts that a name means, in any case; None if it means none."""
    plain = name.strip().lower() if isinstance(name, str) else ""
    return plain if plain in KNOWN else None


def text_of(row: Mapping[str, Any], name: str) -> str:
    """Returns a field's text, empty if there is none; raises ShapeError if it is no text."""
    value = row.get(name)
    if isinstance(value, bytes):
        value = _decoded(value, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ShapeError(f"'{name}' must be text, not {kind_of(value)}")
    return value


def thinking_of(row: Mapping[str, Any]) -> str | None:
    """Returns the thoughts that stand beside a row's texts."""
    return next((v for name in ("thinking", *REASONING) if isinstance(v := row.get(name), str) and v), None)


def _usual_exchange(row: Mapping[str, Any]) -> Exchange:
    """The first of these shapes that the row has.

    A pair takes precedence only if it is complete: many data sets repeat a conversation's prompt beside it. A blank
    answer is the row's answer only if nothing else is.
    """
    return (
        _from_pair(row, _answered(row, PAIRS))
        or _from_conversation(row, CONVERSATIONS, _paired(row) is not None)
        or _from_pair(row, _answered(row, COMPLETE))
        or _from_preference(row)
        or _from_pair(row, _paired(row))
        or _from_conversation(row, DIALOGUES, True)
        or _from_pair(row, _asked(row))
        or _from_turns(row)
        or _unknown(row)
    )


def _answered(row: Mapping[str, Any], pairs: Iterable[tuple[str, tuple[str, ...]]]) -> tuple[str, str] | None:
    """The first question whose answer is there and not blank."""
    for ask, answers in pairs:
        if ask in row and not _is_blank(row[ask]):
            for name in answers:
                if name in row and _is_answer(row[name]):
                    return ask, name
    return None


def _paired(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first question with an answer, which may be blank."""
    both = ((ask, name) for ask, answers in PAIRS if not _is_blank(row.get(ask)) for name in answers)
    return next((pair for pair in both if row.get(pair[1]) is not None), None)


def _asked(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first question, which may be blank, with its answer or the name that it would have."""
    asked = ((ask, answers) for ask, answers in PAIRS if row.get(ask) is not None)
    return next(
        ((ask, next((n for n in answers if row.get(n) is not None), answers[0])) for ask, answers in asked), None
    )


def _is_answer(value: object) -> bool:
    if isinstance(value, str | bytes):
        return not _is_blank(value)
    return is_turn(value) or are_turns(value)


def _is_blank(value: object) -> bool:
    return not (value.strip() if isinstance(value, str | bytes) else value)


def _from_pair(row: Mapping[str, Any], pair: tuple[str, str] | None) -> Exchange | None:
    """A question and its answer, as texts or as messages."""
    if pair is None:
        return None
    ask, answer = pair
    if isinstance(row[ask], str) and isinstance(row.get(answer), str):
        return _from_texts(row, ask, answer, Conversation((Message("assistant", row[answer]),)))
    start = _turns(row, ask, "user")
    end = _turns(row, answer, "assistant") if row.get(answer) or not isinstance(row[ask], list) else Conversation(())
    if any(turn.role == "user" for turn in end.turns):  # the answer repeats the question
        names = {answer, ask} if set(start.turns) <= set(end.turns) else {answer}
        return _kept(row, names, end), _record(end, answer)
    if isinstance(row[ask], list | Mapping):  # TRL's conversational prompt and completion
        both = Conversation((*start.turns, *end.turns), end.thinking, start.more or bool(start.thinking) or end.more)
        return _kept(row, {ask, answer}, both), _record(both, ask)
    return _from_texts(row, ask, answer, end)


def _from_texts(row: Mapping[str, Any], ask: str, answer: str, end: Conversation) -> Exchange:
    """A question with what it is about and the turns before it."""
    if len(end.turns) != 1:
        raise ShapeError(f"'{answer}' has several turns")
    before = _history(row)
    if any(turn.role == "system" for turn in before.turns[1:]):
        raise ShapeError("'history' has a system turn within the conversation")
    asked = read_transcript(text_of(row, ask), open_ended=True)
    turns = asked.turns if asked else (Message("user", text_of(row, ask)),)
    extras = EXTRAS if ask in ("instruction", "question") else EXTRAS[:1]
    extra = next((name for name in extras if name != ask and text_of(row, name)), "")
    parts = [turns[-1].content, *([text_of(row, extra)] if extra else [])]
    lost = {name for name, turns in ((answer, end), ("history", before)) if turns.more}
    used = {ask, answer, extra, "input", "history"} - lost  # an input that is not used is empty
    response, history = end.turns[0].content, (*before.turns, *turns[:-1])
    return used, Record("", "\n\n".join(parts), response, history=history, thinking=end.thinking)


def _history(row: Mapping[str, Any]) -> Conversation:
    """The turns before the question. Texts alternate, so each question among them has an answer."""
    before = read_conversation(row["history"], "history") if row.get("history") else Conversation(())
    texts = isinstance(row.get("history"), list) and all(isinstance(turn, str) for turn in row["history"])
    if texts and len(before.turns) % 2:
        n = len(before.turns)
        raise ShapeError(f"'history' has {n} text{'s' * (n > 1)}, so that one of its questions has no answer")
    return before


def _turns(row: Mapping[str, Any], name: str, role: Role) -> Conversation:
    """A field with messages, or with the text of one turn."""
    if isinstance(row.get(name), list | Mapping):
        return read_conversation(row[name], name, texts=False)
    return Conversation((Message(role, text_of(row, name)),))


def _from_conversation(row: Mapping[str, Any], names: Iterable[str], if_answered: bool) -> Exchange | None:
    """A conversation; with ``if_answered`` only one that can be read and has an answer."""
    name = next((n for n in names if row.get(n) is not None), None)
    if name is None:
        return None
    try:
        conversation = read_conversation(row[name], name)
        record = _record(conversation, name)
    except ShapeError:
        if if_answered:
            return None
        raise
    return None if if_answered and _is_blank(record.response) else (_kept(row, {name}, conversation), record)


def _from_preference(row: Mapping[str, Any]) -> Exchange | None:
    """A preference row: its chosen answer is the response. The rejected one stays among the fields."""
    if not _is_answer(row.get(CHOSEN)) or row.get(REJECTED) is None:
        return None
    asks = (ask for ask, _ in (*PAIRS, *COMPLETE) if not _is_blank(row.get(ask)))
    if ask := next(asks, None):
        return _from_pair(row, (ask, CHOSEN))
    spoken = read_transcript(text_of(row, CHOSEN)) if isinstance(row[CHOSEN], str) else _turns(row, CHOSEN, "assistant")
    return (_kept(row, {CHOSEN}, spoken), _record(spoken, CHOSEN)) if spoken else None


def _from_turns(row: Mapping[str, Any]) -> Exchange | None:
    """Turns in the only field that has any, whatever its name, if no field has a usual one."""
    names = [name for name, value in row.items() if are_turns(value)]
    usual = any(row.get(name) is not None for name in (*KNOWN, "history"))
    return None if usual or len(names) != 1 else _from_conversation(row, names, False)


def _unknown(row: Mapping[str, Any]) -> Exchange:
    if is_turn(row):
        raise ShapeError("a single turn; the turns of a conversation belong into one list, under 'messages'")
    if are_compared(row):
        raise ShapeError(f"two answers to compare, and no single one; {TO_PAIRS}")
    fields = ", ".join(str(k) for k in list(row)[:8]) or "none"
    raise ShapeError(f"no instruction, prompt, question, messages or conversations among its fields ({fields})")


def _kept(row: Mapping[str, Any], names: set[str], conversation: Conversation) -> set[str]:
    """The names, unless the turns hold more than the record will: then they stay among its fields too."""
    system = next((text for name in SYSTEMS if (text := text_of(row, name))), None)
    second = system and conversation.turns[0].role == "system" and conversation.turns[0].content != system
    thought = conversation.thinking and thinking_of(row) not in (None, conversation.thinking)
    return set() if conversation.more or second or thought else names


def _record(conversation: Conversation, name: str) -> Record:
    """A conversation as a record: the last user turn is the instruction, what follows it the response."""
    turns = conversation.turns
    system = turns[0].content if turns and turns[0].role == "system" else None
    turns = turns[1:] if system is not None else turns
    if any(turn.role == "system" for turn in turns):
        raise ShapeError(f"'{name}' has a system turn within the conversation")
    asked = max((i for i, turn in enumerate(turns) if turn.role == "user"), default=None)
    if asked is None:
        raise ShapeError(f"'{name}' has no user turn")
    answers = turns[asked + 1 :]
    if len(answers) > 1:
        raise ShapeError(f"'{name}' has several assistant turns after the last user turn")
    response = answers[0].content if answers else ""
    thinking = conversation.thinking if answers else None
    return Record("", turns[asked].content, response, system=system, history=turns[:asked], thinking=thinking)


def _decoded(value: bytes, name: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise ShapeError(f"'{name}' must be text, not bytes that are not UTF-8") from None
