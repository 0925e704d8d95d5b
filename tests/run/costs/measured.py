"""What was measured on GPUs, and the work that it was measured on.

One H100 80 GB for training and one H200 for text, with random weights in the shapes of Llama-3.2-3B and Llama-3.1-8B in
bfloat16. The lengths are drawn as the measuring scripts draw them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GIB = 2.0**30 / 1e9  # in GB
TEMPLATE = 21  # tokens of the chat template of the models with random weights
LIMIT = 1024


@dataclass(frozen=True)
class Trained:
    """A measured training.

    Attributes:
        tuned: what was tuned.
        checkpointing: whether activations were computed again.
        tokens_per_second: real tokens, without padding.
        peak_gib: the largest sum of tensors, in GiB.
    """

    tuned: str
    checkpointing: bool
    tokens_per_second: float
    peak_gib: float


@dataclass(frozen=True)
class Written:
    """Text that was measured: 1,024 requests, so many rows at once, on an engine."""

    rows: int
    engine: str
    card: str
    tokens_per_second: float
    peak_gib: float | None = None


@dataclass(frozen=True)
class Small:
    """256 requests, 64 rows at once, and 256 texts of 512 tokens to score, on an H200 (`benchmarks/planning_gpu.py`).

    Attributes:
        path: whose shape the model has.
        bits: of a weight.
        written: seconds to write, without compiling kernels.
        written_gb: the most memory meanwhile, in GB.
        scored: seconds to score; of a context of 508 and a continuation of 4.
        scored_gb: the most memory meanwhile.
    """

    path: str
    bits: int
    written: float
    written_gb: float
    scored: float
    scored_gb: float


SMALL = (
    Small("meta-llama/Llama-3.2-1B", 16, 4.68, 5.04, 0.56, 4.69),
    Small("meta-llama/Llama-3.2-1B", 4, 8.04, 3.59, 0.52, 3.25),
    Small("Qwen/Qwen2.5-3B", 16, 11.90, 9.24, 1.33, 9.06),
    Small("Qwen/Qwen2.5-3B", 4, 17.63, 5.01, 1.35, 4.84),
    Small("mistralai/Mistral-7B-v0.3", 16, 14.95, 23.15, 3.03, 18.18),
    Small("meta-llama/Llama-3.1-8B", 16, 15.25, 23.95, 3.04, 18.97),
)
TRAINED = (
    Trained("lora", False, 6667, 63.8),
    Trained("lora", True, 6207, 11.4),
    Trained("pairs", True, 6635, 12.3),
    Trained("soft_prompt", False, 12313, 38.9),
)
WRITTEN = (
    Written(256, "transformers", "h200", 14693, 47.9),
    Written(1024, "transformers", "h200", 17902, 93.9),
    Written(1024, "vllm", "h200", 18204),
    Written(1024, "vllm", "h100", 17161),
)


def drawn(rng: np.random.Generator, n: int, median: float, spread: float, most: int = 900) -> np.ndarray:
    """Returns lengths from a log-normal distribution, in tokens."""
    return np.clip(np.exp(rng.normal(np.log(median), spread, size=n)).astype(int), 16, most)


def training_work(tuned: str) -> tuple[float, float, float]:
    """Returns a training's tokens in all, its micro-batches, and the tokens of the largest with padding."""
    rng, pairs = np.random.default_rng(0), tuned == "pairs"
    rows, n = (8, 8 * 16) if pairs else (12, 12 * 24)
    prompts, answers = drawn(rng, n, 40, 0.5), drawn(rng, n, 330, 0.6)
    texts = [prompts + answers + TEMPLATE]
    if pairs:
        texts.append(prompts + drawn(rng, n, 330, 0.6) + TEMPLATE)
    longest = np.sort(np.minimum(np.maximum.reduce(texts), LIMIT))[-1]  # rows of similar length share a batch
    virtual = 20 if tuned == "soft_prompt" else 0
    return float(sum(t.sum() for t in texts)), n / rows, float(rows * len(texts) * (longest + virtual))


def written_lengths(n: int = 1024) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lengths of prompts and answers."""
    rng = np.random.default_rng(0)
    return rng.integers(20, 120, size=n), drawn(rng, n, 260, 0.6, 1024)
