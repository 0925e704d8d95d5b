"""Records, pairs and settings for small trainings."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.records import PreferencePair, Record

WORDS = ["red", "blue", "seven", "cat", "dog", "runs", "fast"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Bit-equality needs the same number of threads, and tiny models are fastest on one."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def student(random_llama: Path) -> ModelConfig:
    """The base model that is trained."""
    return ModelConfig(path=str(random_llama))


@pytest.fixture(scope="session")
def records() -> list[Record]:
    """Questions whose answers all begin alike, so that a few steps can learn something."""
    rng = random.Random(0)
    return [Record(f"raw-{i}", _words(rng, 2), "yes yes " + _words(rng, 1 + i % 4)) for i in range(14)]


@pytest.fixture(scope="session")
def pairs() -> list[PreferencePair]:
    """Pairs whose chosen answer always begins otherwise than the rejected one."""
    rng = random.Random(1)
    texts = [(_words(rng, 2), "yes " + _words(rng, 1), "no " + _words(rng, 2)) for _ in range(10)]
    return [PreferencePair(f"pair-{i}", f"raw-{i}", *t, "a", "b", 1.0, 0.0) for i, t in enumerate(texts)]


def _words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(WORDS, k=count))
