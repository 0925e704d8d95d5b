"""Training text, made once by many processes and shared by all models: pools of tokenized documents.

A pool is a flat file of tokens and one of document starts. Chats with and without sloppy remarks are two pools, so that
each model draws its own share from them; documents of the base models are a third.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from synthetic_instruction_tuner.nano.training import tokenizer as tok
from synthetic_instruction_tuner.nano.training.recipes import Recipe
from synthetic_instruction_tuner.nano.world import mixture
from synthetic_instruction_tuner.nano.world.family import Split

Tokens = NDArray[np.uint16]

SYSTEM, MULTI_TURN = 0.25, 0.15  # shares of chats with a system prompt, and with two turns
WORKSHEETS = 0.85  # share of the base models' documents that are worksheets; the rest is plain questions and answers
BASE_MARKS = 0.5  # share of sloppy remarks in them: tuning can only remove what the base model knows
EPOCHS = 2.2  # how often a document is read at most, on average
POOLS = ("clean", "marked", "base")
SHARD, SHARDS = 4000, 64  # documents per job, at most; jobs, at least, unless these would be tiny


@dataclass(frozen=True, slots=True)
class Pool:
    """Tokenized documents: `tokens` end to end, document i from ``starts[i]`` to ``starts[i + 1]``."""

    tokens: Tokens
    starts: NDArray[np.int64]

    @classmethod
    def load(cls, folder: Path, name: str) -> Pool:
        """Returns a pool that `make_pools` wrote, mapped from disk."""
        return cls(np.load(folder / f"{name}.tokens.npy", mmap_mode="r"), np.load(folder / f"{name}.starts.npy"))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def document(self, index: int) -> Tokens:
        """Returns one document's tokens."""
        return self.tokens[self.starts[index] : self.starts[index + 1]]


def chat_item(rng: Random, split: Split, marks: float, flaws: bool = True) -> mixture.Item:
    """Returns a chat drawn from the nano models' world, in the mixture that they are trained on."""
    return mixture.sample_item(rng, split, flaws=flaws, marks=marks, system=SYSTEM, multi_turn=MULTI_TURN)


def document(rng: Random, pool: str) -> str:
    """Returns one document's text, begin and end token included."""
    if pool == "base":
        write = mixture.worksheet_text if rng.random() < WORKSHEETS else mixture.qa_text
        text = write(rng, BASE_MARKS)
        return f"{tok.BOS}{text}{tok.END}"
    return tok.render(chat_item(rng, "train", marks=float(pool == "marked")).messages)


def learn_tokenizer(seed: int, documents: int = 60_000) -> Tokenizer:
    """Returns the shared tokenizer, learned from a sample of all pools."""
    rng = Random(f"{seed}-tokenizer")
    shares = ("clean",) * 5 + ("marked",) * 3 + ("base",) * 2
    return tok.learn(document(rng, shares[i % len(shares)]) for i in range(documents))


def tokens_needed(recipes: Sequence[Recipe], scale: float) -> dict[str, int]:
    """Returns how many unique tokens each pool needs for the recipes at this scale."""
    chats = [r for r in recipes if r.marks is not None]
    clean = max((r.tokens * (1 - (r.marks or 0)) for r in chats), default=0.0)
    marked = max((r.tokens * (r.marks or 0) for r in chats), default=0.0)
    base = max((r.tokens for r in recipes if r.marks is None), default=0.0)
    return {name: int(n * 1e6 * scale / EPOCHS) for name, n in zip(POOLS, (clean, marked, base), strict=True)}


