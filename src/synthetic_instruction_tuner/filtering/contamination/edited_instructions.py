"""Instructions that are a benchmark's item but for what stands between two spaces.

What is left must tell the item: "What is a ...?" could be any question. Where many items have a place alone in which
they differ, or items are not in English, whose everyday words are known, nothing is found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkSet
from synthetic_instruction_tuner.filtering.contamination.everyday_words import content_of, is_english
from synthetic_instruction_tuner.filtering.contamination.one_edit import OneEdit, Pieces
from synthetic_instruction_tuner.words import words_of

Words = tuple[str, ...]
ONE_EDIT = 15  # words; only shorter items are looked for
GENERIC = 6  # words; so many everyday words and no others ("Which of the following is true?") tell an item too
FEW = 400  # few items have a word if at most one in so many has it


class EditedInstructions:
    """Finds the items from which an instruction differs in one piece."""

    def __init__(self, sets: Sequence[BenchmarkSet], most: int) -> None:
        """Takes the benchmarks.

        Args:
            sets: the benchmarks.
            most: items that may differ in one place alone.
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
        """Yields the words of each item that the text is but for one piece, and the share of them that is left."""
        numbers = _numbers(words_of(text))
        for pieces, left in self._near.near(pieces_of(text)):
            item = self._items[pieces]
            if len(left) > 1 and numbers == _numbers(item) and self._tells(item, left):
                yield item, sum(map(len, left)) / len(item)

    def _tells(self, item: Words, left: Pieces) -> bool:
        """Whether an item can be told by what is left of it."""
        content = [word for piece in left for word in content_of(piece) if not word.isdigit()]
        if len(content) > 1 or any(self._spread[word] <= self._few for word in content):
            return True
        return len(item) >= GENERIC and not content_of(item)


def pieces_of(text: str) -> Pieces:
    """Returns the words of each piece between spaces: an edit replaces "Aristotle's" as a whole."""
    return tuple(words for piece in text.split() if (words := words_of(piece)))


def _numbers(words: Sequence[str]) -> list[str]:
    """Returns the words with digits, "12", "1990s", "19th": with others, it is another question."""
    return [word for word in words if any(letter.isdigit() for letter in word)]
