"""Rules on loops: a word, line or phrase that is repeated too often in a row, and texts made of repetitions.

Words are compared case-folded and without surrounding punctuation. Only words of letters can be a loop: numbers,
literals such as null, LaTeX commands, tags and other tokens with signs in them end a run. So do the lines of code and
data that `markdown.lines_of` finds; there, only very long runs of equal lines count. Where no spaces stand between
words, a run is what repeats itself within the letters.

Lines are compared with their indentation, because closing braces of nested blocks differ only in it. Blank lines
between equal lines do not end a run. Phrases and n-grams without a word do not count: a matrix is not a loop.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, ClassVar

from synthetic_instruction_tuner.filtering.rule import TextRule, Verdict, shorten
from synthetic_instruction_tuner.filtering.rules.markdown import lines_of
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.words import MARKS, UNSPACED_LETTER, UNSPACED_RUN

PUNCTUATION = ".,;:!?\"'`()[]{}<>*_~…“”„‘’‚«»‹›¡¿、。，！？；：（）「」『』《》"
LONGEST_PHRASE = 40  # words
NGRAM = 8  # words; shorter ones recur in good texts, too
CODE = 10  # so many times as many equal lines may follow each other in code and data
SUNG = 12  # times in a row that a syllable without meaning is sung or laughed, as in "la la la"
_SYLLABLES = """
la na da ha he hi ho hee heh hoo oh ooh ah aah uh eh hey yeah doo dum di du dee ba bum boo bop sha shoo woo wow tra fa
ta tum ra tick tock knock beep
"""
SYLLABLES = frozenset(_SYLLABLES.split()) | frozenset("哈呵嘿嘻啦呀哦噢嗯ハははﾊわ")
LITERALS = frozenset(("null", "none", "nil", "nan", "true", "false", "undefined", "inf", "void"))
_WORD = re.compile(rf"[^\W\d_](?:[{MARKS}]|[^\W\d_]|['’-](?=[^\W\d_]))*")
_ONE_LETTER = re.compile(r"(.)\1{2,}")
_WITHIN = re.compile(r"(.{1,4}?)\1{3,}")  # of letters without spaces
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_PIECES = re.compile(rf"{UNSPACED_LETTER.pattern}[{MARKS}]*|(?:(?!{UNSPACED_LETTER.pattern})\w)+")
BREAK = ""  # ends a run of words


@dataclass(frozen=True)
class WordRepetition(TextRule):
    """No word may occur more than `most` times in a row."""

    most: int
    name: ClassVar[str] = "word_repetition"
    version: ClassVar[int] = 2

    def limits(self) -> dict[str, Any]:
        """Returns the limit."""
        return {"max_word_repeats": self.most}

    def signal(self, record: Record) -> list[Any]:
        """Returns the longest run of one word, and the word."""
        run, word = longest_word_run(record.response)
        return [run, shorten(word, 40)]

    def decide(self, signal: list[Any]) -> Verdict:
        """Compares the run with the limit."""
        return _run_verdict(self.name, "word", signal, self.most)


@dataclass(frozen=True)
class LineRepetition(TextRule):
    """No line may occur more than `most` times in a row, and a line of code or data, `CODE` times as often."""

    most: int
    name: ClassVar[str] = "line_repetition"
    version: ClassVar[int] = 2

    def limits(self) -> dict[str, Any]:
        """Returns the limit."""
        return {"max_line_repeats": self.most}

    def signal(self, record: Record) -> list[Any]:
        """Returns the longest run of one line, and the line, first of prose and then of code and data."""
        whole = longest_run([line for text in record.response.splitlines() if (line := text.rstrip())])
        if whole[0] < 2:  # as in most texts, so that lines need not be told apart
            return [whole[0], shorten(whole[1], 40), 0, ""]
        lines = lines_of(record.response)
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
    version: ClassVar[int] = 2

    def limits(self) -> dict[str, Any]:
        """Returns the limit."""
        return {"max_phrase_repeats": self.most}

    def signal(self, record: Record) -> list[Any]:
        """Returns how often the most repeated phrase occurs in a row, and the phrase."""
        run, phrase = 1, ""
        if _may_repeat(record.response, 4):
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
    version: ClassVar[int] = 2

    def limits(self) -> dict[str, Any]:
        """Returns the limit."""
        return {"max_repeated_share": self.most}

    def signal(self, record: Record) -> float:
        """Returns the share of words in repeated 8-grams, 0..1."""
        may_repeat = _may_repeat(record.response, NGRAM)
        return round(repeated_share(plain_words(record.response)), 6) if may_repeat else 0.0

    def decide(self, signal: float) -> Verdict:
        """Compares the share with the limit."""
        passed = signal <= self.most
        reason = "" if passed else f"{signal:.0%} of the words are in phrases that occurred earlier in the response"
        return Verdict(self.name, passed, signal, self.most, reason)


def _run_verdict(rule: str, kind: str, signal: list[Any], most: int) -> Verdict:
    run, what = signal
    reason = "" if run <= most else f"the {kind} '{what}' occurs {run} times in a row"
    return Verdict(rule, run <= most, run, most, reason)


def longest_word_run(text: str) -> tuple[int, str]:
    """Returns the length of the longest run of one word, and the word; ``(0, "")`` where there is no word."""
    tokens = [token.strip(PUNCTUATION) for token in text.casefold().split()]
    spaced = text.isascii() or not UNSPACED_LETTER.search(text)
    if spaced and not any(a == b and a for a, b in pairwise(tokens)):  # as in most texts
        first = next(filter(is_word, tokens), "")
        return int(bool(first)), first
    items: list[str] = []
    within = 0, ""
    for line in lines_of(text):
        if not line.is_data:
            items += _words_and_breaks(line.text)
        elif items and items[-1] != BREAK:
            items.append(BREAK)
    if not spaced:
        within = max((_run_within(item) for item in items), key=lambda run: run[0], default=within)
    beside = longest_run(_without_singing(items))
    return within if within[0] > beside[0] else beside


def _words_and_breaks(line: str) -> Iterator[str]:
    """Yields the words of a line, and a break for each token that is none."""
    if "<" in line:
        line = _TAG.sub(" 0 ", line)
    for token in line.casefold().split():
        word = token.strip(PUNCTUATION)
        if UNSPACED_LETTER.search(word):
            yield from UNSPACED_RUN.findall(word)
        else:
            yield word if is_word(word) else BREAK


def _run_within(letters: str) -> tuple[int, str]:
    """Returns how often a word of a script without spaces follows itself; two equal letters count as one word."""
    best = 0, ""
    for found in _WITHIN.finditer(letters) if UNSPACED_LETTER.match(letters) else ():
        word = found[1]
        times = len(found[0]) // max(len(word), 2)
        if times > best[0] and (word not in SYLLABLES or len(found[0]) > SUNG):
            best = times, word
    return best


def _without_singing(items: list[str]) -> list[str]:
    """Returns the items with short runs of one syllable left out."""
    if SYLLABLES.isdisjoint(items):
        return items
    kept: list[str] = []
    start = 0
    for end in range(1, len(items) + 1):
        if end == len(items) or items[end] != items[start]:
            sung = items[start] in SYLLABLES and end - start <= SUNG
            kept += items[start : start + 1] if sung else items[start:end]
            start = end
    return kept


def is_word(token: str) -> bool:
    """Whether a token, case-folded and without punctuation around it, is a word of letters that can be in a loop."""
    return (token.isalpha() or _WORD.fullmatch(token) is not None) and not (
        token in LITERALS or (len(token) > 2 and _ONE_LETTER.fullmatch(token))
    )


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


def _may_repeat(text: str, size: int) -> bool:
    """Whether an n-gram of this many words can occur twice: it cannot where none of all tokens with a letter does."""
    if not text.isascii() and UNSPACED_LETTER.search(text):
        return True
    words = [word for raw in text.casefold().split() if has_letter(word := raw.strip(PUNCTUATION))]
    return any(_seen_before(words, size))


def _all_numbers(words: Sequence[str]) -> bool:
    return not any((is_word(word) and len(word) > 1) or UNSPACED_LETTER.match(word) for word in words)


def plain_words(text: str) -> list[str]:
    """Returns the words with a letter or digit, case-folded, without surrounding punctuation.

    Letters of scripts without spaces are words. A line of code or data is one word, and none where it has no letter.
    """
    words: list[str] = []
    for line in lines_of(text):
        folded = line.text.casefold()
        if line.is_data:
            words += [f"{{{folded.strip()}}}"] if has_letter(folded) else []
        elif UNSPACED_LETTER.search(folded):
            for part in folded.split():
                words += _PIECES.findall(part)
        else:
            words += [word for raw in folded.split() if has_letter(word := raw.strip(PUNCTUATION))]
    return words


def has_letter(text: str) -> bool:
    """Whether there is a letter or digit."""
    return text.isalnum() or any(c.isalnum() for c in text)