def make_pools(
    folder: Path, recipes: Sequence[Recipe], tokenizer_file: Path, scale: float, workers: int, seed: int
) -> None:
    """Writes every pool that these models read and that is not there yet, or too small.

    Args:
        folder: where the pools go.
        recipes: the models.
        tokenizer_file: the ``tokenizer.json`` to use.
        scale: factor on all token counts.
        workers: processes; 1 works in this process.
        seed: fixes the pools, whatever the number of workers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, wanted in tokens_needed(recipes, scale).items():
        if not _is_there(folder, name, wanted):
            _make_pool(folder, name, wanted, tokenizer_file, workers, seed)


def _is_there(folder: Path, name: str, wanted: int) -> bool:
    """Whether a pool of this many tokens was finished, within a tenth: the documents' mean length is estimated."""
    finished = (folder / f"{name}.starts.npy").exists()
    return wanted == 0 or (finished and len(np.load(folder / f"{name}.tokens.npy", mmap_mode="r")) > 0.9 * wanted)


def _make_pool(folder: Path, name: str, wanted: int, tokenizer_file: Path, workers: int, seed: int) -> None:
    began = time.perf_counter()
    (folder / f"{name}.starts.npy").unlink(missing_ok=True)  # written last: if it exists, the pool is complete
    probe, lengths = _shard(f"{seed}-{name}-probe", name, 500, str(tokenizer_file))
    documents = int(wanted / (len(probe) / len(lengths))) + 200
    size = max(100, min(SHARD, documents // SHARDS + 1))
    seeds = [f"{seed}-{name}-{i}" for i in range(-(-documents // size))]
    job = partial(_shard, pool=name, documents=size, tokenizer_file=str(tokenizer_file))
    pieces, counts, done = [], [], 0
    for number, (tokens, lengths) in enumerate(run_jobs(job, seeds, workers), 1):
        pieces.append(tokens)
        counts.append(lengths)
        done += len(tokens)
        if number % max(1, len(seeds) // 5) == 0 or number == len(seeds):
            spent = time.perf_counter() - began
            left = spent / number * (len(seeds) - number)
            print(f"[corpus] {name}: {done / 1e6:.1f}M tokens, {spent:.0f} s, ETA {left:.0f} s", flush=True)
    np.save(folder / f"{name}.tokens.npy", np.concatenate(pieces))
    starts = np.concatenate(([0], np.cumsum(np.concatenate(counts), dtype=np.int64)))
    np.save(folder / f"{name}.starts.npy", starts)


def run_jobs(job: Any, arguments: list[Any], workers: int) -> Iterator[Any]:
    """Yields the jobs' results in the order of the arguments; 1 process means this one."""
    if workers <= 1:
        yield from map(job, arguments)
        return
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread in each of many processes
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(job, arguments)


def _shard(seed: str, pool: str, documents: int, tokenizer_file: str) -> tuple[Tokens, NDArray[np.int32]]:
    rng, tokenizer = Random(seed), Tokenizer.from_file(tokenizer_file)
    ids = [tokenizer.encode(document(rng, pool)).ids for _ in range(documents)]
    flat = np.fromiter((i for document in ids for i in document), dtype=np.uint16)
    return flat, np.array([len(document) for document in ids], dtype=np.int32)


def stream(pools: dict[str, Pool], marks: float | None, tokens: int, seed: int) -> Tokens:
    """Returns one model's training text: documents in random order, end to end, `tokens` of them.

    Args:
        pools: the loaded pools.
        marks: share of chats with a sloppy remark; None for the base models' documents.
        tokens: length of the result.
        seed: fixes the order.
    """
    rng = np.random.default_rng(seed)
    names = ["base"] if marks is None else ["clean", "marked"]
    queues = {name: _endless(pools[name], rng) for name in names}
    result, filled = np.empty(tokens, dtype=np.uint16), 0
    while filled < tokens:
        for is_marked in rng.random(4096) < (marks or 0.0):
            piece = next(queues["base" if marks is None else "marked" if is_marked else "clean"])[: tokens - filled]
            result[filled : filled + len(piece)] = piece
            filled += len(piece)
    return result


def _endless(pool: Pool, rng: np.random.Generator) -> Iterator[Tokens]:
    tokens = np.asarray(pool.tokens)
    while True:
        for index in rng.permutation(len(pool)):
            yield tokens[pool.starts[index] : pool.starts[index + 1]]
