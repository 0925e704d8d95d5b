"""Trains the reward model to rank: DeBERTa-v2, one logit, Bradley-Terry loss over pairs inside each group."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from synthetic_instruction_tuner.nano.training import tokenizer as tok
from synthetic_instruction_tuner.nano.training.recipes import REWARD_MAX_LENGTH, reward_config
from synthetic_instruction_tuner.nano.training.reward import deberta
from synthetic_instruction_tuner.nano.training.reward.groups import Group
from synthetic_instruction_tuner.nano.training.reward.trainer import LOOK, Hidden, Trainer, last_layer

CANDIDATES = 6  # answers per group and step
WIDTHS = (64, 96, 128, 192, 256)  # lengths are padded to one of these, so that few shapes are compiled
LONGEST = WIDTHS[-1]  # longer pairs are left out of training


@dataclass(frozen=True, slots=True)
class Encoded:
    """Groups as token ids on one device.

    Attributes:
        tokens: all answers' input ids, end to end.
        starts: where each answer starts, one more than there are answers.
        labels: each answer's worth.
        members: for each group, (first, last + 1) answer.
        widths: for each group, its longest answer's length, rounded up to one of `WIDTHS`.
    """

    tokens: Tensor
    starts: Tensor
    labels: Tensor
    members: NDArray[np.int64]
    widths: NDArray[np.int64]

    def inputs(self, answers: Tensor, width: int) -> Tensor:
        """Returns the answers' padded token ids, (answers, width)."""
        places = self.starts[answers][:, None] + torch.arange(width, device=answers.device)
        mask = places < self.starts[answers + 1][:, None]
        ids = self.tokens[places.clamp(max=len(self.tokens) - 1)].long()
        return torch.where(mask, ids, tok.PAD_ID)


def encode_texts(tokenizer: Tokenizer, question: str, answers: Sequence[str]) -> list[list[int]]:
    """Returns ``<bos> question <end> answer <end>`` for each answer, as the saved tokenizer makes it."""
    start = [tok.BOS_ID, *tokenizer.encode(question).ids, tok.END_ID]
    return [[*start, *encoding.ids, tok.END_ID] for encoding in tokenizer.encode_batch(list(answers))]


def encode_groups(groups: Sequence[tuple[NDArray[np.uint16], list[int], list[int]]], device: str) -> Encoded:
    """Returns the groups (flat tokens, lengths, labels) on the device, without those that have no contrast."""
    kept = [g for g in groups if len(set(g[2])) > 1]
    lengths = np.array([n for g in kept for n in g[1]], dtype=np.int64)
    ends = np.cumsum([len(g[1]) for g in kept])
    members = np.stack((np.concatenate(([0], ends[:-1])), ends), axis=1)
    widths = np.array([min(w for w in WIDTHS if w >= max(g[1])) for g in kept])
    tokens = torch.from_numpy(np.concatenate([g[0] for g in kept]).view("int16")).to(device)
    starts = torch.from_numpy(np.concatenate(([0], np.cumsum(lengths)))).to(device)
    return Encoded(tokens, starts, torch.tensor([n for g in kept for n in g[2]], device=device), members, widths)


