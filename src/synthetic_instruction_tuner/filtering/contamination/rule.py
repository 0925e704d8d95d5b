"""The contamination rule: no record may hold an item of a benchmark that the tuned models are evaluated on.

Texts are compared as words: Unicode's compatibility form, case-folded, without punctuation. An item is found in an
instruction, a response or an earlier turn

- ``exact``: as the whole text;
- ``contained``: word for word within it. Short items must have words of their own for that, neither numbers nor
  everyday words, or be a whole sentence or line of the text, or its start or end, or come with all their options;
- ``13 words``: at least 13 words in a row are shared (Brown et al. 2020, appendix C);
- ``8-grams``: runs of 8 or more shared words cover at least half of the item;
- ``edited``: at least four fifths of its words (of short items, all but one) stand there in order, and three quarters
  of those with content (of one or two, all, unless a word is only left out); or a short text has a short item's words
  with content, two or more, and no others; or an instruction differs from an item of at most 14 English words only in
  what stands between two spaces, has the same numbers, and keeps two pieces and what tells the item: two words with
  content, or one that few items have, or nothing but six everyday words or more where the item has no others.

A question with options is looked for by itself and together with them.

Five-word runs that many items share ("which of the following is true") lead to no item. Candidates come from an index
of five-word runs, three-word runs for short items, and each is verified on the words themselves; those that differ in
one piece, from `edited_instructions`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkItem, BenchmarkSet
from synthetic_instruction_tuner.filtering.contamination.edited_instructions import ONE_EDIT, EditedInstructions
from synthetic_instruction_tuner.filtering.contamination.everyday_words import content_of
from synthetic_instruction_tuner.filtering.rule import TextRule, Verdict, shorten
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.words import words_of

SEGMENT = re.compile(r"[.!?:;\n\"“”。！？：；]+")
LONG_GRAM, SHORT_GRAM = 5, 3
LONG = 10  # words; shorter items must match almost whole
SHORTEST = 5  # words; still shorter ones must match whole within a text
EDGE = 3  # words that a text of the same content may have more than a short item
LABELS = 6  # words that may stand between options, such as their letters
MOST_ITEMS = 20  # a run of words in more items than this is a phrase of the benchmark's own
RUN, NGRAM = 13, 8
COVERED = 0.5
EDITED = 0.8
LOOKED_AT = 60_000  # characters of each text
Hit = list[Any]  # item id, how, share of the item's words, which text, the item's start


@dataclass(frozen=True, slots=True)
class _Item:
    """An item, or one that stands for several with the same words."""

    item: BenchmarkItem
    words: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]
    content: tuple[str, ...]
    joined: bool = False  # question and options together


class Contamination(TextRule):
    """No text of a record may hold an item of the benchmarks."""

    name: ClassVar[str] = "contamination"
    version: ClassVar[int] = 3

    def __init__(self, sets: Sequence[BenchmarkSet], match: str = "overlap") -> None:
        """Takes the benchmarks' items.

        Args:
            sets: the benchmarks; those without items find nothing.
            match: ``exact``: instructions that are an item, word for word; ``overlap``: all of the above.
        """
        self.sets, self.match = tuple(sets), match
        self._items = _distinct(item for some in sets for item in some.items)
        self._whole = {item.words: number for number, item in reversed(list(enumerate(self._items)))}
        self._content: dict[tuple[str, ...], int] = {}
        self._long: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        self._short: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        if match == "overlap":
            longs = [(n, i) for n, i in enumerate(self._items) if len(i.words) >= LONG]
            shorts = [(n, i) for n, i in enumerate(self._items) if SHORT_GRAM <= len(i.words) < LONG]
            same = ((item.content, n) for n, item in reversed(shorts) if len(item.content) > 1 and not item.joined)
            self._content = dict(same)
            self._long, self._short = _index(longs, LONG_GRAM), _index(shorts, SHORT_GRAM)
        self._edited = EditedInstructions(self.sets if match == "overlap" else (), MOST_ITEMS)

    def basis(self) -> dict[str, Any]:
        """Returns what was looked for."""
        sets = [{"name": some.name, "items": len(some.items), "digest": some.digest} for some in self.sets]
        return {"match": self.match, "benchmarks": sets}

    def signal(self, record: Record) -> list[Hit]:
        """Returns the items found, the surest first, each once."""
        hits: dict[str, Hit] = {}
        for place, text in self._texts(record):
            for hit in self._hits(text[:LOOKED_AT], place):
                known = hits.get(hit[0])
                if known is None or (hit[1] == "exact", hit[2]) > (known[1] == "exact", known[2]):
                    hits[hit[0]] = hit
        return sorted(hits.values(), key=lambda hit: (hit[1] != "exact", -hit[2], hit[0]))

    def decide(self, signal: list[Hit]) -> Verdict:
        """Drops what holds an item."""
        limit = "no benchmark item"
        if not signal:
            return Verdict(self.name, True, None, limit)
        item, how, share, place, text = signal[0]
        more = f", and {len(signal) - 1} more" if len(signal) > 1 else ""
        reason = f"the {place} holds benchmark item {item} ({how}, {share:.0%} of its words): '{text}'{more}"
        return Verdict(self.name, False, f"{how} {share:.3f}", limit, reason, item, signal)

    def _texts(self, record: Record) -> Iterator[tuple[str, str]]:
        yield "instruction", record.instruction
        if self.match == "overlap":
            yield "response", record.response
            yield from ((f"earlier {turn.role} turn", turn.content) for turn in record.history)

    def _hits(self, text: str, place: str) -> Iterator[Hit]:
        words = words_of(text)
        whole = self._whole.get(words)
        if whole is not None:
            yield self._hit(whole, "exact", 1.0, place)
        if self.match == "exact" or not words:
            return
        if whole is None and place == "instruction" and len(words) < 2 * ONE_EDIT:
            for item, share in self._edited.find(text):
                yield self._hit(self._whole[item], "edited", share, place)
        if len(words) < LONG + EDGE and (number := self._content.get(content_of(words))) is not None:
            yield self._hit(number, "edited", _shared(self._items[number].words, words), place)
        for number in self._segments(text):
            yield self._hit(number, "contained", 1.0, place)
        for index, size in ((self._long, LONG_GRAM), (self._short, SHORT_GRAM)):
            for number, offsets in _candidates(words, index, size).items():
                found = compare(self._items[number], words, offsets, at_edges=place == "instruction")
                if found is not None:
                    yield self._hit(number, *found, place)

    def _segments(self, text: str) -> Iterator[int]:
        """Short items that are a whole sentence or line of the text; generic ones need their options."""
        for part in SEGMENT.split(text):
            if len(part) < 200 and (words := words_of(part)) and len(words) < LONG:
                number = self._whole.get(words)
                if number is not None and _is_whole_sentence(self._items[number], text):
                    yield number

    def _hit(self, number: int, how: str, share: float, place: str) -> Hit:
        item = self._items[number].item
        return [item.id, how, round(share, 4), place, shorten(item.text, 80)]


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


def _shared(item: tuple[str, ...], words: tuple[str, ...]) -> float:
    return common_subsequence(item, words) / len(item)


def _distinct(items: Iterator[BenchmarkItem]) -> list[_Item]:
    """Items with words of their own; those with options twice, the second time together with them."""
    found: dict[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], _Item] = {}
    for item in items:
        words, options = words_of(item.text), tuple(words_of(option) for option in item.options)
        together = (*words, *(word for option in options for word in option))
        for version in ((words, options), *([(together, ())] if options and len(together) > SHORTEST else [])):
            if words and version not in found:
                found[version] = _Item(item, *version, content_of(version[0]), version[0] is together)
    return list(found.values())


def _index(items: list[tuple[int, _Item]], size: int) -> dict[tuple[str, ...], list[tuple[int, int]]]:
    """Runs of words, each with the items that have it and its place in them.

    Runs of many items are left out, but every item keeps at least its two rarest ones.
    """
    index: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for number, item in items:
        for place in range(len(item.words) - size + 1):
            index.setdefault(item.words[place : place + size], []).append((number, place))
    frequent = {gram for gram, places in index.items() if len(places) > MOST_ITEMS}
    if not frequent:
        return index
    kept: dict[tuple[str, ...], list[tuple[int, int]]] = {g: p for g, p in index.items() if g not in frequent}
    for number, item in items:
        grams = [(item.words[place : place + size], place) for place in range(len(item.words) - size + 1)]
        if sum(gram not in frequent for gram, _ in grams) < 2:
            rarest = sorted((g for g in grams if g[0] in frequent), key=lambda g: (len(index[g[0]]), g[1]))[:2]
            for gram, place in rarest:
                kept.setdefault(gram, []).append((number, place))
    return kept


def _candidates(
    words: tuple[str, ...], index: dict[tuple[str, ...], list[tuple[int, int]]], size: int
) -> dict[int, list[int]]:
    """Items that share a run, each with where its start would lie in the text if the text held it unchanged."""
    found: dict[int, dict[int, None]] = {}
    for place, gram in enumerate(zip(*(words[k:] for k in range(size)), strict=False)):
        for number, within in index.get(gram, ()):
            found.setdefault(number, {}).setdefault(place - within)
    return {number: list(offsets) for number, offsets in found.items()}


def compare(
    item: _Item, words: tuple[str, ...], offsets: list[int], at_edges: bool = False
) -> tuple[str, float] | None:
    """Returns how, and with what share of its words, a text holds an item that shares a run with it.

    Args:
        item: the item.
        words: the text's words.
        offsets: where the item would start if the text held it unchanged.
        at_edges: whether a short item may also be the text's start or end.
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


