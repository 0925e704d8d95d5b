"""An answer with the scores that it may be judged by; its text without the thoughts before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError, read_conversation
from synthetic_instruction_tuner.data_files.own_data.preference_rows import NO_MODEL
from synthetic_instruction_tuner.data_files.row_shapes.thoughts import split_thoughts, with_thoughts
from synthetic_instruction_tuner.records import Message


@dataclass(frozen=True, slots=True)
class Text:
    """An answer with all scores that it may be judged by.

    Attributes:
        text: the answer, without thoughts before it.
        model: who wrote it.
        scores: numbers by the names of their fields.
        truncated: whether it was cut off.
        thoughts: what stood before it.
        side: of numbered columns, the letter or number.
        asked: of a whole conversation, the turns before the answer.
        whole: the answer with the thoughts before it, as the row has them; empty if it has none.
    """

    text: str
    model: str
    scores: dict[str, float]
    truncated: bool = False
    thoughts: str | None = None
    side: str = ""
    asked: tuple[Message, ...] = ()
    whole: str = ""


def answer_text(value: Any, name: str, model: Any, scores: dict[str, float]) -> Text:
    """Returns an answer: its text without thoughts; of messages, the last one. Thoughts that never end cut it off.

    Args:
        value: a text, or messages.
        name: its field, for messages.
        model: who wrote it, if it is a text.
        scores: its scores.

    Raises:
        ShapeError: it is no answer.
    """
    text, asked, thinking = _spoken(value, name)
    try:
        thoughts, answer = split_thoughts(text)
    except ShapeError:
        return Text(text, _name(model), scores, truncated=True, asked=asked)
    whole = text if thoughts is not None else with_thoughts(answer, thinking)
    return Text(answer, _name(model), scores, thoughts=thoughts or thinking, asked=asked, whole=whole)


def _name(model: Any) -> str:
    return model if isinstance(model, str) and model else NO_MODEL


def _spoken(value: Any, name: str) -> tuple[str, tuple[Message, ...], str | None]:
    """An answer's text, the turns before it if it is a whole conversation, and its thoughts."""
    if isinstance(value, str):
        return value, (), None
    if value is None:
        return "", (), None
    turns: Sequence[Message] = ()
    thinking = None
    if isinstance(value, (list, Mapping)):
        conversation = read_conversation(value, name, texts=False)
        turns, thinking = conversation.turns, conversation.thinking
    if not turns or turns[-1].role != "assistant":
        raise ShapeError(f"an entry of '{name}' is no answer")
    return turns[-1].content, tuple(turns[:-1]), thinking
