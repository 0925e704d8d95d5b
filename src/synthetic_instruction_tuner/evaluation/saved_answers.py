"""Texts of answers as scorers read them: without a model's thinking, and with the letter that they choose."""

from __future__ import annotations

import re
from collections.abc import Sequence

LETTERS = "ABCD"
_OPENED = re.compile(r"\s*<(think|thinking|thought|reasoning)>", re.IGNORECASE)
_CLOSED = re.compile(r"</(think|thinking|thought|reasoning)>", re.IGNORECASE)

_LETTER = rf"[\(\[\*\s]*(?:([{LETTERS}])(?![\w'])|([{LETTERS.lower()}])(?=\s*[\)\]\.\*]|\s*$))"
_STATED = re.compile(
    rf"\b(?i:answer|option|choice)\b(?:\s+(?i:is))?\s*[:\-]?\s*(?:(?i:option)\s*)?{_LETTER}"
    rf"|\\boxed\{{\s*(?:\\text\{{)?\s*([{LETTERS}])\b"
    rf"|<answer>[\(\[\*\s]*([{LETTERS}])\b"
    rf"|(?:정답|답|答案|答え)(?:은|는|이|是|为|は)?\s*[:：]?[\(\[（\*\s]*([{LETTERS}])(?![A-Za-z0-9_'])",
    re.MULTILINE,
)
_EMPHASIZED = re.compile(rf"\*\*[\(\[]?([{LETTERS}])[\)\].:]*\*\*")
_FIRST = re.compile(rf"\s*[\(\[\*]*([{LETTERS}])(?:[\)\]\*\.:,]|\s*$|\s*\n)")


def without_thinking(text: str) -> str:
    """Returns an answer without the thinking that a model writes before it.

    Thinking that is not closed was cut off before there was any answer: nothing is left. A template may have opened it
    in the prompt; then the text has only the end.
    """
    closed = list(_CLOSED.finditer(text))
    if _OPENED.match(text):
        return text[closed[-1].end() :].lstrip() if closed else ""
    if closed and not re.search(rf"<{closed[0][1]}>", text[: closed[0].start()], re.IGNORECASE):
        return text[closed[-1].end() :].lstrip()
    return text


def chosen_letter(text: str, options: Sequence[str] = ()) -> str | None:
    """Returns the letter that an answer chooses, or None where it names none, or several.

    Read are, in this order: a stated answer ("The answer is (B)", "Answer: B", a boxed letter; the last one counts), a
    letter at the beginning ("B", "B. Oxygen"), the only letter that is printed bold, and the text of exactly one option
    as the whole answer.
    """
    text = without_thinking(text).strip()
    stated = [next(filter(None, match.groups())).upper() for match in _STATED.finditer(text)]
    if stated:
        return stated[-1]
    if first := _FIRST.match(text):
        return first[1]
    if len(bold := set(_EMPHASIZED.findall(text))) == 1:
        return bold.pop()
    plain = _plain(text)
    same = [letter for letter, option in zip(LETTERS, options, strict=False) if plain and _plain(option) == plain]
    return same[0] if len(same) == 1 else None


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).strip(" .*\"'")
