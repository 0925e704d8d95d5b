"""Fast batched sampling from one nano model, for labelling and measuring (the pipeline itself uses the engines)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from synthetic_instruction_tuner.nano.training import tokenizer as tok
from synthetic_instruction_tuner.nano.training.forward import Cache, hidden_states, rotations


def load_model(folder: Path, device: str) -> Any:
    """Returns a saved language model for sampling: float32 on a CPU (bfloat16 is slow there), else bfloat16."""
    from transformers import AutoModelForCausalLM

    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(device).eval()


@torch.inference_mode()  # type: ignore[untyped-decorator]
def sample(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    temperature: float,
    seed: int,
    max_new_tokens: int = 200,
    batch: int = 2048,
) -> list[tuple[list[int], bool]]:
    """Returns for each prompt the sampled tokens without the end token, and whether the end token came.

    Args:
        model: a causal model as `load_model` returns it.
        prompts: token ids; together with `max_new_tokens` they must fit into the model's positions.
        temperature: 0 is greedy decoding.
        seed: fixes the draws for the given prompts and batch size.
        max_new_tokens: the most tokens to sample per prompt.
        batch: prompts decoded at once.
    """
    generator = torch.Generator(device=model.device).manual_seed(seed)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))  # equal lengths together, for little padding
    results: list[tuple[list[int], bool]] = [([], False)] * len(prompts)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        answers = _sample_batch(model, [prompts[i] for i in chosen], temperature, generator, max_new_tokens)
        for index, answer in zip(chosen, answers, strict=True):
            results[index] = answer
    return results


def _sample_batch(
    model: Any, prompts: list[Sequence[int]], temperature: float, generator: torch.Generator, limit: int
) -> list[tuple[list[int], bool]]:
    device, width = model.device, max(len(p) for p in prompts)
    limit = min(limit, model.config.max_position_embeddings - width)
    ids = torch.tensor([[tok.PAD_ID] * (width - len(p)) + list(p) for p in prompts], device=device)
    pads = torch.tensor([width - len(p) for p in prompts], device=device)
    cosines, sines = rotations(model.config, device)
    cache = Cache(model.config, len(prompts), width + limit, device, model.dtype)
    rows = torch.arange(len(prompts), device=device)  # which prompt each row of the shrinking batch is
    written = torch.full((len(prompts), limit), tok.PAD_ID, device=device)
    done = torch.zeros(len(prompts), dtype=torch.bool, device=device)

    columns = torch.arange(width + limit, device=device)
    seen = columns[None, :width] >= pads[:, None]
    mask = seen[:, None, None, :] & (columns[:width, None] >= columns[None, :width])
    mask = mask | torch.eye(width, dtype=torch.bool, device=device)  # a padded query sees itself, or it would be NaN
    positions = (columns[None, :width] - pads[:, None]).clamp(min=0)
    states = hidden_states(model, ids, cosines[positions][:, None], sines[positions][:, None], cache, mask)
    for step in range(limit):
        tokens = _draw(F.linear(states[:, -1], model.model.embed_tokens.weight), temperature, generator)
        tokens = torch.where(done, tok.PAD_ID, tokens)
        written[rows, step] = tokens
        done = done | (tokens == tok.END_ID)
        if step % 8 == 7 or step == limit - 1:  # reading the device's values waits for it, so not at every step
            if bool(done.all()):
                break
            alive = (~done).nonzero().squeeze(1)
            if len(alive) < 0.7 * len(rows):
                cache.keep(alive)
                rows, pads, tokens, done = rows[alive], pads[alive], tokens[alive], done[alive]
        if step == limit - 1:
            break
        places = (width + step) - pads
        mask = (columns[None, : width + step + 1] >= pads[:, None])[:, None, None, :]
        states = hidden_states(
            model, tokens[:, None], cosines[places][:, None, None], sines[places][:, None, None], cache, mask
        )
    return [_cut(row) for row in written.tolist()]


def _draw(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    logits = logits.float()
    logits[:, tok.PAD_ID] = -torch.inf
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator).squeeze(1)


def _cut(row: list[int]) -> tuple[list[int], bool]:
    ended = tok.END_ID in row
    return (row[: row.index(tok.END_ID)] if ended else [i for i in row if i != tok.PAD_ID]), ended
