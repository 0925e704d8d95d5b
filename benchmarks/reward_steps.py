"""Measures how long the reward model's training steps take, and how much of that the device computes.

    python benchmarks/reward_steps.py [--device cuda] [--steps 60] [--exchanges 20000]

Prints milliseconds per step for each padded length of the training on groups, and for pretraining as it really runs
(with texts corrupted between steps). Also prints the lower bound: the time that the matrix products of one step need at
the measured speed of a large one. On a GPU it also trains twice from the same weights, with and without compiled layers
and graphs, and prints how much the losses differ.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from synthetic_instruction_tuner import nano
from synthetic_instruction_tuner.nano.training import tokenizer as tok
from synthetic_instruction_tuner.nano.training.reward import pretraining as reward_pretraining
from synthetic_instruction_tuner.nano.training.reward import ranking
from synthetic_instruction_tuner.nano.training.reward import trainer as reward_trainer
from synthetic_instruction_tuner.nano.training.reward.exchanges import make_exchanges
from synthetic_instruction_tuner.nano.training.reward.phase import WRITER
from synthetic_instruction_tuner.nano.training.sampling import load_model


def groups(width: int, count: int, device: str) -> ranking.Encoded:
    """Returns groups of ten random answers of nearly this length."""
    rng, found = np.random.default_rng(0), []
    for _ in range(count):
        lengths = [width, *(int(n) for n in rng.integers(0.7 * width, width + 1, 9))]
        labels = [0, 3, *(int(n) for n in rng.integers(0, 4, 8))]
        found.append((rng.integers(8, tok.VOCABULARY, sum(lengths)).astype(np.uint16), lengths, labels))
    return ranking.encode_groups(found, device)


def timed(step: Callable[[], object], steps: int, device: str) -> float:
    """Returns milliseconds per step."""

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    for _ in range(5):
        step()
    wait()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    wait()
    return (time.perf_counter() - began) / steps * 1e3


def floor(width: int, tokens: int, device: str) -> float:
    """Returns milliseconds for one step's matrix products: all layers forward, twice that backward for the last one."""
    config = ranking.reward_config()
    hidden, mlp = config.hidden_size, config.intermediate_size
    per_layer = 2 * (4 * hidden**2 + 2 * hidden * mlp + 3 * width * hidden)
    per_token = (config.num_hidden_layers + 2) * per_layer
    rows = 4096 if device == "cuda" else 1024
    one = torch.randn(rows, rows, device=device, dtype=torch.bfloat16 if device == "cuda" else torch.float32)
    flops = 2 * rows**3
    seconds = timed(lambda: one @ one.T, 20, device) / 1e3
    return per_token * tokens / (flops / seconds) * 1e3


def losses(fast: bool, steps: int, tokens: int) -> list[float]:
    """Returns the losses of some steps from the same weights, on texts of two lengths in turns."""
    trainer, rng = trainer_of("cuda", fast, whole=True), np.random.default_rng(1)
    known = [(w, tokens // (w * ranking.CANDIDATES)) for w in (96, 128)]
    data = [(width, size, groups(width, 2 * size, "cuda")) for width, size in known]
    found = []
    for step in range(steps):
        width, size, its = data[step % 2]
        trainer.begin(0.0)
        answers = torch.from_numpy(ranking._candidates(its.members[:size], rng)).cuda()
        found.append(float(trainer.finish(its.inputs(answers.view(-1), width), its.labels[answers])))
    return found


def trainer_of(device: str, fast: bool = True, whole: bool = False) -> reward_trainer.Trainer:
    """Returns a trainer of a new model on groups, of its last layer or of the whole model."""
    model = ranking.new_model(0, device)
    optimizers = reward_trainer.all_layers(model, [], 0.001) if whole else reward_trainer.last_layer(model, 0.001)
    return reward_trainer.Trainer(model, partial(ranking._loss, model), optimizers, 10, 1000, fast=fast)


def measure(width: int, tokens: int, steps: int, device: str) -> None:
    """Prints what a step on texts of this length takes."""
    size = tokens // (width * ranking.CANDIDATES)
    data, trainer, rng = groups(width, 2 * size, device), trainer_of(device), np.random.default_rng(0)

    def inputs() -> tuple[torch.Tensor, torch.Tensor]:
        answers = torch.from_numpy(ranking._candidates(data.members[:size], rng)).to(device, non_blocking=True)
        return data.inputs(answers.view(-1), width), data.labels[answers]

    def step() -> None:
        trainer.begin(0.1)
        trainer.finish(*inputs())

    trainer.try_out([inputs()])
    whole, gradients = (timed(f, steps, device) for f in (step, lambda: trainer._gradients(*inputs())))
    print(
        f"width {width}: {whole:.2f} ms per step, gradients {gradients:.2f} ms,"
        f" floor {floor(width, tokens, device):.2f} ms",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--tokens", type=int, help="padded tokens per step")
    parser.add_argument("--exchanges", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    device = options.device
    tokens = options.tokens or (32_768 if device == "cuda" else 4_096)
    for width in ranking.WIDTHS:
        measure(width, tokens, options.steps, device)
    if device == "cuda":
        fast, plain = (np.array(losses(how, 60, tokens)) for how in (True, False))
        apart = np.abs(fast - plain).max()
        print(f"losses {fast[0]:.4f} to {fast[-1]:.4f}; compiled and replayed, or kernel by kernel: {apart:.5f} apart")
    file = str(nano.path("generator") / "tokenizer.json")
    data = make_exchanges(options.exchanges, file, options.workers, 0, device)
    writer, model = load_model(nano.path(WRITER), device), ranking.new_model(0, device)
    began = time.perf_counter()
    reward_pretraining.pretrain(model, writer, data, tokens_per_step=tokens, rate=0.002, seed=0, minutes=0.5)
    print(f"pretraining: {time.perf_counter() - began:.1f} s in all; its lines above tell seconds and steps")


if __name__ == "__main__":
    main()
