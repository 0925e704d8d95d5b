"""Log-probabilities of continuations; each context is computed once, however many continuations it has.

The answers to a multiple-choice question share its text, which is most of the work. Here a context and all of its
continuations are one row: every continuation starts at the position after the context and attends to the context and
itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

import torch

from synthetic_instruction_tuner.engines.transformers.forward_pass import padded_inputs, picked_positions

if TYPE_CHECKING:
    from synthetic_instruction_tuner.engines.transformers.gpu.packed_attention import PackedAttention
    from synthetic_instruction_tuner.engines.transformers.prefixes import Prefix

_LOGITS = 1 << 26  # that a pass may hold
_TOKENS = {"cpu": 8192, "cuda": 32768}  # that it may compute
_SEEN = {"cpu": 1 << 20, "cuda": 1 << 17}  # and that it may attend to, what is known included

Pair = tuple[Sequence[int], Sequence[int]]
Ids = tuple[int, ...]


@dataclass(slots=True)
class ScoredRow:
    """One row of a model's input.

    Attributes:
        context: the tokens before all continuations.
        places: where each distinct continuation's input (all but its last token) begins in the row.
        pairs: the indices of the pairs that this row answers.
        length: tokens in the row.
    """

    context: Ids
    places: dict[Ids, int] = field(default_factory=dict)
    pairs: list[int] = field(default_factory=list)
    length: int = 0

    def add(self, number: int, continuation: Sequence[int]) -> None:
        """Adds a continuation to the row."""
        self.pairs.append(number)
        given = tuple(continuation[:-1])
        if given not in self.places:
            self.places[given] = self.length
            self.length += len(given)

    @property
    def ids(self) -> Ids:
        """The row's tokens."""
        return self.context + tuple(token for given in self.places for token in given)

    @property
    def predictions(self) -> int:
        """At most so many positions of the row have a logit that is asked for."""
        return 1 + sum(map(len, self.places))

    @property
    def branches(self) -> list[tuple[int, int]]:
        """Start and end (exclusive) of each continuation that is not empty."""
        return [(start, start + len(given)) for given, start in self.places.items() if given]


def rows_of(pairs: Sequence[Pair], shared: bool) -> list[ScoredRow]:
    """Returns the rows that answer the pairs, longest first; `shared` groups the continuations of a context."""
    rows: dict[Any, ScoredRow] = {}
    for number, (context, continuation) in enumerate(pairs):
        key = tuple(context) if shared else (tuple(context), tuple(continuation[:-1]))
        row = rows.setdefault(key, ScoredRow(tuple(context), length=len(context)))
        row.add(number, continuation)
    return sorted(rows.values(), key=lambda row: (-row.length, row.context, row.pairs))


