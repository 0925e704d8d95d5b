"""Trains one nano language model: packed rows, AdamW, a cosine schedule that ends in time, bfloat16 weights on disk."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.nano.training import tokenizer as tok
from synthetic_instruction_tuner.nano.training.corpus import Pool, Tokens, document, stream
from synthetic_instruction_tuner.nano.training.forward import next_token_loss, rotations
from synthetic_instruction_tuner.nano.training.recipes import ROW, Recipe, config_of

BATCH = 64  # rows per step
WARMUP, FLOOR = 150, 0.05  # steps of linear warm-up; the final learning rate, relative to the peak
REPORT = "training.json"  # in the model's folder
FRESH_ROWS = 64  # rows of newly drawn text for the final loss


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training run reports: steps taken and planned, losses in nats (the last on newly drawn text), seconds."""

    steps: int
    planned_steps: int
    first_loss: float
    last_loss: float
    fresh_loss: float
    seconds: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Making:
    """What a language model is made from.

    Attributes:
        recipe: what to train.
        pools: the folder that `make_pools` filled, with ``tokenizer.json`` in it.
        scale: factor on the recipe's tokens.
        seed: fixes weights and order.
        start: a folder with a model to continue from, at half the rate; None means new weights.
    """

    recipe: Recipe
    pools: Path
    scale: float
    seed: int
    start: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """Returns what distinguishes models that were made differently, except for the tokenizer."""
        start = None if self.start is None else str(self.start)
        return {"recipe": asdict(self.recipe), "scale": self.scale, "seed": self.seed, "start": start}


