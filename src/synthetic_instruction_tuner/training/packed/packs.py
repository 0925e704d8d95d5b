"""The layout of packed texts: several texts one after the other in a row without padding.

A step's texts are spread over as few rows as the limit allows, all of about the same size. The two answers of a
preference pair share their prompt: it is read once, and each answer sees it and itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import TypeVar

import torch

from synthetic_instruction_tuner.training.examples import Example, PairExample

Row = TypeVar("Row", Example, PairExample)


@dataclass(frozen=True, slots=True)
class Stretches:
    """Which positions of a row belong together: stretch by stretch, the queries and what they may see.

    The queries of stretch i are the next `queries[i]` positions of the row; they are the last of the `keys[i]`
    positions that they see, each up to itself.

    Attributes:
        queries: positions of each stretch.
        keys: how many positions each stretch sees: its own, and those of the prompt that it shares.
        key_rows: for all stretches together, which position each key is, [sum of keys]; None: the row as it is.
        query_ends, key_ends: running sums from 0, int32, [stretches + 1], as attention kernels ask for them.
    """

    queries: tuple[int, ...]
    keys: tuple[int, ...]
    key_rows: torch.Tensor | None
    query_ends: torch.Tensor
    key_ends: torch.Tensor


@dataclass(frozen=True, slots=True)
class Pack:
    """One row of packed texts.

    Attributes:
        ids: token ids, [length]; any id where a virtual token is.
        positions: within each text, [length].
        stretches: which positions see which.
        sources: the positions whose next token is scored, [scored].
        targets: the next tokens, [scored].
        texts: the number of the text that each belongs to, [scored].
        virtual: the positions of virtual tokens, [texts * virtual tokens].
        count: how many texts there are; of the pairs in a pack, the chosen and the rejected answer in turn.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    stretches: Stretches
    sources: torch.Tensor
    targets: torch.Tensor
    texts: torch.Tensor
    virtual: torch.Tensor
    count: int

    @property
    def tokens(self) -> int:
        """Positions of the row, virtual tokens counted."""
        return len(self.ids)

    def to(self, device: torch.device) -> Pack:
        """Returns the pack on a device, without waiting for what it computes."""

        def moved(tensor: torch.Tensor) -> torch.Tensor:
            return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)

        s = self.stretches
        rows = None if s.key_rows is None else moved(s.key_rows)
        stretches = replace(s, key_rows=rows, query_ends=moved(s.query_ends), key_ends=moved(s.key_ends))
        names = ("ids", "positions", "sources", "targets", "texts", "virtual")
        return replace(self, stretches=stretches, **{name: moved(getattr(self, name)) for name in names})


def packed_tokens(row: Example | PairExample, virtual_tokens: int = 0) -> int:
    """Returns how many positions a text or pair takes in a pack."""
    shared = _shared(row.chosen, row.rejected) if isinstance(row, PairExample) else 0
    texts = 1 if isinstance(row, Example) or shared else 2
    return row.tokens - shared + texts * virtual_tokens


def spread(rows: Sequence[Row], limit: int, virtual_tokens: int = 0) -> list[list[Row]]:
    """Returns the rows in as few packs as the limit allows, of about equal sizes; a row alone may be longer.

    Longest first, each row goes into the emptiest pack, and into a new one if that would be over the limit.

    Args:
        rows: texts or pairs of one optimizer step.
        limit: most positions of a pack.
        virtual_tokens: in front of each text.
    """
    sizes = [packed_tokens(row, virtual_tokens) for row in rows]
    packs: list[list[int]] = [[] for _ in range(max(1, math.ceil(sum(sizes) / limit)))]
    used = [0] * len(packs)
    for index in sorted(range(len(rows)), key=lambda i: -sizes[i]):
        best = min(range(len(packs)), key=used.__getitem__)
        if used[best] and used[best] + sizes[index] > limit:
            packs.append([])
            used.append(0)
            best = len(packs) - 1
        packs[best].append(index)
        used[best] += sizes[index]
    return [[rows[i] for i in sorted(pack)] for pack in packs if pack]


