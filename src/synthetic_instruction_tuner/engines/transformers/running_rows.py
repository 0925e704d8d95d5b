"""The running requests of continuous batching: their state on the device, and what the host knows of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.engines.transformers.sampling import draw, uniforms

Draw = Callable[[torch.Tensor, torch.Tensor, "torch.Tensor | None"], torch.Tensor]
"""From logits, one uniform number per row and temperatures to tokens."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that is not running.

    Attributes:
        number: the request's number, by which its completion is known.
        request: the request.
        written: the tokens that it had written when its place was needed; none if it has not begun.
    """

    number: int
    request: Request
    written: tuple[int, ...] = ()

    @property
    def text(self) -> tuple[int, ...]:
        """The text to continue."""
        return self.request.prompt_ids + self.written


class Order(Protocol):
    """What a cache knows of its rows: `SlotCache` or `PagedCache`."""

    def keep(self, rows: Sequence[int], length: int) -> None:
        """Keeps these rows, in this order; those that move hold at most `length` positions."""


class RunningRows:
    """The running requests: their state on the device, and what the host must know without waiting for the device.

    Args:
        slots: the most rows.
        requests: all requests that will run.
        every: steps between two harvests.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, slots: int, requests: Sequence[Request], every: int, device: str) -> None:
        most = max((r.max_new_tokens for r in requests), default=1) + every
        self.count = 0
        self.index = torch.arange(slots, device=device)
        self.tokens = torch.zeros(slots, dtype=torch.long, device=device)
        self.positions = torch.zeros(slots, dtype=torch.long, device=device)
        self._steps = torch.zeros(slots, dtype=torch.long, device=device)
        self._uniforms = torch.full((slots, most), 0.5, device=device)
        self._temperature = torch.zeros(slots, device=device)
        self._top_p = torch.ones(slots, device=device)
        self._device = device
        self._members: list[Waiting] = []
        self._written: list[list[int]] = []
        self._lengths = np.zeros(slots, dtype=np.int64)
        self._stops = np.full((slots, max((len(r.stop_ids) for r in requests), default=0) + 1), -1, dtype=np.int64)
        self._samples = self._cuts = False

    def add(self, members: Sequence[Waiting], lengths: Sequence[int]) -> None:
        """Appends requests whose cache holds these numbers of positions: all but the text's last token."""
        new = slice(self.count, self.count + len(members))
        requests = [member.request for member in members]
        if not all(request.prompt_ids for request in requests):
            raise ValueError("a prompt is empty")
        drawn = np.full((len(members), self._uniforms.shape[1]), 0.5, dtype=np.float32)
        for k, request in enumerate(requests):
            self._stops[self.count + k] = -1
            self._stops[self.count + k, : len(request.stop_ids)] = request.stop_ids
            if request.temperature > 0:
                drawn[k, : request.max_new_tokens] = uniforms(request.seed, request.max_new_tokens)
        self._uniforms[new] = torch.from_numpy(drawn).to(self._device)
        self.tokens[new] = torch.tensor([member.text[-1] for member in members], device=self._device)
        self.positions[new] = torch.tensor(lengths, device=self._device)
        self._steps[new] = torch.tensor([len(member.written) for member in members], device=self._device)
        self._temperature[new] = torch.tensor([r.temperature for r in requests], device=self._device)
        self._top_p[new] = torch.tensor([r.top_p for r in requests], device=self._device)
        self._lengths[new] = lengths
        self._members += members
        self._written += [list(member.written) for member in members]
        self.count += len(members)
        self._look()

    def evict(self, count: int, cache: Order) -> list[Waiting]:
        """Removes the last rows and returns their requests with what they have written."""
        staying = self.count - count
        evicted = [
            Waiting(member.number, member.request, tuple(written))
            for member, written in zip(self._members[staying:], self._written[staying:], strict=True)
        ]
        self._keep(list(range(staying)), cache)
        return evicted

    @property
    def sampling(self) -> tuple[bool, bool]:
        """Whether any row samples, and whether any row cuts the distribution."""
        return self._samples, self._cuts

    @property
    def lengths(self) -> np.ndarray:
        """The number of cached positions of each row."""
        return self._lengths[: self.count]

    @property
    def left(self) -> np.ndarray:
        """The most tokens that each row may still get."""
        pairs = zip(self._members, self._written, strict=True)
        return np.array([member.request.max_new_tokens - len(written) for member, written in pairs], dtype=np.int64)

    def advance(self) -> torch.Tensor:
        """Counts one more position in each row and returns the tokens that the step drew, [rows]."""
        self._lengths[: self.count] += 1
        return self.tokens[: self.count].clone()

    def draw(self, logits: torch.Tensor, draw_uncut: Draw | None = None) -> None:
        """Draws the next token of the first rows, as many as there are logits, and moves them by one position.

        Only the device works here, on tensors that stay where they are: a CUDA graph can hold it.

        Args:
            logits: [rows, vocabulary].
            draw_uncut: draws where no row cuts its distribution; `sampling.draw` if it is not given.
        """
        n = len(logits)
        uniform = self._uniforms[:n].gather(1, self._steps[:n, None])[:, 0] if self._samples else self._top_p[:n]
        temperature = self._temperature[:n] if self._samples else None
        if draw_uncut is None or self._cuts:
            self.tokens[:n] = draw(logits, uniform, temperature, self._top_p[:n] if self._cuts else None)
        else:
            self.tokens[:n] = draw_uncut(logits, uniform, temperature)
        self.positions[:n] += 1
        self._steps[:n] += 1

    def harvest(self, tokens: np.ndarray) -> dict[int, Completion]:
        """Takes the tokens drawn since the last harvest, [steps, rows], and returns what they finished."""
        stopped = (tokens[:, :, None] == self._stops[None, : self.count]).any(axis=2).tolist()
        finished = {}
        for row, (member, written) in enumerate(zip(self._members, self._written, strict=True)):
            number, request = member.number, member.request
            for step, token in enumerate(tokens[:, row].tolist()):
                if stopped[step][row]:
                    finished[number] = Completion(tuple(written), "stop")
                    break
                written.append(token)
                if len(written) == request.max_new_tokens:
                    finished[number] = Completion(tuple(written), "length")
                    break
        return finished

    def drop(self, finished: dict[int, Completion], cache: Order) -> None:
        """Removes finished rows: the last unfinished rows move into the holes."""
        going = [row for row, member in enumerate(self._members) if member.number not in finished]
        order = list(range(len(going)))
        holes = [row for row in order if self._members[row].number in finished]
        for hole, source in zip(holes, going[len(going) - len(holes) :], strict=True):
            order[hole] = source
        self._keep(order, cache)

    def _keep(self, order: list[int], cache: Order) -> None:
        """Keeps these rows, in this order."""
        holes = [to for to, row in enumerate(order) if to != row]
        if holes:
            sources = [order[hole] for hole in holes]
            to, origin = (torch.tensor(x, device=self._device) for x in (holes, sources))
            for state in (self.tokens, self.positions, self._steps, self._uniforms, self._temperature, self._top_p):
                state[to] = state[origin]
            self._lengths[holes], self._stops[holes] = self._lengths[sources], self._stops[sources]
        cache.keep(order, int(self._lengths[holes].max()) if holes else 0)
        self._members = [self._members[row] for row in order]
        self._written = [self._written[row] for row in order]
        self.count = len(order)
        self._look()

    def _look(self) -> None:
        """Records which parts of sampling any row needs, and brings unused rows to the start.

        A step may take more rows than are in use. Those beyond then count from 0 and never get further than the others.
        """
        self.positions[self.count :], self._steps[self.count :], self.tokens[self.count :] = 0, 0, 0
        self._samples = any(member.request.temperature > 0 for member in self._members)
        self._cuts = any(m.request.temperature > 0 and m.request.top_p < 1 for m in self._members)
