"""Tokenized examples: what is trained, what is cut, and in which order rows come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.records import Message, PreferencePair, Record
from synthetic_instruction_tuner.training.examples import (
    IGNORED,
    dpo_batch,
    sft_batch,
    tokenize_pairs,
    tokenize_records,
    training_order,
)

END = 0  # the end of turn, and at the same time what batches are padded with


class Letters:
    """A template with one token per letter."""

    def training_ids(self, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
        prompt = [ord(c) for m in messages[:-1] for c in m.content]
        answer = [ord(c) for c in messages[-1].content] + [END]
        return prompt + answer, [False] * len(prompt) + [True] * len(answer)


class Endless(Letters):
    """A template that leaves the end of turn untrained."""

    def training_ids(self, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
        ids, trained = super().training_ids(messages)
        return ids, [*trained[:-1], False]


def pair(prompt: str, chosen: str, rejected: str) -> PreferencePair:
    return PreferencePair("p", "r", prompt, chosen, rejected, "a", "b", 1.0, 0.0)


def test_loss_counts_the_answer_and_its_end_also_where_the_end_is_the_padding() -> None:
    data = tokenize_records([Record("a", "ask", "me"), Record("b", "a", "b")], Letters(), 16)
    batch = sft_batch(data.rows)
    assert batch["labels"].tolist() == [
        [IGNORED] * 3 + [ord("m"), ord("e"), END],
        [IGNORED, ord("b"), END, *[IGNORED] * 3],
    ]
    assert batch["attention_mask"].tolist() == [[1] * 6, [1, 1, 1, 0, 0, 0]]
    assert batch["input_ids"][0].tolist() == [*b"askme", END]


def test_an_untrained_end_of_turn_is_refused() -> None:
    with pytest.raises(RunError, match="end of the answer"):
        tokenize_records([Record("a", "q", "r")], Endless(), 16)


def test_long_examples_are_cut_at_the_end_and_hopeless_ones_dropped() -> None:
    given_ = [Record("fits", "ask", "me"), Record("cut", "ask", "me more"), Record("gone", "much too long", "me")]
    data = tokenize_records(given_, Letters(), 6)
    assert [(row.id, row.tokens, row.trained_tokens) for row in data.rows] == [("fits", 6, 3), ("cut", 6, 3)]
    assert (data.truncated, data.dropped) == (2, 1)


def test_pairs_that_are_equal_after_cutting_are_dropped() -> None:
    data = tokenize_pairs([pair("ask", "abcd", "abce"), pair("ask", "abcd", "xyz")], Letters(), 6)
    assert (len(data.rows), data.truncated, data.dropped) == (1, 2, 1)


def test_nothing_to_train_on_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="no record"):
        tokenize_records([], Letters(), 16)
    with pytest.raises(UserError, match="max_length") as error:
        tokenize_records([Record("a", "much too long", "x")], Letters(), 4)
    assert error.value.cause.endswith("the prompts fill them.")
    with pytest.raises(UserError, match="No preference pair is left") as error:
        tokenize_pairs([pair("ask", "abcd", "abce")], Letters(), 6)
    assert error.value.cause.endswith("the prompts fill them or their answers do not differ within them.")
    with pytest.raises(UserError, match="no preference pair"):
        tokenize_pairs([], Letters(), 16)


def test_a_pair_batch_holds_the_chosen_conversations_first() -> None:
    batch = dpo_batch(tokenize_pairs([pair("q", "yes", "no"), pair("q", "a", "b")], Letters(), 16).rows)
    assert batch["input_ids"][:, 1].tolist() == [ord(c) for c in "yanb"]
    assert batch["completion_mask"].tolist() == [[0, 1, 1, 1, 1], [0, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 1, 1, 0, 0]]


lengths = st.lists(st.integers(1, 90), min_size=1, max_size=200)


@given(lengths, st.integers(1, 3), st.integers(1, 9), st.integers(0, 5))
def test_each_epoch_has_every_row_once(lengths: list[int], epochs: int, batch: int, seed: int) -> None:
    order = training_order(lengths, float(epochs), batch, seed)
    assert order == training_order(lengths, float(epochs), batch, seed)
    assert Counter(order) == dict.fromkeys(range(len(lengths)), epochs)


@given(lengths, st.floats(0.01, 3))
def test_part_epochs_have_their_share(lengths: list[int], epochs: float) -> None:
    order = training_order(lengths, epochs, 4, 0)
    assert len(order) == max(1, round(len(lengths) * epochs))
    assert max(Counter(order).values()) <= -(-len(order) // len(lengths))


def test_order_depends_on_the_seed_and_saves_padding() -> None:
    lengths = [7 * i % 61 + 1 for i in range(512)]
    order = training_order(lengths, 1.0, 8, 0)
    assert order != training_order(lengths, 1.0, 8, 1)
    padded = sum(8 * max(lengths[i] for i in order[at : at + 8]) for at in range(0, 512, 8))
    assert padded < 1.15 * sum(lengths)
