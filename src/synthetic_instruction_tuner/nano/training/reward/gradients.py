"""Losses and their gradients, replayed as CUDA graphs on a GPU.

For a model this small, launching a step's thousand kernels one by one takes longer than computing them. In a graph they
follow each other without a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

WARM_UPS = 2  # runs before a graph is captured: they compile and fill the libraries' workspaces


class Graph:
    """A function without arguments that runs as one CUDA graph, on the same tensors that it was captured on.

    Args:
        function: only launches kernels. Compilers and libraries set themselves up when it first runs, which must be
            before it is captured.
        warm_ups: how often it runs before that; 0 if it has run already.
    """

    def __init__(self, function: Callable[[], Tensor | None], warm_ups: int) -> None:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(warm_ups):
                function()
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self.result = function()

    def replay(self) -> None:
        """Runs it; `result` holds the new result."""
        self._graph.replay()


class _Captured(NamedTuple):
    graph: Graph
    inputs: Sequence[Tensor]


class Gradients:
    """Puts a loss's gradients in the parameters' ``grad`` and returns the loss's report.

    Args:
        loss: returns a loss and a report, detached, of its inputs.
        parameters: what the gradients are for, all on one device; they keep one gradient tensor each.
        graphs: replay CUDA graphs.
    """

    def __init__(self, loss: Callable[..., tuple[Tensor, Tensor]], parameters: Sequence[Tensor], graphs: bool) -> None:
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        self._loss, self._gradients = loss, [parameter.grad for parameter in parameters]
        self._graphs: dict[tuple[torch.Size, ...], _Captured] | None = {} if graphs else None

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Returns the loss's report of these inputs; each new combination of shapes is compiled and captured first."""
        if self._graphs is None:
            return self._run(inputs)
        shapes = tuple(given.shape for given in inputs)
        if shapes not in self._graphs:
            own = [given.clone() for given in inputs]
            self._graphs[shapes] = _Captured(Graph(lambda: self._run(own), WARM_UPS), own)
        graph, places = self._graphs[shapes]
        for mine, given in zip(places, inputs, strict=True):
            mine.copy_(given)
        graph.replay()
        assert graph.result is not None
        return graph.result.clone()

    def _run(self, inputs: Sequence[Tensor]) -> Tensor:
        torch._foreach_zero_(self._gradients)
        loss, report = self._loss(*inputs)
        loss.backward()
        return report
