"""Continuous batching over a slot cache: the decode loop of the transformers engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import DynamicCache

from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.engines.transformers.forward_pass import (
    learned_positions,
    padded_inputs,
    picked_positions,
)
from synthetic_instruction_tuner.engines.transformers.sampling import draw, require_finite, uniforms
from synthetic_instruction_tuner.engines.transformers.slot_cache import SlotCache

_PREFILL_TOKENS = {"cpu": 8192, "cuda": 32768}
_CHECK_EVERY = {"cpu": 1, "cuda": 4}  # steps between reads of the tokens: each read makes the GPU wait for the host


class SlotDecoder:
    """Decodes requests with rows that enter and leave at any time. Arguments as in `TransformersEngine`."""

    def __init__(
        self, model: Any, pad_id: int, batch_size: int, device: str, soft_prompt: torch.Tensor | None = None
    ) -> None:
        self._model, self._pad_id, self._device, self._soft_prompt = model, pad_id, device, soft_prompt
        self._batch_size, self._every = batch_size, _CHECK_EVERY[device]
        self._extra = 0 if soft_prompt is None else len(soft_prompt)
        self._mask = _MaskMaker(model)
        self._positions = learned_positions(model)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def run(self, requests: Sequence[tuple[int, Request]]) -> Iterator[dict[int, Completion]]:
        """Yields completions by request number as they finish."""
        queue, rows = deque(requests), _Rows(self._batch_size, requests, self._every, self._device)
        cache = SlotCache(self._batch_size)
        while queue or rows.count:
            free = self._batch_size - rows.count
            # A prefill costs a whole pass, so wait until it serves several rows.
            if queue and (not rows.count or free >= min(max(1, self._batch_size // 8), len(queue))):
                self._admit([queue.popleft() for _ in range(min(free, len(queue)))], rows, cache)
            tokens = []
            for _ in range(self._every):
                logits = self.step(rows, cache)
                tokens.append(rows.advance(logits))
            require_finite(logits, self._model.dtype)  # NaN stays in the row's cache, so a later check finds it too
            finished = rows.harvest(torch.stack(tokens).cpu().numpy())
            if finished:
                rows.drop(finished, cache)
                yield finished

    def _admit(self, group: list[tuple[int, Request]], rows: _Rows, cache: SlotCache) -> None:
        """Prefills all but the last prompt token, which the next decode step takes; equal prompts only once."""
        heads = {request.prompt_ids[:-1]: None for _, request in group}
        lengths = {head: len(head) + self._extra for head in heads}
        longest = max(lengths.values())
        if longest:
            per_pass = max(1, _PREFILL_TOKENS[self._device] // longest)
            members: dict[tuple[int, ...], list[tuple[int, Request]]] = {head: [] for head in heads}
            for number, request in group:
                members[request.prompt_ids[:-1]].append((number, request))
            texts = list(heads)
            for start in range(0, len(texts), per_pass):
                part = texts[start : start + per_pass]
                source = [k for k, head in enumerate(part) for _ in members[head]]
                width = max(lengths[head] for head in part)
                cache.append(self._prefill(part) if width else None, torch.tensor(source, device=self._device), width)
                for head in part:
                    rows.add(members[head], lengths[head])
        else:
            cache.append(None, torch.zeros(len(group), dtype=torch.long), 0)
            rows.add(group, 0)

    def _prefill(self, texts: list[tuple[int, ...]]) -> DynamicCache:
        inputs = padded_inputs(texts, self._model, self._pad_id, self._device, self._soft_prompt)
        cache = DynamicCache()  # without the configuration: sliding layers keep everything, the mask does the rest
        with picked_positions(self._model, [0], [0]):
            self._model(**inputs, past_key_values=cache, use_cache=True)
        return cache

    def step(self, rows: _Rows, cache: SlotCache) -> torch.Tensor:
        """Feeds each row's last token and returns the logits of the next ones, [rows, vocabulary]."""
        n = rows.count
        positions, length = rows.positions[:n], rows.longest() + 1
        cache.step(positions, rows.index[:n], length)
        # A finished row continues until the tokens are read, and must not leave the table of learned positions.
        places = positions if self._positions is None else positions.clamp(max=self._positions - 1)
        logits: torch.Tensor = self._model(
            input_ids=rows.tokens[:n, None],
            attention_mask=self._mask(positions, length),
            position_ids=places[:, None],
            past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]
        return logits


