"""The refusal rule: the response must not hold one of the given phrases, wherever in it.

A phrase is matched as whole words, in any case, with any apostrophe and any white space between its words. Whole words
matter: "the API cannot" is not "I cannot", "it was an aim" is not "As an AI". Case does not: "as an AI" within a
sentence refuses as much as at its start. Fiction and quotations that hold a phrase are dropped too; that is the rule's
known price, and the measured position lets it be looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..errors import UserError
from ..records import Record
from .verdict import Verdict

APOSTROPHES = "'’‘ʼ´`＇"
STRAIGHT = str.maketrans(APOSTROPHES, "'" * len(APOSTROPHES))


class Refusal:
    """No response with one of the phrases."""

    name = "refusal"

    def __init__(self, phrases: Iterable[str]) -> None:
        """Raises UserError for a phrase without a word, which would match everything or nothing."""
        self.phrases = tuple(phrases)
        for phrase in self.phrases:
            if not re.search(r"\w", phrase):
                problem = "A refusal phrase has no word in it."
                raise UserError(problem, f"filter.refusals holds {phrase!r}.", "Remove it.")
        self._patterns = [_pattern(phrase) for phrase in self.phrases]
        # Plain substring search is many times faster than the patterns, so it decides which are tried at all.
        self._last_words = [_straight(phrase).split()[-1] for phrase in self.phrases]

    def judge(self, record: Record) -> Verdict:
        """Measures the first phrase found and its place, in characters from the response's start."""
        text = _straight(record.response)
        hits = []
        for order, (pattern, word) in enumerate(zip(self._patterns, self._last_words, strict=True)):
            if word in text and (match := pattern.search(text)):
                hits.append((match.start(), order))
        limit = "none of the phrases"
        if not hits:
            return Verdict(self.name, True, None, limit)
        place, order = min(hits)
        phrase = self.phrases[order]
        reason = f"the response says '{phrase}' at character {place}"
        return Verdict(self.name, False, f"{phrase} @ {place}", limit, reason)


def _straight(text: str) -> str:
    """Lower case and straight apostrophes, each character in its place."""
    lower = text.lower()
    if len(lower) != len(text):  # a few letters, such as İ, grow in lower case and would shift the places
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return lower.translate(STRAIGHT)


def _pattern(phrase: str) -> re.Pattern[str]:
    words = _straight(phrase).split()
    before = r"(?<!\w)" if re.match(r"\w", words[0]) else ""
    after = r"(?!\w)" if re.search(r"\w$", words[-1]) else ""
    return re.compile(before + r"\s+".join(map(re.escape, words)) + after)