def pair_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Returns the Bradley-Terry loss, the mean over groups of the mean over pairs of unequal worth.

    Args:
        scores: logits, (groups, candidates).
        labels: worth, (groups, candidates).
    """
    better = (labels[:, :, None] > labels[:, None, :]).float()
    losses = F.softplus(scores[:, None, :] - scores[:, :, None]) * better
    count = better.sum((1, 2))
    return (losses.sum((1, 2)) / count.clamp(min=1)).sum() / (count > 0).sum().clamp(min=1)


def new_model(seed: int, device: str) -> Any:
    """Returns a reward model with random weights, in float32."""
    from transformers import DebertaV2ForSequenceClassification

    torch.manual_seed(seed)
    model: Any = DebertaV2ForSequenceClassification(reward_config())
    layers = model.deberta.encoder.layer
    with torch.no_grad():  # small residual branches keep a post-norm stack trainable (DeepNet, arXiv:2203.00555)
        for layer in layers:
            for linear in (layer.attention.output.dense, layer.intermediate.dense, layer.output.dense):
                linear.weight *= (8 * len(layers)) ** -0.25
    return model.to(device)


def train_reward_model(
    model: Any, data: Encoded, *, epochs: float, tokens_per_step: int, rate: float, seed: int, minutes: float
) -> None:
    """Trains the model on its device.

    Args:
        model: what `new_model` returned, pretrained or not.
        data: training groups.
        epochs: how often each group is read; which `CANDIDATES` of its answers are read changes every time.
        tokens_per_step: padded tokens in one step.
        rate: peak learning rate of the last layer, the only one that is trained: see `trainer.last_layer`.
        seed: fixes order and choice.
        minutes: training ends, annealed, within this time.
    """
    device, rng = data.tokens.device, np.random.default_rng(seed)
    steps = max(1, int(epochs * len(plan_steps(data.widths, tokens_per_step, rng))))
    trainer = Trainer(model, partial(_loss, model), last_layer(model, rate), minutes, steps, worse=1.25)

    def inputs(width: int, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        answers = torch.from_numpy(_candidates(data.members[chosen], rng)).to(device, non_blocking=True)
        return data.inputs(answers.view(-1), width), data.labels[answers]

    plan = plan_steps(data.widths, tokens_per_step, rng)
    trainer.try_out(inputs(width, chosen) for width, chosen in dict(plan).items())
    recent = good = torch.zeros((), device=device)
    for step in range(1, steps + 1):
        if not trainer.begin((step - 1) / steps):
            return
        plan = plan or plan_steps(data.widths, tokens_per_step, rng)
        loss = trainer.finish(*inputs(*plan.pop()))
        recent = loss if step == 1 else 0.98 * recent + 0.02 * loss
        if step % LOOK == 0:
            recent = good = good if trainer.diverged(float(recent)) else recent
        if step % max(1, min(200, steps // 5)) == 0 or step == steps:
            print(f"[reward] step {step}/{steps} loss {float(recent):.4f}, {trainer.times()}", flush=True)


def save_reward_model(model: Any, tokenizer: Tokenizer, out: Path, report: dict[str, Any]) -> None:
    """Saves the model in bfloat16 with its tokenizer and the report of its training."""
    model.to(torch.bfloat16).save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)
    tok.save_reward(tokenizer, out, REWARD_MAX_LENGTH)
    (out / "training.json").write_text(json.dumps(report, indent=1))


@torch.inference_mode()  # type: ignore[untyped-decorator]
def score(model: Any, tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], batch: int = 256) -> list[float]:
    """Returns the logit of each (question, answer)."""
    ids = [encode_texts(tokenizer, question, [answer])[0][-REWARD_MAX_LENGTH:] for question, answer in pairs]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    scores = [0.0] * len(ids)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        width = max(len(ids[i]) for i in chosen)
        tensor = torch.tensor([ids[i] + [tok.PAD_ID] * (width - len(ids[i])) for i in chosen], device=model.device)
        logits = model(input_ids=tensor, attention_mask=tensor != tok.PAD_ID).logits.squeeze(-1).float()
        for index, value in zip(chosen, logits.tolist(), strict=True):
            scores[index] = value
    return scores


def test(model: Any, tokenizer: Tokenizer, groups: Sequence[Group]) -> dict[str, dict[str, float]]:
    """Returns `pair_accuracy` of the model on the groups."""
    scores = iter(score(model, tokenizer, [(g.question, a.text) for g in groups for a in g.answers]))
    return pair_accuracy(groups, [[next(scores) for _ in g.answers] for g in groups])


def pair_accuracy(groups: Sequence[Group], scores: Sequence[Sequence[float]]) -> dict[str, dict[str, float]]:
    """Returns the share of correctly ordered pairs of model answers, with n and standard error, by kind of pair.

    Kinds: ``wrong_vs_right``, ``sloppy_vs_clean`` (both right), ``all`` of these two, and ``family/<name>`` of them.
    ``sloppy_vs_clean_wrong`` (both wrong) is not part of ``all``: its pairs are easy and would inflate that share.
    """
    hits: dict[str, list[bool]] = defaultdict(list)
    for one, values in zip(groups, scores, strict=True):
        models = [(a.worth, s) for a, s in zip(one.answers, values, strict=True) if a.by_model]
        for better, high in models:
            for worse, low in models:
                if better <= worse:
                    continue
                if not better.right:
                    hits["sloppy_vs_clean_wrong"].append(high > low)
                    continue
                kind = "sloppy_vs_clean" if worse.right else "wrong_vs_right"
                for name in ("all", kind, f"family/{one.family}"):
                    hits[name].append(high > low)
    return {name: share(found) for name, found in sorted(hits.items())}


def share(found: Sequence[bool]) -> dict[str, float]:
    """Returns a share with n and its binomial standard error."""
    p, n = sum(found) / max(1, len(found)), len(found)
    return {"share": round(p, 4), "se": round((p * (1 - p) / max(1, n)) ** 0.5, 4), "n": n}


def _loss(model: Any, hidden: Hidden, ids: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    scores = deberta.logits(model, hidden(ids)[-1])
    loss = pair_loss(scores.view(-1, CANDIDATES), labels) + 1e-3 * scores.square().mean()
    return loss, loss.detach()


def plan_steps(
    widths: NDArray[np.int64], tokens_per_step: int, rng: np.random.Generator
) -> list[tuple[int, NDArray[np.int64]]]:
    """Returns one epoch's steps in random order: the padded length and the members (groups, say) of each.

    Args:
        widths: each member's padded length, one of `WIDTHS`.
        tokens_per_step: padded tokens in one step; a member counts as `CANDIDATES` texts.
        rng: fixes the order.
    """
    steps = []
    for width in np.unique(widths):
        members = rng.permutation(np.flatnonzero(widths == width))
        size = max(2, tokens_per_step // (int(width) * CANDIDATES))
        whole = -(-len(members) // size) * size  # filled up with repeats, so that every step has the same shape
        for part in np.resize(members, whole).reshape(-1, size):
            steps.append((int(width), part))
    return [steps[i] for i in rng.permutation(len(steps))]


def _candidates(members: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Returns `CANDIDATES` random answers of each group, (groups, candidates); small groups repeat some."""
    counts = members[:, 1] - members[:, 0]
    keys = rng.random((len(members), int(counts.max())))
    keys[np.arange(keys.shape[1])[None, :] >= counts[:, None]] = 2.0
    order = np.argsort(keys, axis=1)
    columns = np.arange(CANDIDATES)[None, :] % np.minimum(counts, keys.shape[1])[:, None]
    return members[:, :1] + np.take_along_axis(order, columns, axis=1)
