"""What the methods train on: tokenized conversations, their order, and the batches made of them.

Tokens and loss masks come from the chat template alone, so that no trainer renders a template, adds a second BOS or
guesses from token ids what is padding: padding is known by length, and the end of turn is trained even where it is
also the padding token.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch

from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.records import Message, PreferencePair, Record

IGNORED = -100  # the label that losses leave out
SORT_WINDOW = 16  # batches whose examples are sorted by length together: little padding, still mixed


class Template(Protocol):
    """The part of a chat template that training needs."""

    def training_ids(self, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
        """Returns the conversation's ids, and a mask that is true on the last answer and its end of turn."""
        ...


@dataclass(frozen=True, slots=True)
class Example:
    """One tokenized conversation.

    Attributes:
        id: the record's id.
        ids: the token ids.
        trained: for each id whether the loss counts it.
    """

    id: str
    ids: tuple[int, ...]
    trained: tuple[bool, ...]

    @property
    def tokens(self) -> int:
        """How many tokens one pass over it reads."""
        return len(self.ids)

    @property
    def trained_tokens(self) -> int:
        """How many tokens the loss counts."""
        return sum(self.trained)


@dataclass(frozen=True, slots=True)
class PairExample:
    """Two tokenized conversations with the same prompt.

    Attributes:
        id: the pair's id.
        chosen, rejected: the conversations with the better and the worse answer.
    """

    id: str
    chosen: Example
    rejected: Example

    @property
    def tokens(self) -> int:
        """How many tokens a pass over both conversations reads."""
        return self.chosen.tokens + self.rejected.tokens

    @property
    def trained_tokens(self) -> int:
        """How many tokens the loss counts, in both answers."""
        return self.chosen.trained_tokens + self.rejected.trained_tokens


Row = TypeVar("Row", Example, PairExample)


@dataclass(frozen=True, slots=True)
class Tokenized(Generic[Row]):
    """Rows ready for training.

    Attributes:
        rows: those with something to train on, in the order given.
        truncated: how many of the given rows were longer than the limit and were cut at the end.
        dropped: how many were left without a token to train on, and are not among the rows.
    """

    rows: list[Row]
    truncated: int
    dropped: int


def highest_token(rows: Iterable[Example | PairExample]) -> int:
    """Returns the highest token id in tokenized rows."""
    sides = (side for row in rows for side in ((row,) if isinstance(row, Example) else (row.chosen, row.rejected)))
    return max((max(side.ids, default=0) for side in sides), default=0)


def tokenize_records(records: Iterable[Record], template: Template, max_length: int) -> Tokenized[Example]:
    """Returns the records as examples of at most `max_length` tokens, cut at the end.

    Raises:
        UserError: there is no record, or none is left with a token to train on.
    """
    whole = [_example(record.id, record.messages(), template) for record in records]
    cut = [_cut(example, max_length) for example in whole]
    rows = [example for example in cut if example.trained_tokens]
    _require(rows, len(whole), "record", max_length)
    truncated = sum(example.tokens > max_length for example in whole)
    return Tokenized(rows, truncated, len(whole) - len(rows))


def tokenize_pairs(pairs: Iterable[PreferencePair], template: Template, max_length: int) -> Tokenized[PairExample]:
    """Returns the pairs with both conversations cut to `max_length` tokens.

    A pair is dropped when a side is left without a trained token, or when both sides are cut to the same tokens.

    Raises:
        UserError: there is no pair, or none is left.
    """
    whole = [_pair(pair, template) for pair in pairs]
    cut = [PairExample(p.id, _cut(p.chosen, max_length), _cut(p.rejected, max_length)) for p in whole]
    rows = [
        pair
        for pair in cut
        if pair.chosen.trained_tokens and pair.rejected.trained_tokens and pair.chosen.ids != pair.rejected.ids
    ]
    _require(rows, len(whole), "preference pair", max_length, or_else=" or their answers do not differ within them")
    truncated = sum(max(p.chosen.tokens, p.rejected.tokens) > max_length for p in whole)
    return Tokenized(rows, truncated, len(whole) - len(rows))


