"""Records a decode step as a CUDA graph and replays it: one launch instead of a thousand.

A step of a small batch takes a GPU less time than Python takes to launch its kernels. A graph holds the addresses of
its tensors, so they must stay where they are: the state of the rows lies in tensors of full size, and keys and values
lie in pages.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch

_WARM_UP = 1  # steps that run as they are before one is recorded, so that libraries and kernels are set up


class StepGraphs:
    """The graphs of one decoding, by whatever changes the kernels that are launched."""

    def __init__(self) -> None:
        self._graphs: dict[Hashable, tuple[torch.cuda.CUDAGraph, torch.Tensor]] = {}
        self._seen: dict[Hashable, int] = {}
        self._pool = torch.cuda.graph_pool_handle()
        self._works = True

    def run(self, kind: Hashable, step: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Does the step and returns what it returns; a recorded tensor is overwritten by the next step of its kind."""
        if kind in self._graphs:
            graph, result = self._graphs[kind]
            graph.replay()
            return result
        seen = self._seen.get(kind, 0)
        self._seen[kind] = seen + 1
        if not self._works or seen < _WARM_UP:
            return step()
        return self._record(kind, step)

    def _record(self, kind: Hashable, step: Callable[[], torch.Tensor]) -> torch.Tensor:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool):
                result = step()
        except torch.OutOfMemoryError:
            raise
        except Exception:  # the model's step waits for the host somewhere, as a mixture of experts may
            self._works = False
            torch.cuda.synchronize()
            return step()
        self._graphs[kind] = graph, result
        graph.replay()
        return result
