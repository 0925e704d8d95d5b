"""Short items from which an instruction differs in one place: a piece replaced, left out, or added.

A piece is the text between two spaces. What remains of the item must be specific: "What is a ...?" could be any
question. So both must have the same numbers, and the remaining pieces, two or more, must have two content words, or one
that few items have; of an item of everyday words alone, six or more must remain. Nothing is found where many items
differ from each other only in one place, or in a benchmark that is not English, since only English everyday words are
known.

Every short item is indexed under itself with each of its pieces in turn left out, and with a gap in that piece's place.
A text that is one piece away meets it under one of these keys, or under itself without one of its own pieces (the
deletion neighborhoods of Mor and Fraenkel 1982).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkSet
from synthetic_instruction_tuner.filtering.contamination.matching import content_of, is_english
from synthetic_instruction_tuner.words import words_of

Words = tuple[str, ...]
Piece = tuple[str, ...]  # the words between two spaces: one, or more as in "year-old"
Pieces = tuple[Piece, ...]
GAP: Piece = ()  # no piece is empty
ONE_EDIT = 15  # words; only shorter items are looked for
GENERIC = 6  # this many everyday words and no others ("Which of the following is true?") are specific enough too
FEW = 400  # a word is rare if at most one in this many items has it


class EditedInstructions:
    """Finds the items from which an instruction differs in one piece."""

    def __init__(self, sets: Sequence[BenchmarkSet], most: int) -> None:
        """Takes the benchmarks.

        Args:
            sets: the benchmarks.
            most: the number of items that may differ from each other only in one place.
        """
        self._items: dict[Pieces, Words] = {}
        all_items: dict[Words, None] = {}
        for some in sets:
            words = [words_of(item.text) for item in some.items]
            all_items.update(dict.fromkeys(words))
            if is_english(words):
                short = ((i.text, w) for i, w in zip(some.items, words, strict=True) if 0 < len(w) < ONE_EDIT)
                self._items.update((pieces_of(text), item) for text, item in short)
        self._near = OneEdit(self._items, most)
        self._spread = Counter(word for item in all_items for word in set(content_of(item)))
        self._few = len(all_items) // FEW

    def find(self, text: str) -> Iterator[tuple[Words, float]]:
        """Yields the words of each item that differs from the text in one piece, and the share of them that remains."""
        numbers = _numbers(words_of(text))
        for pieces, left in self._near.near(pieces_of(text)):
            item = self._items[pieces]
            if len(left) > 1 and numbers == _numbers(item) and self._is_specific(item, left):
                yield item, sum(map(len, left)) / len(item)

    def _is_specific(self, item: Words, left: Pieces) -> bool:
        """Whether what is left of an item is specific enough to identify it."""
        content = [word for piece in left for word in content_of(piece) if not word.isdigit()]
        if len(content) > 1 or any(self._spread[word] <= self._few for word in content):
            return True
        return len(item) >= GENERIC and not content_of(item)


class OneEdit:
    """Finds the indexed texts that are one piece away from a text."""

    def __init__(self, texts: Iterable[Pieces], most: int = sys.maxsize) -> None:
        """Indexes the texts.

        Args:
            texts: the texts to look for.
            most: where more texts than this differ from each other only in one place, they share a form, and a text
                that differs from them in that place too is not near them.
        """
        self._texts: dict[Pieces, None] = dict.fromkeys(texts)
        self._replaced: dict[Pieces, list[Pieces]] = {}
        self._left_out: dict[Pieces, list[Pieces]] = {}
        for text in self._texts:
            for place in range(len(text)):
                self._replaced.setdefault(_gapped(text, place), []).append(text)
            for shorter in {_without(text, place) for place in range(len(text))}:
                self._left_out.setdefault(shorter, []).append(text)
        for index in (self._replaced, self._left_out):
            for key in [key for key, found in index.items() if len(found) > most]:
                del index[key]
        self._longest = max((len(text) for text in self._texts), default=0)

    def near(self, pieces: Pieces) -> Iterator[tuple[Pieces, Pieces]]:
        """Yields the indexed texts that are one piece away, each once, and those of their pieces that remain.

        Args:
            pieces: the text's pieces; an equal indexed text is not yielded.
        """
        if len(pieces) > self._longest + 1:
            return
        found: dict[Pieces, Pieces] = {}
        for place, piece in enumerate(pieces):
            for text in self._replaced.get(_gapped(pieces, place), ()):
                if text[place] != piece:
                    found.setdefault(text, _without(text, place))
            if (shorter := _without(pieces, place)) in self._texts:
                found.setdefault(shorter, shorter)
        for text in self._left_out.get(pieces, ()):
            found.setdefault(text, pieces)
        yield from found.items()


def pieces_of(text: str) -> Pieces:
    """Returns the words of each piece between spaces: an edit replaces "Aristotle's" as a whole."""
    return tuple(words for piece in text.split() if (words := words_of(piece)))


def _numbers(words: Sequence[str]) -> list[str]:
    """Returns the words with digits, "12", "1990s", "19th": with other numbers, it is another question."""
    return [word for word in words if any(letter.isdigit() for letter in word)]


def _gapped(pieces: Pieces, place: int) -> Pieces:
    return (*pieces[:place], GAP, *pieces[place + 1 :])


def _without(pieces: Pieces, place: int) -> Pieces:
    return pieces[:place] + pieces[place + 1 :]
