"""Where a thinking model's thoughts end and its answer begins, derived from its chat template.

A template that accepts reasoning shows it between two marks; rendering a message with reasoning finds them. Templates
that only remove reasoning from answers contain the closing mark in their source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from synthetic_instruction_tuner.chat.rendering import Renderer, TurnsRejected
from synthetic_instruction_tuner.records import Message

_THOUGHT, _ANSWER = "zqThoughtqz", "zqAnswerqz"
_KNOWN = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("[THINK]", "[/THINK]"),
    ("<|channel>thought", "<channel|>"),
)
_PAIRS = (("</", "<"), ("[/", "["), ("<|END_", "<|START_"), ("<|end_", "<|start_"), ("<|/", "<|"))


@dataclass(frozen=True, slots=True)
class ThinkMarks:
    """The marks around a model's thoughts, without the white space beside them."""

    opening: str
    closing: str

    def split(self, tokenizer: Any, ids: Sequence[int], opened: bool = False) -> tuple[str, list[int]]:
        """Returns the thoughts as raw text, and the ids of what follows them.

        If the text or its prompt opens the thoughts and nothing closes them, everything is thoughts. A text without
        marks has none; neither has one that begins with no mark, unless the prompt has opened the thoughts: it only
        mentions the marks.

        Args:
            tokenizer, ids: what the model wrote.
            opened: whether the prompt has opened the thoughts.
        """
        raw = _decode(tokenizer, ids)
        begins = raw.lstrip().startswith(tuple(mark for mark in (self.opening, self.closing) if mark))
        if self.closing in raw and (opened or begins):
            low, high = 1, len(ids)  # fewest tokens that hold the closing mark
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if self.closing in _decode(tokenizer, ids[:middle]) else (middle + 1, high)
            thoughts, _, glued = _decode(tokenizer, ids[:low]).partition(self.closing)
            if glued.strip():  # the last token also contains the answer's first letters
                return self._open(thoughts), list(tokenizer.encode(glued, add_special_tokens=False)) + list(ids[low:])
            return self._open(thoughts), list(ids[low:])
        if opened or (self.opening and begins):
            return self._open(raw), []
        return "", list(ids)

    def _open(self, text: str) -> str:
        return text.strip().removeprefix(self.opening).strip() if self.opening else text.strip()


def think_marks(renderer: Renderer) -> ThinkMarks | None:
    """Returns the marks that the template puts around thoughts, or None if it has none."""
    question, answer = Message("user", "zq"), Message("assistant", _ANSWER)
    try:
        asked = renderer.render([question], generation=True, thinking=True)
        text = renderer.render([question, answer], thinking=True, reasoning=_THOUGHT)
    except TurnsRejected:
        return _named(renderer.source)
    before, found, rest = text.partition(_THOUGHT)
    between, answered, _ = rest.partition(_ANSWER)
    if not found or not answered or not between.strip():
        return _named(renderer.source)
    closing = between.strip()
    for end, start in _PAIRS:
        if closing.startswith(end):
            first = closing.partition(">" if end.startswith("<") else "]")
            return ThinkMarks(start + (first[0] + first[1]).removeprefix(end), closing)
    same = next(
        (i for i, (a, b) in enumerate(zip(before, asked, strict=False)) if a != b), min(len(before), len(asked))
    )
    return ThinkMarks(before[same:].strip(), closing)


def _named(source: str) -> ThinkMarks | None:
    return next((ThinkMarks(start, end) for start, end in _KNOWN if end in source), None)


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False))
