"""Pretraining of the reward model: which tokens of this answer were replaced?

A label for a whole answer says too little for a tiny model to learn what makes an answer wrong. So it first learns to
point at wrong tokens: in right answers a small language model replaces some tokens by others that it finds likely, and
the reward model tells the replaced ones. This is ELECTRA's task (Clark et al. 2020, arXiv:2003.10555), with which
DeBERTa-v3 was pretrained too (He et al. 2021, arXiv:2111.09543). Beside it, its logit learns to put the intact answer
above the spoiled ones. No label of a checker is used.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from synthetic_instruction_tuner.nano import corpus, reward
from synthetic_instruction_tuner.nano import tokenizer as tok
from synthetic_instruction_tuner.nano.fast_deberta import compiled_layers, fast_attention
from synthetic_instruction_tuner.nano.forward import hidden_states, rotations
from synthetic_instruction_tuner.nano.guard import Guard
from synthetic_instruction_tuner.nano.language import schedule
from synthetic_instruction_tuner.nano.reward_data import question_text

VERSIONS = 3  # of each answer in a step: the intact one, one with a single replaced token, one with several
HEAVY = (0.05, 0.25)  # share of replaced tokens in the latter, drawn anew for each answer
COPIED = 0.25  # share of replacements that come from elsewhere in the same text, as where a model mixes things up
TOKEN_WEIGHT = 5.0  # of the loss per token against the loss per pair
PASSES = 2  # over the exchanges; what is replaced is drawn anew each time
SHARD = 2000  # exchanges per job
WARMUP = 500
MARKS = 0.3  # share of sloppy remarks: they are neither right nor wrong here

Flat = tuple[NDArray[np.uint16], NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Ragged:
    """Token lists end to end on one device, list i from ``starts[i]`` to ``starts[i + 1]``."""

    tokens: Tensor
    starts: Tensor

    @classmethod
    def of(cls, parts: Sequence[Flat], device: str) -> Ragged:
        """Returns the parts, each of (tokens, lengths), one after the other."""
        tokens = np.concatenate([tokens for tokens, _ in parts])
        lengths = np.concatenate([lengths for _, lengths in parts])
        starts = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
        return cls(torch.from_numpy(tokens.view("int16")).to(device), torch.from_numpy(starts).to(device))

    def lengths(self, items: Tensor) -> Tensor:
        """Returns how long the items are."""
        return self.starts[items + 1] - self.starts[items]

    def at(self, items: Tensor, places: Tensor) -> Tensor:
        """Returns the items' tokens at places counted from their starts; what lies outside is arbitrary."""
        return self.tokens[(self.starts[items] + places).clamp(0, len(self.tokens) - 1)].long()


