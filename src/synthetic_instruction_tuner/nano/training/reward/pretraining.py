"""Pretraining of the reward model: which tokens are masked in this answer, and which were replaced?

A label for a whole answer says too little for a tiny model to learn what makes an answer wrong. So it first learns what
right answers look like. It fills in masked tokens (as BERT does), and it detects which tokens a small language model
has replaced with likely others (ELECTRA's task, Clark et al. 2020, arXiv:2003.10555, which also pretrained DeBERTa-v3,
He et al. 2021, arXiv:2111.09543). Meanwhile its logit learns to rank the intact answer above those with replaced
tokens. The token predictions are made one layer below the last, which gathers them into the logit. No checker's label
is used.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from synthetic_instruction_tuner.nano.training import tokenizer as tok
from synthetic_instruction_tuner.nano.training.forward import hidden_states, rotations
from synthetic_instruction_tuner.nano.training.reward import deberta, ranking
from synthetic_instruction_tuner.nano.training.reward.exchanges import Exchanges
from synthetic_instruction_tuner.nano.training.reward.trainer import LOOK, Hidden, Trainer, all_layers

SCORED = 3  # versions of an answer in a step: the intact one, one with a single replaced token, one with several
MASKED = 2  # further versions of it, with some tokens masked
HEAVY = (0.05, 0.25)  # share of replaced tokens if there are several, drawn anew for each answer
MASKS = (0.1, 0.6)  # share of masked tokens, likewise
MASK_ID = tok.USER_ID  # marks a masked token: the reward model reads no role tokens
COPIED = 0.25  # share of replacements that come from elsewhere in the same text, as when a model mixes things up
TOKEN_WEIGHT = 5.0  # weight of the loss per token, relative to those per pair and per masked token
PASSES = 8  # over the exchanges; replaced and masked tokens are drawn anew each time
TOGETHER = 16  # steps whose texts are spoiled at once
SHUFFLED = 96  # blocks whose steps are shuffled together, so that their widths mix
IGNORED = -100  # as a target: the token is not masked


class Step(NamedTuple):
    """What one step reads.

    Attributes:
        ids: (items * (SCORED + MASKED), width), version after version.
        answer: where an answer's tokens are, for the scored versions: (items * SCORED, width).
        replaced: where tokens were replaced, of the same shape.
        target: the masked versions' tokens where they are masked, else `IGNORED`: (items * MASKED, width).
    """

    ids: Tensor
    answer: Tensor
    replaced: Tensor
    target: Tensor


def pretrain(
    model: Any, writer: Any, data: Exchanges, *, tokens_per_step: int, rate: float, seed: int, minutes: float
) -> None:
    """Trains the model in place, for `PASSES` over the exchanges or until the minutes are over.

    Args:
        model: what `ranking.new_model` returned.
        writer: a small language model, as `sampling.load_model` returns it, that proposes replacements.
        data: the exchanges that it reads.
        tokens_per_step: padded tokens in one step.
        rate: peak learning rate of the layers' matrices, under Muon.
        seed: fixes order, replacements and masks.
        minutes: training ends, annealed, within this time.
    """
    torch.manual_seed(seed)
    heads = Heads(model).to(model.device)
    rng, generator = np.random.default_rng(seed), torch.Generator(device=model.device).manual_seed(seed)
    size = tokens_per_step * ranking.CANDIDATES // (SCORED + MASKED)
    plan = [step for _ in range(PASSES) for step in plan_blocks(data.widths, size, rng)]
    steps, step = sum(len(items) for _, items in plan), 0
    optimizers = all_layers(model, [*heads.parameters()], rate)
    trainer = Trainer(model, partial(_loss, model, heads), optimizers, minutes, steps)
    first = [_block(writer, data, items[:1], width, generator)[0] for width, items in dict(plan).items()]
    trainer.try_out(first)
    recent = good = torch.zeros(4, device=model.device)
    for begin in range(0, len(plan), SHUFFLED):
        ready = [
            one
            for width, items in plan[begin : begin + SHUFFLED]
            for one in _block(writer, data, items, width, generator)
        ]
        for place in rng.permutation(len(ready)):
            if not trainer.begin(step / steps):
                return
            now = trainer.finish(*ready[place])
            step += 1
            recent = now if step == 1 else 0.98 * recent + 0.02 * now
            if step % LOOK == 0:
                loss_now = float(TOKEN_WEIGHT * recent[0] + recent[1] + recent[3])
                recent = good = good if trainer.diverged(loss_now) else recent
            if step % max(1, min(500, steps // 5)) == 0 or step == steps:
                _report(step, steps, recent.tolist(), trainer)


class Heads(nn.Module):  # type: ignore[misc]
    """The heads of pretraining: they detect replaced tokens, and predict masked ones with the embedding matrix."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        size = model.config.hidden_size
        self.replaced = nn.Linear(size, 1)
        self.transform = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.LayerNorm(size))
        self.bias = nn.Parameter(torch.zeros(model.config.vocab_size))

    def spell(self, model: Any, states: Tensor) -> Tensor:
        """Returns logits over the vocabulary, (..., vocabulary)."""
        return F.linear(self.transform(states), model.deberta.embeddings.word_embeddings.weight, self.bias)


