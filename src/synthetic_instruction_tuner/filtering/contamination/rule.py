"""The contamination rule: no record may contain an item of a benchmark that the tuned models are evaluated on.

Texts are compared as words: in Unicode's compatibility form, case-folded, without punctuation. An item is found in an
instruction, a response or an earlier turn

- ``exact``: as the whole text;
- ``contained``: word for word within it. A short item must also have words of its own, neither numbers nor everyday
  words, or be a whole sentence or line of the text, or its start or end, or come with all its options;
- ``13 words``: at least 13 words in a row are shared (Brown et al. 2020, appendix C);
- ``8-grams``: runs of 8 or more shared words cover at least half of the item;
- ``edited``: the text has at least four fifths of the item's words (of a short item, all but one) in order, and three
  quarters of its content words (of one or two, all, unless a word is only left out). Or a short text has exactly the
  content words of a short item, two or more. Or an instruction differs from a short item in one place; see `one_edit`.

A question with options is looked for by itself and together with them.

Five-word runs that many items share ("which of the following is true") do not lead to an item. Candidates come from an
index of five-word runs, or three-word runs for short items, and each is verified on the words themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkItem, BenchmarkSet, Match
from synthetic_instruction_tuner.filtering.contamination.matching import (
    LONG,
    SHORTEST,
    Item,
    common_subsequence,
    compare,
    content_of,
    is_whole_sentence,
)
from synthetic_instruction_tuner.filtering.contamination.one_edit import ONE_EDIT, EditedInstructions
from synthetic_instruction_tuner.filtering.rule import TextRule, Verdict, shorten
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.words import words_of

SEGMENT = re.compile(r"[.!?:;\n\"“”。！？：；]+")
LONG_GRAM, SHORT_GRAM = 5, 3
EDGE = 3  # words that a text with the same content may have beyond a short item's
MOST_ITEMS = 20  # a run of words in more items than this is a phrase of the benchmark itself
LOOKED_AT = 60_000  # characters of each text
Hit = list[Any]  # item id, kind of match, share of the item's words, part of the record, the item's start


class Contamination(TextRule):
    """No text of a record may contain an item of the benchmarks."""

    name: ClassVar[str] = "contamination"
    version: ClassVar[int] = 4

    def __init__(self, sets: Sequence[BenchmarkSet], match: Match | Literal["auto"] = "auto") -> None:
        """Takes the benchmarks' items.

        Args:
            sets: the benchmarks; one without items finds nothing.
            match: ``exact``: only instructions that are an item, word for word; ``overlap``: all of the above; auto:
                each set's items as the set says.
        """
        self.sets = tuple(sets)
        self._matches = [some.match if match == "auto" else match for some in self.sets]
        self._default: Match = "overlap" if match == "auto" else match
        ways = dict.fromkeys(self._matches)
        pairs = list(zip(self.sets, self._matches, strict=True))
        self._searches = [_Search([some for some, own in pairs if own == way], way) for way in ways]

    def basis(self) -> dict[str, Any]:
        """Returns the items that are looked for, and how."""
        sets = [{"name": some.name, "items": len(some.items), "digest": some.digest} for some in self.sets]
        if len(set(self._matches)) < 2:
            return {"match": next(iter(self._matches), self._default), "benchmarks": sets}
        return {"benchmarks": [own | {"match": way} for own, way in zip(sets, self._matches, strict=True)]}

    def signal(self, record: Record) -> list[Hit]:
        """Returns the items found, each once, the surest first."""
        hits: dict[str, Hit] = {}
        for search in self._searches:
            for hit in search.hits(record):
                known = hits.get(hit[0])
                if known is None or (hit[1] == "exact", hit[2]) > (known[1] == "exact", known[2]):
                    hits[hit[0]] = hit
        return sorted(hits.values(), key=lambda hit: (hit[1] != "exact", -hit[2], hit[0]))

    def decide(self, signal: list[Hit]) -> Verdict:
        """Drops records with an item."""
        limit = "no benchmark item"
        if not signal:
            return Verdict(self.name, True, None, limit)
        item, how, share, place, text = signal[0]
        more = f", and {len(signal) - 1} more" if len(signal) > 1 else ""
        reason = f"the {place} contains benchmark item {item} ({how}, {share:.0%} of its words): '{text}'{more}"
        return Verdict(self.name, False, f"{how} {share:.3f}", limit, reason, item, signal)


class _Search:
    """Finds the items of some benchmarks, all in the same way."""

    def __init__(self, sets: Sequence[BenchmarkSet], match: Match) -> None:
        self._match = match
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
        self._edited = EditedInstructions(sets if match == "overlap" else (), MOST_ITEMS)

    def hits(self, record: Record) -> Iterator[Hit]:
        """Yields the items found; some more than once."""
        for place, text in self._texts(record):
            yield from self._hits(text[:LOOKED_AT], place)

    def _texts(self, record: Record) -> Iterator[tuple[str, str]]:
        yield "instruction", record.instruction
        if self._match == "overlap":
            yield "response", record.response
            yield from ((f"earlier {turn.role} turn", turn.content) for turn in record.history)

    def _hits(self, text: str, place: str) -> Iterator[Hit]:
        words = words_of(text)
        whole = self._whole.get(words)
        if whole is not None:
            yield self._hit(whole, "exact", 1.0, place)
        if self._match == "exact" or not words:
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
        """The short items that are a whole sentence or line of the text; generic ones need their options."""
        for part in SEGMENT.split(text):
            if len(part) < 200 and (words := words_of(part)) and len(words) < LONG:
                number = self._whole.get(words)
                if number is not None and is_whole_sentence(self._items[number], text):
                    yield number

    def _hit(self, number: int, how: str, share: float, place: str) -> Hit:
        item = self._items[number].item
        return [item.id, how, round(share, 4), place, shorten(item.text, 80)]


def _shared(item: tuple[str, ...], words: tuple[str, ...]) -> float:
    return common_subsequence(item, words) / len(item)


def _distinct(items: Iterator[BenchmarkItem]) -> list[Item]:
    """The items with distinct words; those with options twice, the second time joined with them."""
    found: dict[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], Item] = {}
    for item in items:
        words, options = words_of(item.text), tuple(words_of(option) for option in item.options)
        together = (*words, *(word for option in options for word in option))
        for version in ((words, options), *([(together, ())] if options and len(together) > SHORTEST else [])):
            if words and version not in found:
                found[version] = Item(item, *version, content_of(version[0]), version[0] is together)
    return list(found.values())


def _index(items: list[tuple[int, Item]], size: int) -> dict[tuple[str, ...], list[tuple[int, int]]]:
    """Runs of words, each with the items that contain it and its place in them.

    Runs that many items share are left out, but every item keeps at least its two rarest ones.
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
    """The items that share a run, each with where it would start if the text contained it unchanged."""
    found: dict[int, dict[int, None]] = {}
    for place, gram in enumerate(zip(*(words[k:] for k in range(size)), strict=False)):
        for number, within in index.get(gram, ()):
            found.setdefault(number, {}).setdefault(place - within)
    return {number: list(offsets) for number, offsets in found.items()}
