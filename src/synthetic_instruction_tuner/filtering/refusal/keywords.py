"""The refusal rule by keywords: the response must not contain one of the given phrases, wherever it is.

A phrase is matched as whole words, in any case, with any apostrophe and any white space between its words. Whole words
matter: "the API cannot" is not "I cannot", "it was an aim" is not "As an AI". Case does not: "as an AI" within a
sentence refuses as much as at its start. Fiction and quotations with such a phrase are dropped, too; the rule in `form`
avoids that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering.rule import TextRule, Verdict
from synthetic_instruction_tuner.records import Record

APOSTROPHES = "'’‘ʼ´`＇"
STRAIGHT = str.maketrans(APOSTROPHES, "'" * len(APOSTROPHES))


class RefusalKeywords(TextRule):
    """No response may contain one of the phrases."""

    name: ClassVar[str] = "refusal"

    def __init__(self, phrases: Iterable[str]) -> None:
        """Raises UserError for a phrase without a word, which would match everything or nothing."""
        self.phrases = checked_phrases(phrases)
        self._patterns = [phrase_pattern(phrase) for phrase in self.phrases]
        # Plain substring search is many times faster than the patterns, so it decides which are tried at all.
        self._last_words = [straight(phrase).split()[-1] for phrase in self.phrases]

    def basis(self) -> dict[str, Any]:
        """Returns the phrases."""
        return {"rule": "keywords", "phrases": list(self.phrases)}

    def signal(self, record: Record) -> list[Any] | None:
        """Returns the first phrase found and its place, in characters from the response's start."""
        text = straight(record.response)
        hits = []
        for order, (pattern, word) in enumerate(zip(self._patterns, self._last_words, strict=True)):
            if word in text and (match := pattern.search(text)):
                hits.append((match.start(), order))
        if not hits:
            return None
        place, order = min(hits)
        return [self.phrases[order], place]

    def decide(self, signal: list[Any] | None) -> Verdict:
        """Drops responses with a phrase."""
        limit = "none of the phrases"
        if signal is None:
            return Verdict(self.name, True, None, limit)
        phrase, place = signal
        reason = f"the response contains '{phrase}' at character {place}"
        return Verdict(self.name, False, f"{phrase} @ {place}", limit, reason)


def checked_phrases(phrases: Iterable[str]) -> tuple[str, ...]:
    """Returns the phrases; raises UserError for one without a word."""
    found = tuple(phrases)
    for phrase in found:
        if not re.search(r"\w", phrase):
            problem = "A refusal phrase contains no word."
            raise UserError(problem, f"filter.refusal_phrases contains {phrase!r}.", "Remove it.")
    return found


def straight(text: str) -> str:
    """Returns the text in lower case, with straight apostrophes and every character at its place."""
    lower = text.lower()
    if len(lower) != len(text):  # a few letters, such as İ, grow in lower case and would shift the places
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return lower.translate(STRAIGHT)


def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """Returns the pattern that finds the phrase's words in a `straight` text."""
    words = straight(phrase).split()
    before = r"(?<!\w)" if re.match(r"\w", words[0]) else ""
    after = r"(?!\w)" if re.search(r"\w$", words[-1]) else ""
    return re.compile(before + r"\s+".join(map(re.escape, words)) + after)
