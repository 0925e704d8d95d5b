"""Rules on loops: a word, line or phrase that is repeated too often in a row, and texts made of repetitions.

Words are compared case-folded and without surrounding punctuation. A token without a letter or digit (a table's bar,
a dash, a bullet) is not a word: it does not count as repeated, and it ends a run, so that
``| yes | yes | yes | yes |`` stays.

Lines are compared with their indentation, because closing braces of nested blocks differ only in it. Blank lines
between equal lines do not end a run. Phrases and n-grams of numbers alone do not count: a matrix is not a loop.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, ClassVar

from synthetic_instruction_tuner.filtering.rule import TextRule, Verdict, shorten
from synthetic_instruction_tuner.records import Record

PUNCTUATION = ".,;:!?\"'`()[]{}<>*_~…“”„‘’‚«»‹›¡¿、。，！？；：（）「」『』《》"
LONGEST_PHRASE = 40  # words
NGRAM = 8  # words; shorter ones recur in good texts, too


@dataclass(frozen=True)
class WordRepetition(TextRule):
    """No word may occur more than `most` times in a row."""

    most: int
    name: ClassVar[str] = "word_repetition"

    def limits(self) -> dict[str, Any]:
        """Returns the limit."""
        return {"max_word_repeats": self.most}

    def signal(self, record: Record) -> list[Any]:
        """Returns the longest run of one word, and the word."""
        run, word = longest_run([w.strip(PUNCTUATION) for w in record.response.casefold().split()])
        return [run, shorten(word, 40)]

    def decide(self, signal: list[Any]) -> Verdict:
        """Compares the run with the limit."""
        return _run_verdict(self.name, "word", signal, self.most)


@dataclass(frozen=True)
class LineRepetition(TextRule):
    """No line may occur more than `most` times in a row."""

    most: int
    name: ClassVar[str] = "line_repetition"

    def limits(self) -> dict[str, Any]:
        """Returns the limit."""
        return {"max_line_repeats": self.most}

    def signal(self, record: Record) -> list[Any]:
        """Returns the longest run of one line, and the line."""
        run, line = longest_run([line for text in record.response.splitlines() if (line := text.rstrip())])
        return [run, shorten(line, 40)]

    def decide(self, signal: list[Any]) -> Verdict:
        """Compares the run with the limit."""
        return _run_verdict(self.name, "line", signal, self.most)


@dataclass(frozen=True)
class PhraseRepetition(TextRule):
    """No phrase of 2 to 40 words may occur more than `most` times in a row."""

    most: int
    name: ClassVar[str] = "phrase_repetition"

    def limits(self) -> dict[str, Any]:
        """Returns the limit."""
        return {"max_phrase_repeats": self.most}

    def signal(self, record: Record) -> list[Any]:
        """Returns how often the most repeated phrase occurs in a row, and the phrase."""
        run, phrase = longest_phrase_run(plain_words(record.response))
        return [run, shorten(phrase, 60)]

    def decide(self, signal: list[Any]) -> Verdict:
        """Compares the run with the limit."""
        return _run_verdict(self.name, "phrase", signal, self.most)


@dataclass(frozen=True)
class NgramRepetition(TextRule):
    """At most the share `most` of the words may be in 8-grams that occurred earlier in the response."""

    most: float
    name: ClassVar[str] = "ngram_repetition"

    def limits(self) -> dict[str, Any]:
        """Returns the limit."""
        return {"max_repeated_share": self.most}

    def signal(self, record: Record) -> float:
        """Returns the share of words in repeated 8-grams, 0..1."""
        return round(repeated_share(plain_words(record.response)), 6)

    def decide(self, signal: float) -> Verdict:
        """Compares the share with the limit."""
        passed = signal <= self.most
        reason = "" if passed else f"{signal:.0%} of the words are in phrases that occurred earlier in the response"
        return Verdict(self.name, passed, signal, self.most, reason)


def _run_verdict(rule: str, kind: str, signal: list[Any], most: int) -> Verdict:
    run, what = signal
    reason = "" if run <= most else f"the {kind} '{what}' occurs {run} times in a row"
    return Verdict(rule, run <= most, run, most, reason)


def longest_run(items: list[str]) -> tuple[int, str]:
    """Returns the length of the longest run of equal items that contain a letter or digit, and the item.

    The first of equally long runs wins; a list without such an item gives ``(0, "")``.
    """
    # Equal neighbors are rare: finding them first keeps the loop over all words in C.
    equal = [i for i, (a, b) in enumerate(pairwise(items), 1) if a == b]
    best, where, run, last = 0, 0, 1, -1
    for i in equal:
        run = run + 1 if i == last + 1 else 2
        last = i
        if run > best and has_letter(items[i]):
            best, where = run, i
    if best:
        return best, items[where]
    first = next((item for item in items if has_letter(item)), "")
    return (1, first) if first else (0, "")


def longest_phrase_run(words: list[str]) -> tuple[int, str]:
    """Returns how often the most repeated phrase of 2 to 40 words occurs in a row, and the phrase.

    A single repeated word is not a phrase. ``(1, "")`` where no phrase occurs three times in a row.
    """
    best, phrase = 1, ""
    if not any(_seen_before(words, 4)):  # three times two words hold one four-gram twice
        return best, phrase
    for period in range(2, min(LONGEST_PHRASE, len(words) // 2) + 1):
        run = start = 0
        for place, same in enumerate(map(operator.eq, words, islice(words, period, None))):
            if same:
                start = start if run else place
                run += 1
            elif run:
                best, phrase = _better(words, start, run, period, best, phrase)
                run = 0
        best, phrase = _better(words, start, run, period, best, phrase)
    return best, phrase


def _better(words: list[str], start: int, run: int, period: int, best: int, phrase: str) -> tuple[int, str]:
    times = run // period + 1
    part = words[start : start + period]
    better = times > max(best, 2) and len(set(part)) > 1 and not _all_numbers(part)
    return (times, " ".join(part)) if better else (best, phrase)


def repeated_share(words: list[str]) -> float:
    """Returns the share of the words that are in an 8-gram that occurred before, 0..1."""
    covered = until = 0
    for place, seen in enumerate(_seen_before(words, NGRAM)):
        if seen and not _all_numbers(words[place : place + NGRAM]):
            covered += place + NGRAM - max(place, until)
            until = place + NGRAM
    return covered / len(words) if words else 0.0


def _seen_before(words: list[str], size: int) -> list[bool]:
    """Returns for each n-gram, in order, whether it occurred before."""
    found: set[tuple[str, ...]] = set()
    result = []
    for gram in zip(*(islice(words, k, None) for k in range(size)), strict=False):
        result.append(gram in found)
        found.add(gram)
    return result


def _all_numbers(words: Sequence[str]) -> bool:
    return not any(c.isalpha() for word in words for c in word)


def plain_words(text: str) -> list[str]:
    """Returns the words with a letter or digit, case-folded, without surrounding punctuation."""
    return [word for raw in text.casefold().split() if has_letter(word := raw.strip(PUNCTUATION))]


def has_letter(text: str) -> bool:
    """Whether there is a letter or digit."""
    return text.isalnum() or any(c.isalnum() for c in text)