def _loss(
    model: Any, heads: Heads, hidden: Hidden, ids: Tensor, answer: Tensor, replaced: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the loss of a `Step`, and a report: loss per token, loss per pair, pairs right, loss per masked token.

    ``hidden`` computes hidden states; the other tensors are those of the step.
    """
    scored = len(answer)
    *_, states, last = hidden(ids)  # the last layer gathers what is known about the tokens into the score
    found = heads.replaced(states[:scored]).squeeze(-1).float()
    by_token = F.binary_cross_entropy_with_logits(found, replaced.float(), reduction="none")
    token = (by_token * answer).sum() / answer.sum()
    scores = deberta.logits(model, last[:scored]).view(SCORED, -1)
    pair = F.softplus(scores[1:] - scores[:1]).mean()
    spelled = heads.spell(model, states[scored:]).float().flatten(0, 1)
    masked = F.cross_entropy(spelled, target.flatten(), ignore_index=IGNORED)
    right = (scores[:1] > scores[1:]).float().mean()
    loss = TOKEN_WEIGHT * token + pair + masked + 1e-3 * scores.square().mean()
    return loss, torch.stack((token, pair, right, masked)).detach()


def spoiled(
    writer: Any, data: Exchanges, items: Tensor, width: int, shares: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Returns the exchanges with some tokens of each answer replaced, and where.

    Args:
        writer: the language model that proposes tokens.
        data: all exchanges.
        items: which of them.
        width: padded length.
        shares: for each item, the share of its answer's tokens to replace, besides the one that is always replaced.
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


def plan_blocks(widths: NDArray[np.int64], size: int, rng: np.random.Generator) -> list[tuple[int, NDArray[np.int64]]]:
    """Returns one pass over the exchanges as blocks of `TOGETHER` steps or fewer: width, and items, (steps, items).

    Args:
        widths: each exchange's padded length.
        size: as the ``tokens_per_step`` of `ranking.plan_steps`, where an item counts as `ranking.CANDIDATES` texts.
        rng: fixes the order.
    """
    steps: dict[int, list[NDArray[np.int64]]] = defaultdict(list)
    for width, items in ranking.plan_steps(widths, size, rng):
        steps[width].append(items)
    blocks = [
        (width, np.stack(found[i : i + TOGETHER]))
        for width, found in steps.items()
        for i in range(0, len(found), TOGETHER)
    ]
    return [blocks[i] for i in rng.permutation(len(blocks))]


@torch.no_grad()  # type: ignore[untyped-decorator]
def _block(
    writer: Any, data: Exchanges, items: NDArray[np.int64], width: int, generator: torch.Generator
) -> list[Step]:
    """Returns a block's steps, all versions of their texts made at once."""
    steps, size = items.shape
    chosen = torch.from_numpy(items.reshape(-1)).to(generator.device)
    intact, answer = data.rows(data.questions, chosen, width)
    low, high = HEAVY
    shares = low + (high - low) * torch.rand(len(chosen), generator=generator, device=generator.device)
    light, one = spoiled(writer, data, chosen, width, torch.zeros_like(shares), generator)
    heavy, several = spoiled(writer, data, chosen, width, shares, generator)
    masks = [masked(answer, generator) for _ in range(MASKED)]
    versions = torch.stack((intact, light, heavy, *(intact.masked_fill(mask, MASK_ID) for mask in masks)))
    replaced = torch.stack((torch.zeros_like(answer), one, several))
    target = torch.stack([torch.where(mask, intact, IGNORED) for mask in masks])

    def of(texts: Tensor) -> list[Tensor]:  # (versions, steps * size, width) to (versions * size, width) for each step
        cut = texts.view(len(texts), steps, size, width).transpose(0, 1)
        return list(cut.reshape(steps, len(texts) * size, width).unbind())

    places = of(answer.expand(SCORED, -1, -1))
    return [Step(*parts) for parts in zip(of(versions), places, of(replaced), of(target), strict=True)]


def masked(answer: Tensor, generator: torch.Generator) -> Tensor:
    """Returns which tokens of the answers, (items, width), are masked: a share within `MASKS` of each."""
    low, high = MASKS
    shares = low + (high - low) * torch.rand(len(answer), 1, generator=generator, device=answer.device)
    return answer & (torch.rand(answer.shape, generator=generator, device=answer.device) < shares)


def _report(step: int, steps: int, recent: list[float], trainer: Trainer) -> None:
    token, pair, right, spelled = recent
    print(
        f"[reward] pretraining: step {step}/{steps}, loss {token:.4f} per token, {pair:.4f} per pair, "
        f"{spelled:.4f} per masked token, {right:.3f} of pairs right, {trainer.times()}",
        flush=True,
    )
