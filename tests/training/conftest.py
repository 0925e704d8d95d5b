"""Records, pairs and settings for small trainings."""

from __future__ import annotations

import gc
import os
import random

import pytest

from random_models import write_model
from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.records import PreferencePair, Record

WORDS = ["red", "blue", "seven", "cat", "dog", "runs", "fast"]


@pytest.fixture(autouse=True, scope="package")
def quick_collections() -> None:
    """Every training collects garbage; what the libraries have imported need not be looked at each time."""
    import torch  # noqa: F401
    import trl.trainer.dpo_trainer
    import trl.trainer.sft_trainer  # noqa: F401

    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def same_threads() -> None:
    """Bit-equality needs the same number of threads, and tiny models are fastest on one."""
    import torch

    torch.set_num_threads(int(os.environ.get("SIT_TEST_THREADS", 1)))


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    """The base model that is trained: random weights, but large enough that a few steps surely learn something.

    As they start, attention hardly mixes tokens and logits hardly differ: then losses fall by hundredths, within what
    another processor's rounding changes.
    """
    import torch
    from transformers import AutoModelForCausalLM

    folder = write_model(tmp_path_factory.mktemp("student") / "llama", "llama")
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "embed" in name or "proj" in name:
                weights.mul_(8)
    model.save_pretrained(folder)
    return ModelConfig(path=str(folder))


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
