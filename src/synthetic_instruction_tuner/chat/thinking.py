"""Where a thinking model's thoughts end and its answer begins, derived from its chat template.

A template that accepts reasoning shows it between two marks; rendering a message with reasoning finds them. Templates
that only remove reasoning from answers, or tell the model in words how to mark them, contain the closing mark in their
source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from synthetic_instruction_tuner.chat.rendering import Renderer, TurnsRejected
from synthetic_instruction_tuner.records import Message

_THOUGHT, _ANSWER = "zqThoughtqz", "zqAnswerqz"
_KEYS = ("reasoning_content", "reasoning", "thinking", "thought")  # names of the thoughts in a message
_KNOWN = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel>thought", "<channel|>"),
)
_WORDS = (  # of models that begin to think without a mark, or with a sentence
    ("", "[BEGIN FINAL RESPONSE]"),
    ("Here is my thought process:", "Here is my response:"),
)
_ENDINGS = {"[BEGIN FINAL RESPONSE]": "[END FINAL RESPONSE]"}
_PAIRS = (("</", "<"), ("[/", "["), ("<|END_", "<|START_"), ("<|end_", "<|start_"), ("<|/", "<|"))


@dataclass(frozen=True, slots=True)
class ThinkMarks:
    """The marks around a model's thoughts, without the white space beside them.

    Attributes:
        opening: before the thoughts; empty if the model begins to think without one.
        closing: between the thoughts and the answer.
        bridge: all that the template writes between the two.
    """

    opening: str
    closing: str
    bridge: str = ""

    @property
    def ending(self) -> str:
        """What ends an answer that begins after the closing mark; empty if nothing does."""
        return _ENDINGS.get(self.closing, "")

    def opened_by(self, text: str, end: str) -> bool:
        """Returns whether a prompt that ends in this way ends within thoughts.

        Args:
            text: the prompt.
            end: what comes after its last message.
        """
        if self.opening:
            return end.rfind(self.opening) > end.rfind(self.closing)
        return self.closing in text and self.closing not in end  # it tells the model to write the mark

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
    for keys in (_KEYS, *((key,) for key in _KEYS)):
        try:
            asked = renderer.render([question], generation=True, thinking=True)
            text = renderer.render([question, answer], thinking=True, reasoning=dict.fromkeys(keys, _THOUGHT))
        except TurnsRejected:
            continue
        if text.count(_THOUGHT) == 1 and (marks := _shown(asked, text)):
            return marks
    return _named(renderer.source)


def _shown(asked: str, text: str) -> ThinkMarks | None:
    """Returns the marks in a text that shows thoughts and an answer, or None if there is nothing between them."""
    before, _, rest = text.partition(_THOUGHT)
    bridge, answered, _ = rest.partition(_ANSWER)
    closing = bridge.strip()
    if not answered or not closing:
        return None
    for end, start in _PAIRS:
        if closing.startswith(end):
            first = closing.partition(">" if end.startswith("<") else "]")
            return ThinkMarks(start + (first[0] + first[1]).removeprefix(end), closing, bridge)
    same = next(
        (i for i, (a, b) in enumerate(zip(before, asked, strict=False)) if a != b), min(len(before), len(asked))
    )
    return ThinkMarks(before[same:].strip(), closing, bridge)


def _named(source: str) -> ThinkMarks | None:
    for known, blank in ((_WORDS, "\n"), (_KNOWN, "\n\n")):
        for opening, closing in known:
            if closing in source:
                return ThinkMarks(opening, closing, f"\n{closing}{blank}")
    return None


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False))