@dataclass(frozen=True, slots=True)
class PassRoom:
    """What a pass may hold.

    Attributes:
        tokens: that it computes.
        seen: tokens that it attends to, what is known included.
        predictions: positions whose logits it computes.
    """

    tokens: int
    seen: int
    predictions: int

    @classmethod
    def on(cls, device: str, halvings: int, vocabulary: int) -> PassRoom:
        """Returns the room of a device on which memory has run out so many times."""
        return cls(_TOKENS[device] >> halvings, _SEEN[device] >> halvings, (_LOGITS >> halvings) // vocabulary)

    def fitting(self, rows: Sequence[ScoredRow], known: int, virtual: int, packed: bool) -> int:
        """Returns how many of the rows fit, at least one; the first is the longest.

        Args:
            rows: the next ones.
            known: tokens that all begin with, which are not computed again.
            virtual: tokens of a soft prompt.
            packed: whether they are computed without padding.
        """
        computed = predictions = 0
        for count, row in enumerate(rows):
            longest = rows[0].length + virtual
            computed += (row.length if packed else longest) - known
            predictions += row.predictions
            full = computed > self.tokens or (count + 1) * longest > self.seen or predictions > self.predictions
            if count and full:
                return count
        return len(rows)


Scores = dict[int, tuple[float, bool]]
"""The log-probability of a pair's continuation, in nats, and whether it is greedy, by the pair's index."""


def score_rows(*args: Any, **kwargs: Any) -> Scores:
    """Returns the scores of the rows' pairs; arguments as those of `start_scoring`."""
    scores: Scores = start_scoring(*args, **kwargs)()
    return scores


@torch.inference_mode()  # type: ignore[untyped-decorator]
def start_scoring(
    model: Any,
    pairs: Sequence[Pair],
    rows: Sequence[ScoredRow],
    pad_id: int,
    device: str,
    soft: torch.Tensor | None,
    prefix: Prefix | None = None,
    packed: PackedAttention | None = None,
) -> Callable[[], Scores]:
    """Starts to score the rows' pairs; returns what waits for the scores. On a GPU others can be started meanwhile.

    Args:
        model: a causal LM; for several continuations per row see `trial.Ways.shares`.
        pairs: all pairs.
        rows: those to compute in one forward pass.
        pad_id: pads short rows.
        device: where the model is.
        soft: a soft prompt in front of every row, or None.
        prefix: what all rows begin with, the soft prompt included, if it has been read.
        packed: computes the rows behind a prefix without padding; None where the model cannot.
    """
    extra, known = (0 if soft is None else len(soft)), (prefix.length if prefix else 0)
    if prefix:
        soft, extra = None, -known
    at, places, targets, owners = dict[tuple[int, int], int](), list[int](), list[int](), list[int]()
    for index, row in enumerate(rows):
        for number in row.pairs:
            continuation = pairs[number][1]
            for k, token in enumerate(continuation):
                place = len(row.context) - 1 if k == 0 else row.places[tuple(continuation[:-1])] + k - 1
                places.append(at.setdefault((index, extra + place), len(at)))  # choices of one token share theirs
                targets.append(token)
                owners.append(number)
    if not targets:
        return lambda: {number: (0.0, True) for row in rows for number in row.pairs}
    if prefix and packed:
        logits = _packed_logits(model, [row.ids[known:] for row in rows], list(at), device, prefix, packed)
    else:
        logits = _padded_logits(model, rows, list(at), pad_id, device, soft, prefix)
    wanted, place = torch.tensor([targets, places], device=logits.device)
    chosen = logits[place, wanted].float() - torch.logsumexp(logits.float(), dim=-1)[place]
    hits = logits.argmax(-1)[place] == wanted
    numbers = [number for row in rows for number in row.pairs]
    return lambda: _summed(numbers, owners, chosen.tolist(), hits.tolist())


def _summed(numbers: Sequence[int], owners: Sequence[int], chosen: Sequence[float], hits: Sequence[bool]) -> Scores:
    """Returns the scores of pairs from those of their tokens, each of which has an owner."""
    sums = {number: [0.0, True] for number in numbers}
    for number, value, hit in zip(owners, chosen, hits, strict=True):
        sums[number][0] += value
        sums[number][1] = sums[number][1] and hit
    return {number: (float(total), bool(greedy)) for number, (total, greedy) in sums.items()}


def _padded_logits(
    model: Any,
    rows: Sequence[ScoredRow],
    at: Sequence[tuple[int, int]],
    pad_id: int,
    device: str,
    soft: torch.Tensor | None,
    prefix: Prefix | None,
) -> torch.Tensor:
    """Returns the logits at (row, column), [places, vocabulary]."""
    known = prefix.length if prefix else 0
    extra = -known if prefix else 0 if soft is None else len(soft)
    inputs: dict[str, Any] = padded_inputs([row.ids[known:] for row in rows], model, pad_id, device, soft)
    inputs["use_cache"] = False
    if prefix:
        inputs |= prefix.inputs(len(rows), inputs["input_ids"].shape[1], device)
    if any(len(row.branches) > 1 for row in rows):
        inputs |= _branched(rows, extra, model.dtype, device)
    with picked_positions(model, [row for row, _ in at], [column for _, column in at]) as pick:
        return pick(model(**inputs).logits)


def _packed_logits(
    model: Any,
    texts: Sequence[Ids],
    at: Sequence[tuple[int, int]],
    device: str,
    prefix: Prefix,
    packed: PackedAttention,
) -> torch.Tensor:
    """Returns the logits at (text, token), [places, vocabulary], of texts behind a beginning."""
    from synthetic_instruction_tuner.engines.transformers.gpu.packed_attention import Packing, no_mask

    starts = [0, *accumulate(map(len, texts))]
    ids = torch.tensor([list(chain.from_iterable(texts))], device=device)
    first = prefix.virtual + prefix.length
    places = torch.tensor([[first + k for text in texts for k in range(len(text))]], device=device)
    columns = [starts[text] + token for text, token in at]
    packing = Packing.of([len(text) for text in texts], prefix.cache.layers, device)
    with packed.active(packing), picked_positions(model, [0] * len(at), columns) as pick:
        return pick(model(input_ids=ids, position_ids=places, attention_mask=no_mask(device), use_cache=False).logits)


def _branched(rows: Sequence[ScoredRow], extra: int, dtype: torch.dtype, device: str) -> dict[str, torch.Tensor]:
    """Returns position ids, [rows, width], and an additive attention mask, [rows, 1, width, width]."""
    width = extra + max(row.length for row in rows)
    positions = torch.arange(width).repeat(len(rows), 1)
    seen = torch.ones(width, width, dtype=torch.bool).tril().repeat(len(rows), 1, 1)
    for index, row in enumerate(rows):
        end = extra + len(row.context)
        for first, last in row.branches:
            first, last = extra + first, extra + last
            positions[index, first:last] = torch.arange(end, end + last - first)
            seen[index, first:last, end:first] = False  # the continuations before it
    mask = torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)
    return {"position_ids": positions.to(device), "attention_mask": mask[:, None].to(device)}
