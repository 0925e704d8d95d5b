"""Exchanges: prompts with right answers, as tokens on one device. The reward model's pretraining reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from synthetic_instruction_tuner.nano.training import corpus
from synthetic_instruction_tuner.nano.training import tokenizer as tok
from synthetic_instruction_tuner.nano.training.reward import ranking
from synthetic_instruction_tuner.records import question_text

SHARD = 2000  # exchanges per job
MARKS = 0.3  # share of sloppy remarks: they count as neither right nor wrong here

Flat = tuple[NDArray[np.uint16], NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Ragged:
    """Token lists end to end on one device, list i from ``starts[i]`` to ``starts[i + 1]``."""

    tokens: Tensor
    starts: Tensor

    @classmethod
    def of(cls, parts: Sequence[Flat], device: str) -> Ragged:
        """Returns the parts, each of (tokens, lengths), joined into one."""
        tokens = np.concatenate([tokens for tokens, _ in parts])
        lengths = np.concatenate([lengths for _, lengths in parts])
        starts = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
        return cls(torch.from_numpy(tokens.view("int16")).to(device), torch.from_numpy(starts).to(device))

    def lengths(self, items: Tensor) -> Tensor:
        """Returns how long the items are."""
        return self.starts[items + 1] - self.starts[items]

    def at(self, items: Tensor, places: Tensor) -> Tensor:
        """Returns the items' tokens at places counted from their starts; places outside an item are arbitrary."""
        return self.tokens[(self.starts[items] + places).clamp(0, len(self.tokens) - 1)].long()


@dataclass(frozen=True, slots=True)
class Exchanges:
    """Prompts with right answers.

    Attributes:
        prompts: as the language models read them, up to and including the start of the answer.
        questions: as the reward model reads them, up to and including the separator.
        answers: the answers, each with its end token.
        widths: question and answer together, rounded up to one of `ranking.WIDTHS`.
    """

    prompts: Ragged
    questions: Ragged
    answers: Ragged
    widths: NDArray[np.int64]

    def rows(self, heads: Ragged, items: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Returns heads with answers as padded ids, and where the answers' tokens are, both (items, width)."""
        places = torch.arange(width, device=items.device)[None, :]
        column = items[:, None]
        start = heads.lengths(items)[:, None]
        end = start + self.answers.lengths(items)[:, None]
        ids = torch.where(places < start, heads.at(column, places), self.answers.at(column, places - start))
        return torch.where(places < end, ids, tok.PAD_ID), (places >= start) & (places < end)


def make_exchanges(count: int, tokenizer_file: str, workers: int, seed: int, device: str) -> Exchanges:
    """Returns about `count` exchanges of the train split, without those too long for the reward model."""
    seeds = [f"{seed}-exchanges-{i}" for i in range(-(-count // SHARD))]
    job = partial(_shard, count=min(SHARD, count), tokenizer_file=tokenizer_file)
    shards = list(corpus.run_jobs(job, seeds, workers))
    prompts, questions, answers = (Ragged.of([shard[i] for shard in shards], device) for i in range(3))
    lengths = np.concatenate([q[1] + a[1] for _, q, a in shards])
    widths = np.array(ranking.WIDTHS)[np.searchsorted(ranking.WIDTHS, lengths)]
    return Exchanges(prompts, questions, answers, widths)


def _shard(seed: str, count: int, tokenizer_file: str) -> tuple[Flat, Flat, Flat]:
    """Returns prompts, questions and answers of new exchanges, each as (tokens, lengths)."""
    rng, tokenizer = Random(seed), Tokenizer.from_file(tokenizer_file)
    prompts, questions, answers = list[list[int]](), list[list[int]](), list[list[int]]()
    while len(answers) < count:
        *prompt, last = corpus.chat_item(rng, "train", marks=MARKS, flaws=False).messages
        pair = ranking.encode_texts(tokenizer, question_text(prompt), [last.content])[0]
        answer = [*tokenizer.encode(last.content).ids, tok.END_ID]
        if len(pair) <= ranking.LONGEST and len(answer) > 1:
            prompts.append(tokenizer.encode(tok.render(prompt, add_generation_prompt=True)).ids)
            questions.append(pair[: -len(answer)])
            answers.append(answer)
    return _flat(prompts), _flat(questions), _flat(answers)


def _flat(lists: list[list[int]]) -> Flat:
    flat = np.fromiter((i for ids in lists for i in ids), dtype=np.uint16)
    return flat, np.array([len(ids) for ids in lists], dtype=np.int32)
