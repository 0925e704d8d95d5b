"""Texts that are alike are tokenized in parts, and have the tokens of the whole, whatever the tokenizer is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from synthetic_instruction_tuner.evaluation.benchmarks.text_seams import last_line, tokens_behind, tokens_of_all

WORDS = ["What", "is", "the", "sea", "Answer", "A", "B", "four", "12", "a\n\nb", "\n"]
OPENING = "The following are questions about the sea.\n\n" + "What is it?\nA. the sea\nB. 4\nAnswer: B\n\n" * 4
LETTERS = [" A", " B", " C"]


def trained(pre: Any = None, normalizer: Any = None) -> Callable[[str], list[int]]:
    raw = Tokenizer(models.BPE(unk_token="?"))
    if pre:
        raw.pre_tokenizer = pre
    if normalizer:
        raw.normalizer = normalizer
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet() if pre else sorted(set(OPENING + " ".join(WORDS)))
    raw.train_from_iterator(
        [OPENING, "Answer: A", "Answer: C\n\nWhat"],
        trainers.BpeTrainer(vocab_size=400, special_tokens=["?"], initial_alphabet=alphabet, show_progress=False),
    )
    return lambda text: raw.encode(text, add_special_tokens=False).ids


def merging_lines(text: str) -> list[int]:
    """A tokenizer for which a line's beginning is no seam: two characters at a time, from the first one on."""
    return [hash(text[i : i + 2]) for i in range(0, len(text), 2)]


TOKENIZERS: dict[str, Callable[[str], list[int]]] = {
    "bytes": lambda text: list(text.encode()),
    "words as in GPT-2": trained(pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "a space before every text": trained(pre_tokenizers.Metaspace()),
    "no words at all": trained(),
    "other letters": trained(pre_tokenizers.ByteLevel(), normalizers.Lowercase()),
    "merging lines": merging_lines,
}
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=25)
@given(questions=st.lists(texts, min_size=1, max_size=4), ends=st.sampled_from(["\nAnswer:", "\nAnswer:\n", ":"]))
def test_parts_have_the_tokens_of_the_whole(name: str, questions: list[str], ends: str) -> None:
    encode = TOKENIZERS[name]
    contexts = [OPENING + question.strip() + ends for question in questions]
    assert tokens_of_all(contexts, encode) == [encode(text) for text in contexts]
    whole = [[encode(text + letter)[len(encode(text)) :] for letter in LETTERS] for text in contexts]
    assert tokens_behind(contexts, [encode(text) for text in contexts], LETTERS, encode) == whole


def test_a_common_beginning_is_read_once() -> None:
    read: list[int] = []

    def encode(text: str) -> list[int]:
        read.append(len(text))
        return list(text.encode())

    contexts = [f"{OPENING}Question {n}?\nAnswer:" for n in range(50)]
    tokens_behind(contexts, tokens_of_all(contexts, encode), LETTERS, encode)
    assert sum(read) < 30 * len(OPENING)  # one by one: 250 times


@pytest.mark.parametrize(
    ("text", "begins"), [("", ""), ("a", "a"), ("a\nb", "b"), ("a\n\nb:\n\n", "b:\n\n"), ("\n", "\n")]
)
def test_the_last_line_is_the_last_one_with_something_in_it(text: str, begins: str) -> None:
    assert text[last_line(text) :] == begins
