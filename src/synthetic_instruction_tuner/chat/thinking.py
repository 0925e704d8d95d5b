"""Where a thinking model's thoughts end and its answer begins. The marks are those of `thought_marks`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_OF_A_SENTENCE = frozenset(" \t`'\"*(\u201c\u2018\u00ab")  # before a mark that is only mentioned


@dataclass(frozen=True, slots=True)
class ThinkMarks:
    """The marks around a model's thoughts, without the white space beside them.

    Attributes:
        opening: before the thoughts; empty if the model begins to think without one.
        closing: between the thoughts and the answer.
        bridge: all that the template writes between the two.
        start: what the template's own prompt writes after the assistant's header to begin the thoughts; often empty.
        around: what begins and ends the answer after the thoughts, each part often empty.
    """

    opening: str
    closing: str
    bridge: str = ""
    start: str = ""
    around: tuple[str, str] = ("", "")

    def opened_by(self, text: str, end: str) -> bool:
        """Returns whether a prompt that ends in this way ends within thoughts.

        Args:
            text: the prompt.
            end: what comes after its last message.
        """
        marks = [mark for mark in (self.opening, self.start) if mark]
        if any(end.rfind(mark) > end.rfind(self.closing) for mark in marks):
            return True
        # Without an opening mark: the prompt tells the model to write the closing one.
        return not self.opening and self.closing in text and self.closing not in end

    def split(self, tokenizer: Any, ids: Sequence[int], opened: bool = False) -> tuple[str, list[int]]:
        """Returns the thoughts as raw text, and the ids of what follows them.

        If the text or its prompt opens the thoughts and nothing closes them, everything is thoughts. A text without
        marks has none. A closing mark alone ends some where the template's own prompts begin thoughts, or words close
        them; otherwise, and within a sentence or quotes, it is only mentioned.

        Args:
            tokenizer, ids: what the model wrote.
            opened: whether the prompt has opened the thoughts.
        """
        raw = _decode(tokenizer, ids)
        begins = raw.lstrip().startswith(tuple(mark for mark in (self.opening, self.closing, self.start) if mark))
        if self.closing in raw and (opened or begins or self._ends_thoughts(raw)):
            low, high = 1, len(ids)  # fewest tokens that hold the closing mark
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if self.closing in _decode(tokenizer, ids[:middle]) else (middle + 1, high)
            thoughts, _, glued = _decode(tokenizer, ids[:low]).partition(self.closing)
            if glued.strip():  # the last token also contains the answer's first letters
                return self._open(thoughts), list(tokenizer.encode(glued, add_special_tokens=False)) + list(ids[low:])
            return self._open(thoughts), list(ids[low:])
        if opened or (begins and not raw.lstrip().startswith(self.closing)):
            return self._open(raw), []
        return "", list(ids)

    def bare(self, answer: str) -> str:
        """Returns an answer that follows thoughts without what is written around it."""
        return answer.removeprefix(self.around[0]).removesuffix(self.around[1]).strip()

    def _ends_thoughts(self, raw: str) -> bool:
        before = raw.partition(self.closing)[0]
        return bool(self.start or not self.opening) and before[-1:] not in _OF_A_SENTENCE

    def _open(self, text: str) -> str:
        return text.strip().removeprefix(self.start).lstrip().removeprefix(self.opening).strip()


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False))