def pack(rows: Sequence[Example | PairExample], virtual_tokens: int = 0) -> Pack:
    """Returns texts or pairs as one packed row.

    Args:
        rows: what to pack, in this order.
        virtual_tokens: places for virtual tokens in front of each text.
    """
    row = _Row(virtual_tokens)
    for each in rows:
        if isinstance(each, Example):
            row.text(each)
        else:
            row.pair(each)
    return row.pack()


@dataclass(slots=True)
class _Row:
    """A row that grows text by text."""

    virtual_tokens: int
    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    virtual: list[int] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)
    keys: list[range] = field(default_factory=list)
    shared: list[range] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    texts: list[int] = field(default_factory=list)
    count: int = 0

    def text(self, text: Example) -> range:
        """Appends a text; returns where its tokens are."""
        start = len(self.ids)
        self.virtual += range(start, start + self.virtual_tokens)
        self.ids += [0] * self.virtual_tokens
        first = len(self.ids)
        self.ids += text.ids
        self.positions += range(len(self.ids) - start)
        self._stretch(range(0), range(start, len(self.ids)))
        self._score(text, range(first, len(self.ids)), start)
        return range(first, len(self.ids))

    def pair(self, pair: PairExample) -> None:
        """Appends both answers to a prompt, which is read once where the tokens before the answers are the same."""
        shared = _shared(pair.chosen, pair.rejected)
        chosen = self.text(pair.chosen)
        if not shared:
            self.text(pair.rejected)
            return
        start, stem = len(self.ids), range(chosen.start - self.virtual_tokens, chosen.start + shared)
        self.ids += pair.rejected.ids[shared:]
        self.positions += range(len(stem), len(stem) + len(self.ids) - start)
        self._stretch(stem, range(start, len(self.ids)))
        self._score(pair.rejected, [*chosen[:shared], *range(start, len(self.ids))], stem.start)

    def _stretch(self, shared: range, own: range) -> None:
        self.shared.append(shared)
        self.keys.append(own)
        self.queries.append(len(own))

    def _score(self, text: Example, places: Sequence[int], start: int) -> None:
        """Notes what is scored of a text whose tokens are at these places; the first of all has nothing before it."""
        first = 0 if places[0] > start else 1
        before = [places[0] - 1, *places[:-1]][first:]
        trained = text.trained[first:]
        self.sources += compress(before, trained)
        self.targets += compress(text.ids[first:], trained)
        self.texts += [self.count] * sum(trained)
        self.count += 1

    def pack(self) -> Pack:
        """Returns what has been appended."""
        keys = tuple(len(s) + len(own) for s, own in zip(self.shared, self.keys, strict=True))
        rows = None
        if any(len(s) for s in self.shared):
            rows = torch.tensor([i for s, own in zip(self.shared, self.keys, strict=True) for i in (*s, *own)])
        stretches = Stretches(tuple(self.queries), keys, rows, _ends(self.queries), _ends(keys))
        whole = (self.ids, self.positions, self.sources, self.targets, self.texts, self.virtual)
        ids, positions, sources, targets, texts, virtual = (torch.tensor(x, dtype=torch.long) for x in whole)
        return Pack(ids, positions, stretches, sources, targets, texts, virtual, self.count)


def _ends(lengths: Sequence[int]) -> torch.Tensor:
    return torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)


def _shared(chosen: Example, rejected: Example) -> int:
    """Returns how many tokens two conversations begin with in common that neither is trained on."""
    sides = zip(chosen.ids, rejected.ids, chosen.trained, rejected.trained, strict=False)
    for i, (a, b, trained, also) in enumerate(sides):
        if a != b or trained or also:
            return i
    return min(chosen.tokens, rejected.tokens)
