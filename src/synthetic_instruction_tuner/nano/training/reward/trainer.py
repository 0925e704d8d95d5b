"""How the reward model takes its steps: optimizers, learning rates that end in time, CUDA graphs, and a guard."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from synthetic_instruction_tuner.nano.training.language import schedule
from synthetic_instruction_tuner.nano.training.reward import deberta
from synthetic_instruction_tuner.nano.training.reward.gradients import Gradients, Graph
from synthetic_instruction_tuner.nano.training.reward.guard import Guard
from synthetic_instruction_tuner.nano.training.reward.muon import Muon

# From token ids, (texts, length), to the hidden states after each layer, each (texts, length, hidden size).
Hidden = Callable[[Tensor], list[Tensor]]

BETAS = (0.9, 0.98)  # of AdamW
OTHERS = 0.15  # AdamW's rate (embeddings, norms, biases, heads) to Muon's (the layers' matrices)
WARMUP = 300  # steps of linear warm-up
LOOK = 50  # steps between two checks for divergence
DECAY, QUERY_KEY_DECAY = 0.1, 0.5  # of the layers' matrices; queries and keys multiply each other's growth
EAGER = 2  # updates before they are captured: optimizers make their state at the first one


class Trainer:
    """Takes training steps: learning rates that end in time, and a guard against divergence.

    Args:
        model: a reward model.
        loss: returns the loss and a report, detached, of a way to compute hidden states and a step's inputs.
        optimizers: train parameters, each with its peak learning rate: `all_layers` or `last_layer`.
        minutes: the rates decay, and training ends, within this time.
        steps: planned steps; the first `WARMUP` of them, or a tenth, are for warming up.
        worse: training has diverged if the smoothed loss is this many times its best.
        fast: on a GPU, compile the layers and replay CUDA graphs; False is for comparison.
    """

    def __init__(
        self,
        model: Any,
        loss: Callable[..., tuple[Tensor, Tensor]],
        optimizers: dict[torch.optim.Optimizer, float],
        minutes: float,
        steps: int,
        worse: float = 1.5,
        fast: bool = True,
    ) -> None:
        self._attending = [matrix for matrix in _attending(model) if matrix.requires_grad]
        self.optimizers = optimizers
        self.parameters = [p for one in optimizers for group in one.param_groups for p in group["params"]]
        self.guard = Guard(self.parameters, list(self.optimizers), worse)
        self.progress, self.step, self._warmup = 0.0, 0, min(WARMUP, max(1, steps // 10))
        self._graphs = fast and model.device.type == "cuda"
        self._update_graph: Graph | None = None
        self._gradients = Gradients(_on_device(loss, model, fast), self.parameters, self._graphs)
        self._began = time.perf_counter()
        self._end = self._began + 60 * minutes

    def try_out(self, batches: Iterable[Sequence[Tensor]]) -> None:
        """Computes gradients for inputs of every shape to come, which on a GPU compiles and captures them.

        The schedule starts afterwards; its end does not change.
        """
        for inputs in batches:
            self._gradients(*inputs)
        if self._graphs:
            torch.cuda.synchronize()
        print(f"[reward] ready after {time.perf_counter() - self._began:.0f} s", flush=True)
        self._began = time.perf_counter()

    def begin(self, done: float) -> bool:
        """Sets the next step's learning rates, given the share of the work done; False if time or work is used up."""
        elapsed = time.perf_counter() - self._began
        self.progress = max(done, elapsed / max(1.0, self._end - self._began))
        warm = min(1.0, (self.step + 1) / self._warmup)
        for optimizer, rate in self.optimizers.items():
            for settings in optimizer.param_groups:
                settings["lr"].fill_(rate * self.guard.factor * schedule(self.progress) * warm)
        return self.progress < 1

    def finish(self, *inputs: Tensor) -> Tensor:
        """Takes one step on the loss of these inputs and returns its report."""
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
        """Whether training diverged, by this smoothed loss; it then continues from its best state at half the rate."""
        if not self.guard.look(loss):
            return False
        print(f"[reward] step {self.step}: diverged, back to loss {self.guard.best:.4f} at half the rate", flush=True)
        return True

    def times(self) -> str:
        """Returns, as a text, how large the trained queries and keys can get, and the seconds spent and left.

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


def all_layers(model: Any, heads: Sequence[Tensor], rate: float) -> dict[torch.optim.Optimizer, float]:
    """Returns optimizers of all parameters, Muon and AdamW, with their peak rates.

    Args:
        model: a reward model.
        heads: further parameters to train.
        rate: peak learning rate of the layers' matrices (Muon); the others' is `OTHERS` times that (AdamW).
    """
    model.requires_grad_(True)
    attending = _attending(model)
    matrices = [p for p in model.deberta.encoder.layer.parameters() if p.ndim == 2]
    known = {id(p) for p in attending}, {id(p) for p in matrices}
    groups = [
        {"params": attending, "weight_decay": QUERY_KEY_DECAY},
        {"params": [m for m in matrices if id(m) not in known[0]], "weight_decay": DECAY},
    ]
    others = [p for p in [*model.parameters(), *heads] if id(p) not in known[1]]
    return {Muon(groups, _rate(model, rate)): rate, _adam(model, others, OTHERS * rate): OTHERS * rate}


def last_layer(model: Any, rate: float) -> dict[torch.optim.Optimizer, float]:
    """Returns an optimizer of the last layer, the pooler and the classifier with its peak rate; all else is frozen.

    Labels of whole answers say little about each parameter. If all are trained on them, the model loses within some
    thousand steps what pretraining has built: the knowledge of which tokens of a wrong answer are wrong.

    Args:
        model: a pretrained reward model.
        rate: peak learning rate (AdamW).
    """
    last = [*model.deberta.encoder.layer[-1].parameters(), *model.pooler.parameters(), *model.classifier.parameters()]
    model.requires_grad_(False)
    for parameter in last:
        parameter.requires_grad_(True)
    return {_adam(model, last, rate): rate}


def _adam(model: Any, parameters: list[Tensor], rate: float) -> torch.optim.Optimizer:
    cuda = model.device.type == "cuda"
    if cuda:
        warnings.filterwarnings("ignore", message=".*capturable=True, but step\\(\\) is running without.*")
    return torch.optim.AdamW(
        parameters, lr=_rate(model, rate), betas=BETAS, weight_decay=0.01, fused=cuda, capturable=cuda
    )


def _rate(model: Any, rate: float) -> Tensor:
    """Returns a learning rate as a tensor, which a CUDA graph reads anew in each step."""
    return torch.tensor(rate, device=model.device)


def _attending(model: Any) -> list[Tensor]:
    """Returns the matrices that produce queries and keys."""
    layers = [one.attention.self for one in model.deberta.encoder.layer]
    return [linear.weight for one in layers for linear in (one.query_proj, one.key_proj)]


def _on_device(
    loss: Callable[..., tuple[Tensor, Tensor]], model: Any, fast: bool
) -> Callable[..., tuple[Tensor, Tensor]]:
    """Returns a loss of (hidden, *inputs) as one of (*inputs): on a GPU in bfloat16, with compiled layers."""
    device, cuda = model.device, model.device.type == "cuda"
    block = deberta.block
    if cuda:
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = (
            False  # some sums here are 65,536 terms long
        )
    if cuda and fast:
        torch._dynamo.config.recompile_limit = 64
        torch._dynamo.config.suppress_errors = True  # if compiling fails, plain PyTorch computes the same
        block = torch.compile(deberta.block, dynamic=False)
    known: dict[int, Tensor] = {}

    def hidden(ids: Tensor) -> list[Tensor]:
        length = ids.shape[1]
        if length not in known:
            known[length] = deberta.places(model.config, length, device)
        return deberta.hidden_states(model, ids, known[length], block)

    def of(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
            return loss(hidden, *inputs)

    return of