class _Rows:
    """The running requests: their state on the device, and what the host must know without waiting for the device."""

    def __init__(self, slots: int, requests: Sequence[tuple[int, Request]], every: int, device: str) -> None:
        most = max((r.max_new_tokens for _, r in requests), default=1) + every
        self.count = 0
        self.index = torch.arange(slots, device=device)
        self.tokens = torch.zeros(slots, dtype=torch.long, device=device)
        self.positions = torch.zeros(slots, dtype=torch.long, device=device)
        self._steps = torch.zeros(slots, dtype=torch.long, device=device)
        self._uniforms = torch.full((slots, most), 0.5, device=device)
        self._temperature = torch.zeros(slots, device=device)
        self._top_p = torch.ones(slots, device=device)
        self._device = device
        self._members: list[tuple[int, Request]] = []
        self._written: list[list[int]] = []
        self._lengths = np.zeros(slots, dtype=np.int64)
        self._stops = np.full((slots, max((len(r.stop_ids) for _, r in requests), default=0) + 1), -1, dtype=np.int64)
        self._samples = self._cuts = False

    def add(self, members: list[tuple[int, Request]], length: int) -> None:
        """Appends requests whose cache holds `length` positions: all but the prompt's last token."""
        new = slice(self.count, self.count + len(members))
        requests = [request for _, request in members]
        if not requests[0].prompt_ids:
            raise ValueError("a prompt is empty")
        for k, request in enumerate(requests, start=self.count):
            self._stops[k] = -1
            self._stops[k, : len(request.stop_ids)] = request.stop_ids
            if request.temperature > 0:
                drawn = torch.from_numpy(uniforms(request.seed, request.max_new_tokens))
                self._uniforms[k, : len(drawn)] = drawn.to(self._device)
        self.tokens[new] = torch.tensor([r.prompt_ids[-1] for r in requests], device=self._device)
        self.positions[new], self._steps[new], self._lengths[new] = length, 0, length
        self._temperature[new] = torch.tensor([r.temperature for r in requests], device=self._device)
        self._top_p[new] = torch.tensor([r.top_p for r in requests], device=self._device)
        self._members += members
        self._written += [[] for _ in members]
        self.count += len(members)
        self._look()

    def longest(self) -> int:
        """Returns the number of cached positions of the longest row."""
        return int(self._lengths[: self.count].max())

    def advance(self, logits: torch.Tensor) -> torch.Tensor:
        """Draws the next token of each row and advances all rows by one position."""
        n = self.count
        uniform = self._uniforms[:n].gather(1, self._steps[:n, None])[:, 0] if self._samples else self._top_p[:n]
        tokens = draw(
            logits, uniform, self._temperature[:n] if self._samples else None, self._top_p[:n] if self._cuts else None
        )
        self.tokens[:n] = tokens
        self.positions[:n] += 1
        self._steps[:n] += 1
        self._lengths[:n] += 1
        return tokens

    def harvest(self, tokens: np.ndarray) -> dict[int, Completion]:
        """Takes the tokens drawn since the last harvest, [steps, rows], and returns what they finished."""
        stopped = (tokens[:, :, None] == self._stops[None, : self.count]).any(axis=2).tolist()
        finished = {}
        for row, ((number, request), written) in enumerate(zip(self._members, self._written, strict=True)):
            for step, token in enumerate(tokens[:, row].tolist()):
                if stopped[step][row]:
                    finished[number] = Completion(tuple(written), "stop")
                    break
                written.append(token)
                if len(written) == request.max_new_tokens:
                    finished[number] = Completion(tuple(written), "length")
                    break
        return finished

    def drop(self, finished: dict[int, Completion], cache: SlotCache) -> None:
        """Removes finished rows: the last unfinished rows move into the holes."""
        going = [row for row, (number, _) in enumerate(self._members) if number not in finished]
        holes = [row for row, (number, _) in enumerate(self._members[: len(going)]) if number in finished]
        sources = going[len(going) - len(holes) :]
        if holes:
            to, origin = (torch.tensor(x, device=self._device) for x in (holes, sources))
            for state in (self.tokens, self.positions, self._steps, self._uniforms, self._temperature, self._top_p):
                state[to] = state[origin]
            self._lengths[holes], self._stops[holes] = self._lengths[sources], self._stops[sources]
            cache.move(to, origin, int(self._lengths[holes].max()))
            for hole, source in zip(holes, sources, strict=True):
                self._members[hole], self._written[hole] = self._members[source], self._written[source]
        self.count = cache.rows = len(going)
        del self._members[self.count :], self._written[self.count :]
        self._look()

    def _look(self) -> None:
        """Records which parts of sampling any row needs."""
        self._samples = any(request.temperature > 0 for _, request in self._members)
        self._cuts = any(request.temperature > 0 and request.top_p < 1 for _, request in self._members)


class _MaskMaker:
    """Makes the attention mask of a decode step in the form that the model's layers expect."""

    def __init__(self, model: Any) -> None:
        config = model.config.get_text_config()
        kinds = set(getattr(config, "layer_types", None) or ())
        self._window = getattr(config, "sliding_window", None)
        if not getattr(config, "use_sliding_window", True):
            self._window = None
        if not kinds:
            kinds = {"full_attention" if self._window is None else "sliding_attention"}
        self._kinds = sorted(kinds)
        self._additive = None if config._attn_implementation == "sdpa" else model.dtype

    def __call__(self, positions: torch.Tensor, length: int) -> Any:
        """Returns the mask [rows, 1, 1, length], or one for each kind of layer by name."""
        places = torch.arange(length, device=positions.device)
        masks = {}
        for kind in self._kinds:
            seen = places <= positions[:, None]
            if kind == "sliding_attention":
                seen &= places > positions[:, None] - self._window
            masks[kind] = self._form(seen[:, None, None])
        return masks if len(masks) > 1 else masks[self._kinds[0]]

    def _form(self, seen: torch.Tensor) -> torch.Tensor:
        if self._additive is None:
            return seen
        lowest = torch.finfo(self._additive).min
        return torch.zeros_like(seen, dtype=self._additive).masked_fill(~seen, lowest)