def training_order(lengths: Sequence[int], epochs: float, batch_size: int, seed: int) -> list[int]:
    """Returns the row numbers in the order in which they are trained on; a pure function of its arguments.

    Every epoch is a new permutation; a partial last epoch is the beginning of one. Within windows of a few batches rows
    of like length share a batch, which saves padding; the batches of a window come in random order.

    Args:
        lengths: each row's length, in tokens.
        epochs: passes over the rows.
        batch_size: rows per optimizer step, however they are split into micro-batches.
        seed: fixes the permutations.
    """
    rng = random.Random(f"training order {seed}")
    order: list[int] = []
    wanted = max(1, round(len(lengths) * epochs))
    while len(order) < wanted:
        order += rng.sample(range(len(lengths)), len(lengths))
    window = SORT_WINDOW * batch_size
    starts = range(0, wanted, window)
    return [row for i in starts for row in _sorted_window(order[i : min(i + window, wanted)], lengths, batch_size, rng)]


def sft_batch(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Returns input ids, attention mask and labels, padded on the right, each [batch, longest]."""
    labels = [[i if t else IGNORED for i, t in zip(e.ids, e.trained, strict=True)] for e in examples]
    return {**_inputs(examples), "labels": _padded(labels, IGNORED)}


def dpo_batch(pairs: Sequence[PairExample]) -> dict[str, torch.Tensor]:
    """Returns the chosen conversations above the rejected ones, each tensor [2 * batch, longest], as TRL expects."""
    examples = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    return {**_inputs(examples), "completion_mask": _padded([list(map(int, e.trained)) for e in examples], 0)}


def _inputs(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    ones = [[1] * example.tokens for example in examples]
    # Any id does for padding: the attention mask hides it and no label names it.
    return {"input_ids": _padded([e.ids for e in examples], 0), "attention_mask": _padded(ones, 0)}


def _padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])


def _example(id: str, messages: Sequence[Message], template: Template) -> Example:
    ids, trained = template.training_ids(messages)
    if not trained or not trained[-1]:
        raise RunError(
            "The end of the answer would not be trained.",
            f"Record {id}: the chat template puts untrained tokens after the end of turn.",
            "Check the model's chat template. A model trained with it would never stop.",
        )
    return Example(id, tuple(ids), tuple(trained))


def _pair(pair: PreferencePair, template: Template) -> PairExample:
    prompt = pair.prompt_messages()
    chosen = _example(pair.id, [*prompt, Message("assistant", pair.chosen)], template)
    return PairExample(pair.id, chosen, _example(pair.id, [*prompt, Message("assistant", pair.rejected)], template))


def _cut(example: Example, max_length: int) -> Example:
    return Example(example.id, example.ids[:max_length], example.trained[:max_length])


def _require(rows: Sequence[Any], given: int, what: str, max_length: int, or_else: str = "") -> None:
    if not given:
        raise UserError(f"There is no {what} to train on.", "The training data is empty.", "Give at least one.")
    if not rows:
        raise UserError(
            f"No {what} is left to train on.",
            f"Of {given:,} none has an answer within the {max_length:,} tokens that an example may have: the prompts "
            f"fill them{or_else}.",
            "Raise max_length of this training; a model that learned its positions cannot read more than it has.",
        )


def _sorted_window(rows: list[int], lengths: Sequence[int], batch_size: int, rng: random.Random) -> list[int]:
    # Python's sort is stable, so rows of equal length stay in their random order.
    ordered = sorted(rows, key=lambda row: lengths[row])
    batches = [ordered[i : i + batch_size] for i in range(0, len(ordered), batch_size)]
    short = [batches.pop()] if len(batches[-1]) < batch_size else []  # only the very last batch can be smaller
    rng.shuffle(batches)
    return [row for batch in [*batches, *short] for row in batch]
