"""Continuous batching over a slot cache: the decode loop of the transformers engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Any

import torch
from transformers.cache_utils import DynamicCache

from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.engines.transformers.decode_steps import KernelSteps, MaskedSteps
from synthetic_instruction_tuner.engines.transformers.forward_pass import padded_inputs, picked_positions
from synthetic_instruction_tuner.engines.transformers.gpu.fused_layers import FusedLayers
from synthetic_instruction_tuner.engines.transformers.gpu.paged_cache import PagedCache
from synthetic_instruction_tuner.engines.transformers.running_rows import RunningRows, Waiting
from synthetic_instruction_tuner.engines.transformers.sampling import require_finite
from synthetic_instruction_tuner.engines.transformers.slot_cache import SlotCache

_PREFILL_TOKENS = {"cpu": 8192, "cuda": 32768}
_CHECK_EVERY = {"cpu": 1, "cuda": 4}  # steps between reads of the tokens: each read makes the GPU wait for the host


class SlotDecoder:
    """Decodes requests with rows that enter and leave at any time. Arguments as in `TransformersEngine`.

    Args:
        kernel: decode with `decode_steps.KernelSteps`, else with `MaskedSteps`.
        halvings: how often memory has run out; prefilling takes a half of the tokens at once for each.
    """

    def __init__(
        self,
        model: Any,
        pad_id: int,
        batch_size: int,
        device: str,
        soft_prompt: torch.Tensor | None = None,
        *,
        kernel: bool = False,
        halvings: int = 0,
    ) -> None:
        self._model, self._pad_id, self._device, self._soft_prompt = model, pad_id, device, soft_prompt
        self._batch_size, self._every = batch_size, _CHECK_EVERY[device]
        self._extra = 0 if soft_prompt is None else len(soft_prompt)
        self._fused = FusedLayers(model) if kernel else None
        self._prefill_tokens = _PREFILL_TOKENS[device] >> halvings

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def run(self, requests: Sequence[tuple[int, Request]]) -> Iterator[dict[int, Completion]]:
        """Yields completions by request number as they finish."""
        queue = deque(Waiting(number, request) for number, request in requests)
        rows = RunningRows(self._batch_size, [waiting.request for waiting in queue], self._every, self._device)
        steps, crowded = self._steps(queue, rows), False
        while queue or rows.count:
            free = self._batch_size - rows.count
            # A prefill costs a whole pass, so wait until it serves several rows.
            if queue and not crowded and (not rows.count or free >= min(max(1, self._batch_size // 8), len(queue))):
                free = steps.cache.room([self._cached(waiting) for waiting in islice(queue, free)])
                if free:
                    self._admit([queue.popleft() for _ in range(free)], rows, steps.cache)
            if short := steps.begin():  # the last rows wait until another one ends
                queue.extendleft(reversed(rows.evict(short, steps.cache)))
                crowded = True
                steps.begin()
            tokens = []
            for _ in range(self._every):
                logits = self.step(steps)
                tokens.append(rows.advance())
            # NaN stays in the row's cache, so a later check finds it too.
            require_finite(logits[: rows.count], self._model.dtype)
            finished = rows.harvest(torch.stack(tokens).cpu().numpy())
            if finished:
                rows.drop(finished, steps.cache)
                crowded = False
                yield finished

    def _steps(self, queue: Sequence[Waiting], rows: RunningRows) -> MaskedSteps | KernelSteps:
        """Returns what does the steps, with an empty cache."""
        if self._fused is None:
            return MaskedSteps(self._model, rows, SlotCache(self._batch_size))
        room = [self._cached(waiting) + waiting.request.max_new_tokens + self._every for waiting in queue]
        slots = min(self._batch_size, len(queue))
        cache = PagedCache(slots, max(room), sum(sorted(room)[-slots:]), like=self._prefill([(0,)]))
        return KernelSteps(self._model, rows, cache, self._every, self._fused)

    def _cached(self, waiting: Waiting) -> int:
        """Returns how many positions the request begins with: all but the text's last token, which a step takes."""
        return len(waiting.text) - 1 + self._extra

    def _admit(self, group: list[Waiting], rows: RunningRows, cache: SlotCache | PagedCache) -> None:
        """Prefills the requests' texts, equal ones only once."""
        members: dict[tuple[int, ...], list[Waiting]] = {}
        for waiting in group:
            members.setdefault(waiting.text[:-1], []).append(waiting)
        texts = list(members)
        per_pass = max(1, self._prefill_tokens // max(1, max(map(len, texts)) + self._extra))
        for start in range(0, len(texts), per_pass):
            part = texts[start : start + per_pass]
            added = [waiting for text in part for waiting in members[text]]
            source = [k for k, text in enumerate(part) for _ in members[text]]
            lengths = [self._cached(waiting) for waiting in added]
            cache.append(self._prefill(part) if max(lengths) else None, source, lengths)
            rows.add(added, lengths)

    def _prefill(self, texts: list[tuple[int, ...]]) -> DynamicCache:
        inputs = padded_inputs(texts, self._model, self._pad_id, self._device, self._soft_prompt)
        cache = DynamicCache()  # without the configuration: sliding layers keep everything, the mask does the rest
        fused = nullcontext() if self._fused is None else self._fused.active()
        with picked_positions(self._model, [0], [0]), fused:
            self._model(**inputs, past_key_values=cache, use_cache=True)
        return cache

    def step(self, steps: MaskedSteps | KernelSteps) -> torch.Tensor:
        """Draws each row's next token; returns the logits, [rows or more, vocabulary]."""
        return steps.step()
