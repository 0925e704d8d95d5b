"""Rules on loops: a word, or a line, that stands too often in a row in the response.

Words are compared case-folded and without the punctuation around them. Something without a letter or digit (a table's
bar, a dash, a bullet) is no word: it cannot repeat, and it ends a run, so that ``| yes | yes | yes | yes |`` stays.
Lines are compared with their indentation, because closing braces of nested blocks differ in nothing else; blank lines
between equal lines do not end a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ..records import Record
from .verdict import Verdict, shorten

PUNCTUATION = ".,;:!?\"'`()[]{}<>*_~…“”„‘’‚«»‹›¡¿、。，！？；：（）「」『』《》"


@dataclass(frozen=True)
class WordRepetition:
    """No word may stand more than `most` times in a row."""

    most: int
    name: str = "word_repetition"

    def judge(self, record: Record) -> Verdict:
        """Measures the longest run of one word."""
        words = [w.strip(PUNCTUATION) for w in record.response.casefold().split()]
        run, word = longest_run(words)
        if run <= self.most:
            return Verdict(self.name, True, run, self.most)
        return Verdict(self.name, False, run, self.most, f"the word '{shorten(word, 40)}' stands {run} times in a row")


@dataclass(frozen=True)
class LineRepetition:
    """No line may stand more than `most` times in a row."""

    most: int
    name: str = "line_repetition"

    def judge(self, record: Record) -> Verdict:
        """Measures the longest run of one line."""
        lines = [line for text in record.response.splitlines() if (line := text.rstrip())]
        run, line = longest_run(lines)
        if run <= self.most:
            return Verdict(self.name, True, run, self.most)
        return Verdict(self.name, False, run, self.most, f"the line '{shorten(line, 40)}' stands {run} times in a row")


def longest_run(items: list[str]) -> tuple[int, str]:
    """Returns the length of the longest run of equal items that hold a letter or digit, and the item.

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


def has_letter(text: str) -> bool:
    """Whether there is a letter or digit."""
    return any(c.isalnum() for c in text)
