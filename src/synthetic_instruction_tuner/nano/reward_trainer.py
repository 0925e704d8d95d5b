"""How the reward model takes its steps: two optimizers, learning rates that end in time, compilation, and a guard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from synthetic_instruction_tuner.nano import deberta
from synthetic_instruction_tuner.nano.guard import Guard
from synthetic_instruction_tuner.nano.language import schedule
from synthetic_instruction_tuner.nano.muon import Muon

BETAS = (0.9, 0.98)  # of AdamW
OTHERS = 0.15  # AdamW's rate (embeddings, norms, biases, heads) to Muon's (the layers' matrices)
WARMUP = 300  # steps of linear warm-up
LOOK = 50  # steps between two looks at whether training diverges


class Trainer:
    """Takes training steps: learning rates that end in time, two optimizers, and a guard against divergence.

    Args:
        model: a reward model.
        heads: further parameters to train.
        rate: peak learning rate of the layers' matrices (Muon); the others' is `OTHERS` times that (AdamW).
        minutes: the rates are brought down, and training ends, within this time.
        steps: steps that are planned; the first `WARMUP` of them, or a tenth, warm up.
    """

    def __init__(self, model: Any, heads: list[Tensor], rate: float, minutes: float, steps: int) -> None:
        matrices = [p for p in model.deberta.encoder.layer.parameters() if p.ndim == 2]
        known = {id(p) for p in matrices}
        others = [p for p in [*model.parameters(), *heads] if id(p) not in known]
        fused = model.device.type == "cuda"
        adam = torch.optim.AdamW(others, lr=rate * OTHERS, betas=BETAS, weight_decay=0.01, fused=fused)
        self.optimizers = {Muon(matrices, rate): rate, adam: rate * OTHERS}
        self.parameters = matrices + others
        self.guard = Guard(self.parameters, list(self.optimizers))
        self.progress, self.step, self._warmup = 0.0, 0, min(WARMUP, max(1, steps // 10))
        self._began = time.perf_counter()
        self._end = self._began + 60 * minutes

    def try_out(self, losses: Iterable[Tensor]) -> None:
        """Takes gradients of losses of all shapes that will come, which compiles them.

        The schedule starts after it; the end stays where it was.
        """
        for loss in losses:
            loss.backward()
            for optimizer in self.optimizers:
                optimizer.zero_grad(set_to_none=True)
        if self.parameters[0].is_cuda:
            torch.cuda.synchronize()
        print(f"[reward] ready after {time.perf_counter() - self._began:.0f} s", flush=True)
        self._began = time.perf_counter()

    def begin(self, done: float) -> bool:
        """Sets the learning rates for the next step; False where time or work, of which this share is done, is over."""
        elapsed = time.perf_counter() - self._began
        self.progress = max(done, elapsed / max(1.0, self._end - self._began))
        warm = min(1.0, (self.step + 1) / self._warmup)
        for optimizer, rate in self.optimizers.items():
            for settings in optimizer.param_groups:
                settings["lr"] = rate * self.guard.factor * schedule(self.progress) * warm
        return self.progress < 1

    def finish(self, loss: Tensor) -> None:
        """Takes the step down this loss."""
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1

    def diverged(self, loss: float) -> bool:
        """Whether training fell apart by this smoothed loss; it then goes on from its best state at half the rate."""
        if not self.guard.look(loss):
            return False
        print(f"[reward] step {self.step}: diverged, back to loss {self.guard.best:.4f} at half the rate", flush=True)
        return True

    def times(self) -> str:
        """Returns the seconds spent, and those left, as a text."""
        spent = time.perf_counter() - self._began
        return f"{spent:.0f} s, ETA {spent * (1 - self.progress) / max(self.progress, 1e-6):.0f} s"


def compiled(loss: Callable[..., Any], model: Any) -> Callable[..., Any]:
    """Returns a loss function of ``(places, *rest)`` as one of ``(*rest)``: in bfloat16 and compiled on a GPU.

    Args:
        loss: takes what `deberta.places` returns for its texts' length, then its data, token ids first.
        model: the reward model in it.
    """
    device, cuda = model.device, model.device.type == "cuda"
    if cuda:
        torch._dynamo.config.recompile_limit = 64
        torch._dynamo.config.suppress_errors = True  # whatever the compiler trips over, plain PyTorch computes the same

    def plain(*rest: Any) -> Any:
        return loss(*rest)

    function = torch.compile(plain, dynamic=False) if cuda else plain
    known: dict[int, Tensor] = {}

    def of(*rest: Any) -> Any:
        length = rest[0].shape[1]
        if length not in known:
            known[length] = deberta.places(model.config, length, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
            return function(known[length], *rest)

    return of