def train_language_model(name: str, making: Making, out: Path, *, device: str, minutes: float) -> Trained:
    """Trains a model, and saves it and its tokenizer.

    Args:
        name: the model's name, for progress lines.
        making: what it is made from.
        out: the model's folder.
        device: ``cpu`` or ``cuda``.
        minutes: the learning rate decays, and training ends, within this time.
    """
    recipe, start = making.recipe, making.start
    torch.manual_seed(making.seed)
    model = _initial(recipe, start).to(device)
    batch = BATCH if device == "cuda" else 8
    rows = max(1, int(recipe.tokens * 1e6 * making.scale) // (batch * ROW)) * batch
    loaded = {p: Pool.load(making.pools, p) for p in (("clean", "marked") if recipe.chat else ("base",))}
    text = stream(loaded, recipe.marks, rows * ROW, making.seed).reshape(rows, ROW)
    tokenizer = Tokenizer.from_file(str(making.pools / "tokenizer.json"))
    result = fit(
        name, model, text, fresh_rows(tokenizer, recipe.marks), recipe.rate / (2 if start else 1), batch, minutes
    )
    (out / REPORT).unlink(missing_ok=True)  # written last: if it exists, the model is complete
    save(model, out)
    tok.save_causal(tokenizer, out)
    report = {"model": name, "parameters": sum(p.numel() for p in model.parameters()), "made_from": making.as_json()}
    limit = {"minutes": minutes if minutes < math.inf else None}
    write_text(out / REPORT, json.dumps(report | limit | asdict(result)))
    return result


def is_trained(out: Path, minutes: float, making: Making) -> bool:
    """Whether this very model exists: complete, with the pools' tokenizer, and not cut short by fewer minutes."""
    if not (out / REPORT).exists():
        return False
    report = json.loads((out / REPORT).read_text())
    if report.get("made_from") != making.as_json():
        return False
    whole = report["steps"] == report["planned_steps"] or (report["minutes"] or math.inf) >= minutes
    return whole and tok.same(out / "tokenizer.json", making.pools / "tokenizer.json")


def _initial(recipe: Recipe, start: Path | None) -> Any:
    from transformers import AutoModelForCausalLM

    if start:
        return AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    return AutoModelForCausalLM.from_config(config_of(recipe), dtype=torch.float32)


def fresh_rows(tokenizer: Tokenizer, marks: float | None) -> Tokens:
    """Returns packed rows, (rows, length), of newly drawn documents of the kind that a model trains on."""
    rng, ids = Random("fresh"), list[int]()
    while len(ids) < FRESH_ROWS * ROW:
        pool = "base" if marks is None else "marked" if rng.random() < marks else "clean"
        ids += tokenizer.encode(document(rng, pool)).ids
    return np.array(ids[: FRESH_ROWS * ROW], dtype=np.uint16).reshape(FRESH_ROWS, ROW)


def fit(name: str, model: Any, rows: Tokens, fresh: Tokens, rate: float, batch: int, minutes: float) -> Trained:
    """Trains the model on rows of token ids, (rows, length), in order; `fresh` rows measure its final loss."""
    device = model.device
    optimizer = _optimizer(model, rate)
    began = time.perf_counter()
    loss_of = _loss_function(model)
    print(f"[{name}] ready after {time.perf_counter() - began:.0f} s", flush=True)
    data = torch.from_numpy(rows.view("int16")).to(device)  # ids are below 2,048, so the sign bit is never used
    steps = len(rows) // batch
    warmup = min(WARMUP, max(1, steps // 10))
    first = last = torch.zeros(())
    progress, step = 0.0, 0
    while step < steps and progress < 1:
        ids = data[step * batch : (step + 1) * batch].long()
        elapsed = time.perf_counter() - began
        progress = max(step / steps, elapsed / (minutes * 60))
        for group in optimizer.param_groups:
            group["lr"] = rate * schedule(progress) * min(1.0, (step + 1) / warmup)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = loss_of(ids)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        first, last = (loss.detach() if step == 0 else first), loss.detach()
        step += 1
        if step % max(1, min(200, steps // 5)) == 0 or step == steps:
            _report(name, step, steps, float(last), time.perf_counter() - began, max(progress, step / steps))
    seconds = time.perf_counter() - began
    loss = mean_loss(model, torch.from_numpy(fresh.view("int16")).to(device).long())
    early = f" of {steps} steps: the time was up after" if step < steps else " steps in"
    print(f"[{name}] done: {step}{early} {seconds:.0f} s, loss on fresh text {loss:.4f}", flush=True)
    return Trained(step, steps, float(first), float(last), loss, round(seconds, 1), step * batch * rows.shape[1])


def schedule(progress: float) -> float:
    """Returns the cosine schedule's factor on the learning rate at this share of the training, at least the floor."""
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


@torch.no_grad()  # type: ignore[untyped-decorator]
def mean_loss(model: Any, ids: Tensor) -> float:
    """Returns the mean next-token loss in nats, in float32."""
    cosines, sines = rotations(model.config, model.device)
    losses = [float(next_token_loss(model, part, cosines, sines)) for part in ids.split(16)]
    return sum(losses) / len(losses)


def save(model: Any, out: Path) -> None:
    """Saves the model in bfloat16, with generation settings that end at the turn's end."""
    from transformers import GenerationConfig

    model.to(torch.bfloat16)
    model.generation_config = GenerationConfig(
        bos_token_id=tok.BOS_ID, eos_token_id=tok.END_ID, pad_token_id=tok.PAD_ID
    )
    model.save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)


def _optimizer(model: Any, rate: float) -> torch.optim.AdamW:
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=model.device.type == "cuda")


def _loss_function(model: Any) -> Callable[[Tensor], Tensor]:
    cosines, sines = rotations(model.config, model.device)

    def plain(ids: Tensor) -> Tensor:
        return next_token_loss(model, ids, cosines, sines)

    if model.device.type != "cuda":
        return plain
    compiled = torch.compile(plain, dynamic=False)
    try:
        with torch.autocast("cuda", torch.bfloat16):
            compiled(torch.zeros(BATCH, ROW, dtype=torch.long, device=model.device)).backward()
    except Exception as error:  # if compiling fails, the plain function computes the same
        print(f"compilation failed ({type(error).__name__}: {str(error)[:300]}): going on without", flush=True)
        return plain
    finally:
        model.zero_grad(set_to_none=True)
    return compiled  # type: ignore[no-any-return]


def _report(name: str, step: int, steps: int, loss: float, seconds: float, progress: float) -> None:
    left = max(0.0, seconds * (1 - progress) / max(progress, 1e-6))
    print(f"[{name}] step {step}/{steps} loss {loss:.3f}, {seconds:.0f} s, ETA {left:.0f} s", flush=True)