def _is_distinctive(item: _Item) -> bool:
    """Whether the item's words in a row can hardly stand in a text by chance."""
    size, own = len(item.words), sum(not word.isdigit() for word in item.content)
    return size >= RUN or (size >= NGRAM and own >= 1) or (size >= SHORTEST and own >= 2) or (size >= 4 and own >= 3)


def _is_whole_sentence(item: _Item, text: str) -> bool:
    """Whether an item that is a sentence of the text is one that says something."""
    if len(item.words) > 1 and (len(item.content) > 1 or (item.content and not item.options)):
        return True
    return _has_options(item, words_of(text))


def _has_options(item: _Item, words: tuple[str, ...]) -> bool:
    """Whether all options stand in the text too, in their order."""
    place = 0
    for option in item.options:
        size = len(option)
        place = next((p + size for p in range(place, len(words) - size + 1) if words[p : p + size] == option), -1)
        if place < 0:
            return False
    return bool(item.options)


def _runs(item: tuple[str, ...], words: tuple[str, ...], offsets: list[int]) -> tuple[int, int]:
    """Returns how many of the item's words lie in shared runs of 8 or more, and the longest run's length."""
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


def _edited(item: _Item, words: tuple[str, ...], offsets: list[int]) -> tuple[str, float] | None:
    """Whether most of an item stands in the text, in order, about where the shared run is."""
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
    """Whether a text holds all words of an item in a row but one that is no number, and two with content among them."""
    size = len(item) - 1
    runs = {window[place : place + size] for place in range(len(window) - size + 1)}
    shorter = (item[:place] + item[place + 1 :] for place in range(1, len(item)) if not item[place].isdigit())
    return any(words in runs and len(content_of(words)) > 1 for words in shorter)
