"""How the reward model takes its steps: two optimizers, learning rates that end in time, CUDA graphs, and a guard."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from synthetic_instruction_tuner.nano import deberta
from synthetic_instruction_tuner.nano.gradients import Gradients, Graph
from synthetic_instruction_tuner.nano.guard import Guard
from synthetic_instruction_tuner.nano.language import schedule
from synthetic_instruction_tuner.nano.muon import Muon

Hidden = Callable[[Tensor], Tensor]  # from token ids, (texts, length), to hidden states, (texts, length, hidden size)

BETAS = (0.9, 0.98)  # of AdamW
OTHERS = 0.15  # AdamW's rate (embeddings, norms, biases, heads) to Muon's (the layers' matrices)
WARMUP = 300  # steps of linear warm-up
LOOK = 50  # steps between two looks at whether training diverges
DECAY, QUERY_KEY_DECAY = 0.1, 0.5  # of the layers' matrices; those of queries and keys multiply each other's growth
EAGER = 2  # updates before they are captured: optimizers make their state at the first one


class Trainer:
    """Takes training steps: learning rates that end in time, two optimizers, and a guard against divergence.

    Args:
        model: a reward model.
        loss: returns the loss and a report, detached, of a way to compute hidden states and a step's inputs.
        heads: further parameters to train.
        rate: peak learning rate of the layers' matrices (Muon); the others' is `OTHERS` times that (AdamW).
        minutes: the rates are brought down, and training ends, within this time.
        steps: steps that are planned; the first `WARMUP` of them, or a tenth, warm up.
        worse: training has diverged where the smoothed loss is so many times its best.
        fast: on a GPU, compile the layers and replay CUDA graphs; False is for comparing.
    """

    def __init__(
        self,
        model: Any,
        loss: Callable[..., tuple[Tensor, Tensor]],
        heads: list[Tensor],
        rate: float,
        minutes: float,
        steps: int,
        worse: float = 1.5,
        fast: bool = True,
    ) -> None:
        layers = model.deberta.encoder.layer
        matrices = [p for p in layers.parameters() if p.ndim == 2]
        self._attending = [
            m.weight for one in layers for m in (one.attention.self.query_proj, one.attention.self.key_proj)
        ]
        known = {id(p) for p in matrices}
        others = [p for p in [*model.parameters(), *heads] if id(p) not in known]
        self.parameters = matrices + others
        self.optimizers = _optimizers(matrices, self._attending, others, rate)
        self.guard = Guard(self.parameters, list(self.optimizers), worse)
        self.progress, self.step, self._warmup = 0.0, 0, min(WARMUP, max(1, steps // 10))
        self._graphs = fast and model.device.type == "cuda"
        self._update_graph: Graph | None = None
        self._gradients = Gradients(_on_device(loss, model, fast), self.parameters, self._graphs)
        self._began = time.perf_counter()
        self._end = self._began + 60 * minutes

    def try_out(self, batches: Iterable[Sequence[Tensor]]) -> None:
        """Takes gradients of inputs of all shapes that will come, which on a GPU compiles and captures them.

        The schedule starts after it; the end stays where it was.
        """
        for inputs in batches:
            self._gradients(*inputs)
        if self._graphs:
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
                settings["lr"].fill_(rate * self.guard.factor * schedule(self.progress) * warm)
        return self.progress < 1

    def finish(self, *inputs: Tensor) -> Tensor:
        """Takes the step down the loss of these inputs, and returns its report."""
        report = self._gradients(*inputs)
        if self._graphs and self._update_graph is None and self.step >= EAGER:
            self._update_graph = Graph(self._update, warm_ups=0)
        if self._update_graph:
            self._update_graph.replay()
        else:
            self._update()
        self.step += 1
        return report

    def diverged(self, loss: float) -> bool:
        """Whether training fell apart by this smoothed loss; it then goes on from its best state at half the rate."""
        if not self.guard.look(loss):
            return False
        print(f"[reward] step {self.step}: diverged, back to loss {self.guard.best:.4f} at half the rate", flush=True)
        return True

    def times(self) -> str:
        """Returns how large queries and keys can get, the seconds spent, and those left, as a text.

        The first is the largest singular value of their matrices; above 3 or so, attention is all or nothing.
        """
        spent = time.perf_counter() - self._began
        largest = float(torch.linalg.matrix_norm(torch.stack(self._attending).detach(), 2).max())
        left = spent * (1 - self.progress) / max(self.progress, 1e-6)
        return f"queries and keys up to {largest:.1f}, {spent:.0f} s, ETA {left:.0f} s"

    def _update(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()


def _optimizers(
    matrices: list[Tensor], attending: list[Tensor], others: list[Tensor], rate: float
) -> dict[torch.optim.Optimizer, float]:
    """Returns the optimizers with their peak rates; the present rates are tensors, which a CUDA graph reads anew."""
    device, cuda = matrices[0].device, matrices[0].is_cuda
    one, two = (torch.tensor(rate * factor, device=device) for factor in (1.0, OTHERS))
    adam = torch.optim.AdamW(others, lr=two, betas=BETAS, weight_decay=0.01, fused=cuda, capturable=cuda)
    if cuda:
        warnings.filterwarnings("ignore", message=".*capturable=True, but step\\(\\) is running without.*")
    known = {id(p) for p in attending}
    groups = [
        {"params": attending, "weight_decay": QUERY_KEY_DECAY},
        {"params": [m for m in matrices if id(m) not in known], "weight_decay": DECAY},
    ]
    return {Muon(groups, one): rate, adam: rate * OTHERS}


def _on_device(
    loss: Callable[..., tuple[Tensor, Tensor]], model: Any, fast: bool
) -> Callable[..., tuple[Tensor, Tensor]]:
    """Returns a loss of (hidden, *inputs) as one of (*inputs): on a GPU in bfloat16, with layers that are compiled."""
    device, cuda = model.device, model.device.type == "cuda"
    block = deberta.block
    if cuda:
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = (
            False  # some sums here are 65,536 terms long
        )
    if cuda and fast:
        torch._dynamo.config.recompile_limit = 64
        torch._dynamo.config.suppress_errors = True  # whatever the compiler trips over, plain PyTorch computes the same
        block = torch.compile(deberta.block, dynamic=False)
    known: dict[int, Tensor] = {}

    def hidden(ids: Tensor) -> Tensor:
        length = ids.shape[1]
        if length not in known:
            known[length] = deberta.places(model.config, length, device)
        return deberta.hidden_states(model, ids, known[length], block)

    def of(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
            return loss(hidden, *inputs)

    return of
