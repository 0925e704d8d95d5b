"""Compares a benchmark item with a text, both as words, and says how the text contains it.

The kinds of match are described in `rule`. Everyday words say little about what a text is about; the others are its
content. The list of everyday words is English.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkItem
from synthetic_instruction_tuner.words import words_of

LONG = 10  # words; shorter items must match almost completely
SHORTEST = 5  # words; still shorter ones must match completely within a text
LABELS = 6  # words that may be between options, such as their letters
RUN, NGRAM = 13, 8
COVERED = 0.5
EDITED = 0.8
ENGLISH = 0.15  # share of everyday words that only English has; the four benchmarks have 0.27 to 0.31
_EVERYDAY = """
a an the of to in on at by for with from as and or not no nor if then than that this these those it its is are was
were be been being am do does did done have has had having can could will would shall should may might must i you he
she we they me him her us them my your his our their who whom whose which what when where why how there here all any
each every some most more many much few other another such only own same so too very just also about into over after
before between out up down off again both one two first second following statement statements true false correct
incorrect best answer answers question questions choose select option options please write give tell explain describe
list name example examples make use using used called based
"""
EVERYDAY = frozenset(_EVERYDAY.split())


@dataclass(frozen=True, slots=True)
class Item:
    """A benchmark item as words.

    Attributes:
        item: the item; the first of several with the same words.
        words: its words.
        options: the words of each option.
        content: its words without everyday words.
        joined: whether `words` are question and options together.
    """

    item: BenchmarkItem
    words: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]
    content: tuple[str, ...]
    joined: bool = False


def compare(item: Item, words: tuple[str, ...], offsets: list[int], at_edges: bool = False) -> tuple[str, float] | None:
    """Returns how a text contains an item that shares a run of words with it, and the share of its words.

    Args:
        item: the item.
        words: the text's words.
        offsets: where the item would start if the text contained it unchanged.
        at_edges: whether a short item may also match as the text's start or end.
    """
    size = len(item.words)
    whole = [start for start in offsets if start >= 0 and words[start : start + size] == item.words]
    if whole:
        at_edge = at_edges and len(item.content) > 1 and (0 in whole or len(words) - size in whole)
        sure = at_edge or _is_distinctive(item) or _has_options(item, words)
        return ("contained", 1.0) if sure else None
    if size >= LONG:
        covered, longest = _runs(item.words, words, offsets)
        if longest >= RUN:
            return "13 words", min(1.0, longest / size)
        if covered >= COVERED * size:
            return "8-grams", covered / size
    return _edited(item, words, offsets)


def _is_distinctive(item: Item) -> bool:
    """Whether the item's words are unlikely to occur in a row by chance."""
    size, own = len(item.words), sum(not word.isdigit() for word in item.content)
    return size >= RUN or (size >= NGRAM and own >= 1) or (size >= SHORTEST and own >= 2) or (size >= 4 and own >= 3)


def is_whole_sentence(item: Item, text: str) -> bool:
    """Whether an item that is a sentence of the text is specific enough to count."""
    if len(item.words) > 1 and (len(item.content) > 1 or (item.content and not item.options)):
        return True
    return _has_options(item, words_of(text))


def _has_options(item: Item, words: tuple[str, ...]) -> bool:
    """Whether the text contains all options too, in order."""
    place = 0
    for option in item.options:
        size = len(option)
        place = next((p + size for p in range(place, len(words) - size + 1) if words[p : p + size] == option), -1)
        if place < 0:
            return False
    return bool(item.options)


def _runs(item: tuple[str, ...], words: tuple[str, ...], offsets: list[int]) -> tuple[int, int]:
    """Returns how many of the item's words are in shared runs of 8 or more, and the length of the longest run."""
    covered: set[int] = set()
    longest = 0
    for offset in offsets:
        run = 0
        for place in range(max(0, -offset), min(len(item), len(words) - offset) + 1):
            if place < len(item) and place + offset < len(words) and item[place] == words[place + offset]:
                run += 1
                continue
            longest = max(longest, run)
            if run >= NGRAM:
                covered.update(range(place - run, place))
            run = 0
    return len(covered), longest


def _edited(item: Item, words: tuple[str, ...], offsets: list[int]) -> tuple[str, float] | None:
    """Returns a match if the text has most of the item's words, in order, near the shared run."""
    size, content = len(item.words), len(item.content)
    if size < SHORTEST or not content:
        return None
    needed = size - int((1 - EDITED) * size + 1e-9) if size >= LONG else size - 1
    needed_content = content if content < 3 or (content == 3 and size < NGRAM) else _three_quarters(content)
    slack = size // 8 + (LABELS if item.joined else 1)
    for offset in offsets[:50]:
        window = words[max(0, offset - slack) : offset + size + slack]
        if common_subsequence(item.content, content_of(window)) >= needed_content:
            shared = common_subsequence(item.words, window)
            if shared >= needed:
                return "edited", shared / size
        if size < LONG and _leaves_out_one(item.words, window):
            return "edited", (size - 1) / size
    return None


def _three_quarters(count: int) -> int:
    return min(-(-3 * count // 4), count - 1)


def _leaves_out_one(item: tuple[str, ...], window: tuple[str, ...]) -> bool:
    """Whether the text has all words of an item in a row except one that is not a number, with two content words."""
    size = len(item) - 1
    runs = {window[place : place + size] for place in range(len(window) - size + 1)}
    shorter = (item[:place] + item[place + 1 :] for place in range(1, len(item)) if not item[place].isdigit())
    return any(words in runs and len(content_of(words)) > 1 for words in shorter)


def common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Returns the length of the longest common subsequence, by bit vectors (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for place, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << place
    full = (1 << len(a)) - 1
    rows = full
    for word in b:
        if met := rows & places.get(word, 0):
            rows = ((rows + met) | (rows - met)) & full
    return len(a) - rows.bit_count()


def content_of(words: Sequence[str]) -> tuple[str, ...]:
    """Returns the words that are not everyday words."""
    return tuple(word for word in words if word not in EVERYDAY)


def is_english(texts: Iterable[Sequence[str]]) -> bool:
    """Returns whether many of the texts' words are everyday words.

    Short ones ("in", "an", "so"), "was" and "will" do not count, because other languages have them too.

    Args:
        texts: each text's words.
    """
    words = [word for text in texts for word in text]
    return sum(len(w) > 2 and w in EVERYDAY and w not in ("was", "will") for w in words) >= ENGLISH * len(words)
