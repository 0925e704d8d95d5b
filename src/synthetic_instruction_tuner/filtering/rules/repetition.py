"""Rules on loops: a word, line or phrase that is repeated too often in a row, and texts made of repetitions.

Words are compared case-folded and without surrounding punctuation. Only words of letters can be a loop: numbers,
literals such as null, LaTeX commands, tags, signs of a notation (`notation`) and other tokens with signs end a run. So
do the lines of code and data that `markdown.lines_of` finds; there, only very long runs of equal lines count. The lines
of a fence without code are prose. Where no spaces stand between words, a run is what repeats itself within the letters.

Lines are compared with their indentation, because closing braces of nested blocks differ only in it, and without the
number, bullet, time or label ("Step 3:") of an item, since a model in a loop counts on. What follows it has four words
or more, or is a sentence, or is there six times; answers and labels ("Not given.") are none. Blank lines between equal
lines do not end a run. Phrases and n-grams without a word do not count: a matrix is not a loop.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

from synthetic_instruction_tuner.filtering.rule import TextRule, Verdict, shorten
from synthetic_instruction_tuner.filtering.rules.loops import (
    BREAK,
    FOUR,
    NGRAM,
    longest_phrase_run,
    longest_run,
    longest_word_run,
    may_repeat,
    plain_words,
    repeated_share,
)
from synthetic_instruction_tuner.filtering.rules.markdown import lines_of
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.words import UNSPACED_LETTER

_TIME = r"\d{1,2}(?:[:.]\d{2}(?: ?[ap]\.?m\.?)?| ?[ap]\.?m\.?)"
_COUNTER = (
    rf"(?:(?:[*_#]{{1,4}}[ \t]?)?(?:{_TIME}(?:[ \t]?[-–—][ \t]?{_TIME})?(?:[:,]|[ \t][-–—])?|"
    r"(?:step|day|week|month|year|tip|rule|part|point|item|stage|phase|round|set|task|exercise|no\.|number|question|q|"
    r"schritt|tag|étape|jour|paso|día) ?#?\d{1,4}[.):]?(?:[ \t][-–—])?|[(\[]?#?\d{1,4}(?:[.):\]](?:[ \t][-–—])?|[ "
    r"\t][-–—])|"
    r"\(?[a-z][.)]|\(?[ivx]{2,5}[.)]|[①-⑳]|\d\ufe0f?\u20e3)[*_]{0,3}[:.]?[*_]{0,3}|[-*+•‣◦▪·–—])"
)
_ITEM = re.compile(
    rf"^[ \t]*(?:[-*+•] )?{_COUNTER}[ \t]+(?:[*_]{{1,3}})?(?=[^\W\d_])(?P<said>[^\n]*)", re.IGNORECASE | re.MULTILINE
)
_WITHIN = re.compile(r"(?<=[.!?] )\(?\d{1,4}[.)] +(?=[A-Z])")  # of an item within a line
_ANSWER = re.compile(
    r"(?:true|false|yes|no|not|none|null|n/a|correct|incorrect|right|wrong|option|answer|choice|see|same|agree|"
    r"disagree|"
    r"(?:strongly|somewhat|slightly|very|neither|mostly) \w+|positive|negative|neutral|passed?|failed?|entailment)\b",
    re.IGNORECASE,
)
_ENDS = (".", "!", "?", "。", "！", "？")
LONG, SEVERAL = 4, 6  # words of an item that is none of a form; how often a shorter one is there in a loop
CODE = 10  # so many times as many equal lines may follow each other in code and data


@dataclass(frozen=True)
class WordRepetition(TextRule):
    """No word may occur more than `most` times in a row."""

    most: int
    name: ClassVar[str] = "word_repetition"
    version: ClassVar[int] = 4

    def limits(self) -> dict[str, Any]:
        """Returns the limit."""
        return {"max_word_repeats": self.most}

    def signal(self, record: Record) -> list[Any]:
        """Returns the longest run of one word, and the word."""
        run, word = longest_word_run(record.response, record.instruction)
        return [run, shorten(word, 40)]

    def decide(self, signal: list[Any]) -> Verdict:
        """Compares the run with the limit."""
        return _run_verdict(self.name, "word", signal, self.most)


@dataclass(frozen=True)
class LineRepetition(TextRule):
    """No line may occur more than `most` times in a row, and a line of code or data, `CODE` times as often."""

    most: int
    name: ClassVar[str] = "line_repetition"
    version: ClassVar[int] = 6

    def limits(self) -> dict[str, Any]:
        """Returns the limit."""
        return {"max_line_repeats": self.most}

    def signal(self, record: Record) -> list[Any]:
        """Returns the longest run of one line, and the line, first of prose and then of code and data."""
        response = _without_counters(record.response)
        whole = longest_run([line for text in response.splitlines() if (line := text.rstrip())])
        if whole[0] < 2:  # as in most texts, so that lines need not be told apart
            return [whole[0], shorten(whole[1], 40), 0, ""]
        lines = lines_of(response)
        signal: list[Any] = []
        for data in (False, True):
            run, line = longest_run([line.text if line.is_data == data else BREAK for line in lines])
            signal += [run, shorten(line, 40)]
        return signal

    def decide(self, signal: list[Any]) -> Verdict:
        """Compares the runs with the limits."""
        prose, data = signal[:2], signal[2:]
        if data[0] > CODE * self.most:
            return _run_verdict(self.name, "line", data, CODE * self.most)
        return _run_verdict(self.name, "line", prose, self.most)


@dataclass(frozen=True)
class PhraseRepetition(TextRule):
    """No phrase of 2 to 40 words may occur more than `most` times in a row."""

    most: int
    name: ClassVar[str] = "phrase_repetition"
    version: ClassVar[int] = 5

    def limits(self) -> dict[str, Any]:
        """Returns the limit."""
        return {"max_phrase_repeats": self.most}

    def signal(self, record: Record) -> list[Any]:
        """Returns how often the most repeated phrase occurs in a row, and the phrase."""
        run, phrase = 1, ""
        text = _WITHIN.sub("", record.response)
        if may_repeat(text, FOUR):
            run, phrase = longest_phrase_run(plain_words(text))
        return [run, shorten(phrase, 60)]

    def decide(self, signal: list[Any]) -> Verdict:
        """Compares the run with the limit."""
        return _run_verdict(self.name, "phrase", signal, self.most)


@dataclass(frozen=True)
class NgramRepetition(TextRule):
    """At most the share `most` of the words may be in 8-grams that occurred earlier in the response."""

    most: float
    name: ClassVar[str] = "ngram_repetition"
    version: ClassVar[int] = 4

    def limits(self) -> dict[str, Any]:
        """Returns the limit."""
        return {"max_repeated_share": self.most}

    def signal(self, record: Record) -> float:
        """Returns the share of words in repeated 8-grams, 0..1."""
        if not may_repeat(record.response, NGRAM):
            return 0.0
        return round(repeated_share(plain_words(record.response)), 6)

    def decide(self, signal: float) -> Verdict:
        """Compares the share with the limit."""
        passed = signal <= self.most
        reason = "" if passed else f"{signal:.0%} of the words are in phrases that occurred earlier in the response"
        return Verdict(self.name, passed, signal, self.most, reason)


def _without_counters(text: str) -> str:
    """Returns a text without the numbers, bullets, times and labels of items that are sentences, or occur often."""
    items = [(found, found["said"].rstrip()) for found in _ITEM.finditer(text)]
    if len(items) < 2:
        return text
    times = Counter(said for _, said in items)
    if len(times) == len(items):  # as in most lists
        return text
    kept, place = [], 0
    for found, said in items:
        words = len(UNSPACED_LETTER.findall(said)) or len(said.split())
        repeats = words > 1 and not _ANSWER.match(said) and (said.endswith(_ENDS) or times[said] >= SEVERAL)
        if words >= LONG or repeats:
            kept += [text[place : found.start()]]
            place = found.start("said")
    return "".join([*kept, text[place:]])


def _run_verdict(rule: str, kind: str, signal: list[Any], most: int) -> Verdict:
    run, what = signal
    reason = "" if run <= most else f"the {kind} '{what}' occurs {run} times in a row"
    return Verdict(rule, run <= most, run, most, reason)