@dataclass(frozen=True, slots=True)
class Exchanges:
    """Prompts with right answers.

    Attributes:
        prompts: as the language models read them, up to and including the start of the answer.
        questions: as the reward model reads them, up to and including the separator.
        answers: the answers, each with its end token.
        widths: question and answer together, rounded up to one of `reward.WIDTHS`.
    """

    prompts: Ragged
    questions: Ragged
    answers: Ragged
    widths: NDArray[np.int64]

    def rows(self, heads: Ragged, items: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Returns heads with answers as padded ids, (items, width), and where the answers' tokens are, alike."""
        places = torch.arange(width, device=items.device)[None, :]
        column = items[:, None]
        start = heads.lengths(items)[:, None]
        end = start + self.answers.lengths(items)[:, None]
        ids = torch.where(places < start, heads.at(column, places), self.answers.at(column, places - start))
        return torch.where(places < end, ids, tok.PAD_ID), (places >= start) & (places < end)


def make_exchanges(count: int, tokenizer_file: str, workers: int, seed: int, device: str) -> Exchanges:
    """Returns about so many exchanges of the train split (those too long for the reward model are left out)."""
    seeds = [f"{seed}-exchanges-{i}" for i in range(-(-count // SHARD))]
    job = partial(_shard, count=min(SHARD, count), tokenizer_file=tokenizer_file)
    shards = list(corpus.run_jobs(job, seeds, workers))
    prompts, questions, answers = (Ragged.of([shard[i] for shard in shards], device) for i in range(3))
    lengths = np.concatenate([q[1] + a[1] for _, q, a in shards])
    widths = np.array(reward.WIDTHS)[np.searchsorted(reward.WIDTHS, lengths)]
    return Exchanges(prompts, questions, answers, widths)


def pretrain(
    model: Any, writer: Any, data: Exchanges, *, tokens_per_step: int, rate: float, seed: int, minutes: float
) -> None:
    """Trains the model in place, for `PASSES` over the exchanges or until the minutes are over.

    Args:
        model: what `reward.new_model` returned.
        writer: a small language model, as `sampling.load_model` returns it, that proposes replacements.
        data: what is read.
        tokens_per_step: padded tokens in one step.
        rate: peak learning rate.
        seed: fixes order and replacements.
        minutes: training ends, annealed, within this time.
    """
    probe = torch.full((reward.CANDIDATES * 2, reward.WIDTHS[0]), tok.BOS_ID, device=model.device)
    with fast_attention(), compiled_layers(model, probe):
        _fit(model, writer, data, tokens_per_step, rate, seed, minutes)


def spoiled(
    writer: Any, data: Exchanges, items: Tensor, width: int, shares: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Returns the exchanges with some tokens of each answer replaced, and where.

    Args:
        writer: the language model that proposes tokens.
        data: all exchanges.
        items: which of them.
        width: padded length.
        shares: for each item, the share of its answer's tokens to replace, beside one that is replaced in any case.
        generator: randomness, on the data's device.

    Returns:
        ids: (items, width), as the reward model reads them.
        replaced: (items, width), bool.
    """
    device = items.device
    ids, _ = data.rows(data.questions, items, width)
    lengths = data.answers.lengths(items) - 1  # the end token stays
    dice = torch.rand(len(items), int(lengths.max()), generator=generator, device=device)
    inside = torch.arange(dice.shape[1], device=device)[None, :] < lengths[:, None]
    dice = torch.where(inside, dice, 2.0)
    chosen = (dice < shares[:, None]) | (dice == dice.min(1, keepdim=True).values)
    row, place = (chosen & inside).nonzero(as_tuple=True)

    heads = data.prompts.lengths(items)
    seen, _ = data.rows(data.prompts, items, int((heads + lengths).max()))
    cosines, sines = rotations(writer.config, device)
    states = hidden_states(writer, seen, cosines[: seen.shape[1]], sines[: seen.shape[1]])
    logits = F.linear(states[row, heads[row] + place - 1], writer.model.embed_tokens.weight).float()
    target = data.questions.lengths(items)[row] + place
    old = ids[row, target]
    logits[:, : len(tok.SPECIALS)] = -torch.inf
    logits.scatter_(1, old[:, None], -torch.inf)
    new = torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1)

    ends = data.questions.lengths(items) + lengths
    dice = torch.rand(2, len(row), generator=generator, device=device)
    other = ids[row, (dice[0] * ends[row]).long()]
    new = torch.where((dice[1] < COPIED) & (other >= len(tok.SPECIALS)) & (other != old), other, new)
    replaced = torch.zeros_like(ids, dtype=torch.bool)
    replaced[row, target] = True
    ids[row, target] = new
    return ids, replaced


def _fit(
    model: Any, writer: Any, data: Exchanges, tokens_per_step: int, rate: float, seed: int, minutes: float
) -> None:
    device = model.device
    torch.manual_seed(seed)
    detector = nn.Linear(model.config.hidden_size, 1).to(device)
    parameters = [*model.parameters(), *detector.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=reward.BETAS, weight_decay=0.01)
    guard = Guard(parameters, optimizer)
    rng, generator = np.random.default_rng(seed), torch.Generator(device=device).manual_seed(seed)
    size = tokens_per_step * reward.CANDIDATES // VERSIONS
    plan = [step for _ in range(PASSES) for step in reward.plan_steps(data.widths, size, rng)]
    began, progress = time.perf_counter(), 0.0
    recent = good = torch.zeros(3, device=device)
    for step, (width, chosen) in enumerate(plan, 1):
        progress = max((step - 1) / len(plan), (time.perf_counter() - began) / (minutes * 60))
        if progress >= 1:
            break
        for settings in optimizer.param_groups:
            warm = min(1.0, step / min(WARMUP, max(1, len(plan) // 10)))
            settings["lr"] = rate * guard.factor * schedule(progress) * warm
        ids, replaced, answer = _versions(writer, data, torch.from_numpy(chosen).to(device), width, generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            states = model.deberta(ids, attention_mask=(ids != tok.PAD_ID).long())[0]
            found = detector(states).squeeze(-1)
            scores = model.classifier(model.pooler(states)).squeeze(-1).float().view(VERSIONS, -1)
        by_token = F.binary_cross_entropy_with_logits(found.float(), replaced.float(), reduction="none")
        token_loss = by_token[answer].mean()
        pair_loss = F.softplus(scores[1:] - scores[:1]).mean()
        (TOKEN_WEIGHT * token_loss + pair_loss + 1e-3 * scores.square().mean()).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 0.5)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        now = torch.stack((token_loss.detach(), pair_loss.detach(), (scores[:1] > scores[1:]).float().mean()))
        recent = now if step == 1 else 0.98 * recent + 0.02 * now
        if step % reward.LOOK == 0 and guard.look(float(TOKEN_WEIGHT * recent[0] + recent[1])):
            print(f"[reward] step {step}: diverged, back to loss {guard.best:.4f} at half the rate", flush=True)
            recent = good
        elif step % reward.LOOK == 0:
            good = recent
        if step % max(1, min(200, len(plan) // 5)) == 0 or step == len(plan):
            _report(step, len(plan), recent.tolist(), time.perf_counter() - began, progress)


def _versions(
    writer: Any, data: Exchanges, items: Tensor, width: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns ids, replaced places and answer places of all `VERSIONS`, each (versions * items, width)."""
    intact, answer = data.rows(data.questions, items, width)
    low, high = HEAVY
    shares = low + (high - low) * torch.rand(len(items), generator=generator, device=items.device)
    with torch.no_grad():
        light = spoiled(writer, data, items, width, torch.zeros_like(shares), generator)
        heavy = spoiled(writer, data, items, width, shares, generator)
    ids = torch.cat((intact, light[0], heavy[0]))
    replaced = torch.cat((torch.zeros_like(answer), light[1], heavy[1]))
    return ids, replaced, answer.repeat(VERSIONS, 1)


def _report(step: int, steps: int, recent: list[float], seconds: float, progress: float) -> None:
    left = seconds * (1 - progress) / max(progress, 1e-6)
    token, pair, right = recent
    print(
        f"[reward] pretraining: step {step}/{steps}, loss {token:.4f} per token, {pair:.4f} per pair, "
        f"{right:.3f} of pairs right, {seconds:.0f} s, ETA {left:.0f} s",
        flush=True,
    )


def _shard(seed: str, count: int, tokenizer_file: str) -> tuple[Flat, Flat, Flat]:
    """Returns prompts, questions and answers of new exchanges, each as (tokens, lengths)."""
    rng, tokenizer = Random(seed), Tokenizer.from_file(tokenizer_file)
    prompts, questions, answers = list[list[int]](), list[list[int]](), list[list[int]]()
    while len(answers) < count:
        *prompt, last = corpus.chat_item(rng, "train", marks=MARKS, flaws=False).messages
        pair = reward.encode_texts(tokenizer, question_text(prompt), [last.content])[0]
        answer = [*tokenizer.encode(last.content).ids, tok.END_ID]
        if len(pair) <= reward.LONGEST and len(answer) > 1:
            prompts.append(tokenizer.encode(tok.render(prompt, add_generation_prompt=True)).ids)
            questions.append(pair[: -len(answer)])
            answers.append(answer)
    return _flat(prompts), _flat(questions), _flat(answers)


def _flat(lists: list[list[int]]) -> Flat:
    flat = np.fromiter((i for ids in lists for i in ids), dtype=np.uint16)
    return flat, np.array([len(ids) for ids in lists], dtype=np.int32)
