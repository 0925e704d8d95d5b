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
from synthetic_instruction_tuner.engines.transformers.admission import Admission, Growing
from synthetic_instruction_tuner.engines.transformers.decode_steps import KernelSteps, MaskedSteps
from synthetic_instruction_tuner.engines.transformers.forward_pass import padded_inputs, picked_positions
from synthetic_instruction_tuner.engines.transformers.gpu.fused_layers import FusedLayers
from synthetic_instruction_tuner.engines.transformers.gpu.paged_cache import PAGE, PagedCache
from synthetic_instruction_tuner.engines.transformers.running_rows import RunningRows, Waiting
from synthetic_instruction_tuner.engines.transformers.sampling import require_finite
from synthetic_instruction_tuner.engines.transformers.slot_cache import SlotCache
from synthetic_instruction_tuner.models.sizes.decoding_memory import PREFILLED, Division

_PREFILL_TOKENS = {"cpu": 8192, "cuda": PREFILLED}
_CHECK_EVERY = {"cpu": 1, "cuda": 4}  # steps between reads of the tokens: each read makes the GPU wait for the host


class SlotDecoder:
    """Decodes requests with rows that enter and leave at any time. Arguments as in `TransformersEngine`.

    Args:
        kernel: decode with `decode_steps.KernelSteps`, else with `MaskedSteps`.
        halvings: how often memory has run out; prefilling takes a half of the tokens at once for each.
        memory: how the GPU's memory is divided; None where there is enough of it.
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
        memory: Division | None = None,
    ) -> None:
        self._model, self._pad_id, self._device, self._soft_prompt = model, pad_id, device, soft_prompt
        self._batch_size, self._every = batch_size, _CHECK_EVERY[device]
        self._extra = 0 if soft_prompt is None else len(soft_prompt)
        self._fused = FusedLayers(model) if kernel else None
        self._memory = memory
        self._prefill_tokens = (_PREFILL_TOKENS[device] if memory is None else memory.prefilled) >> halvings

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def run(self, requests: Sequence[tuple[int, Request]]) -> Iterator[dict[int, Completion]]:
        """Yields completions by request number as they finish."""
        queue = deque(Waiting(number, request) for number, request in requests)
        slots = min(self._batch_size, len(queue))
        rows = RunningRows(slots, [waiting.request for waiting in queue], self._every, self._device)
        steps, crowded = self._steps(queue, rows, slots), False
        admission = Admission(PAGE, self._every)
        while queue or rows.count:
            if queue and not crowded and _worthwhile(rows.count, free := slots - rows.count, len(queue)):
                room = self._room(list(islice(queue, free)), rows, steps.cache, admission)
                if _worthwhile(rows.count, room, len(queue)):
                    self._admit([queue.popleft() for _ in range(room)], rows, steps.cache)
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
            written = rows.count * self._every
            finished = rows.harvest(torch.stack(tokens).cpu().numpy())
            admission.saw(written, sum(one.finish_reason == "stop" for one in finished.values()))
            if finished:
                rows.drop(finished, steps.cache)
                crowded = False
                yield finished

    def _room(
        self, waiting: list[Waiting], rows: RunningRows, cache: SlotCache | PagedCache, admission: Admission
    ) -> int:
        """Returns how many of the waiting may begin; slots have room for any length."""
        if isinstance(cache, SlotCache):
            return len(waiting)
        begin = [(self._cached(one), one.request.max_new_tokens - len(one.written)) for one in waiting]
        return admission.room(Growing(rows.lengths, rows.left), Growing.of(begin), cache.pages)

    def _steps(self, queue: Sequence[Waiting], rows: RunningRows, slots: int) -> MaskedSteps | KernelSteps:
        """Returns what does the steps, with an empty cache."""
        if self._fused is None:
            return MaskedSteps(self._model, rows, SlotCache(slots))
        room = [self._cached(waiting) + waiting.request.max_new_tokens + self._every for waiting in queue]
        bytes_ = None if self._memory is None else self._memory.pages
        cache = PagedCache(slots, max(room), sum(sorted(room)[-slots:]), self._prefill([(0,)]), bytes_)
        return KernelSteps(self._model, rows, cache, self._every, self._fused)

    def _cached(self, waiting: Waiting) -> int:
        """Returns how many positions the request begins with: all but the text's last token, which a step takes."""
        return len(waiting.request.prompt_ids) + len(waiting.written) - 1 + self._extra

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


def _worthwhile(running: int, added: int, waiting: int) -> bool:
    """Returns whether so many rows may be added now: a prefill costs a whole pass, so it must serve several rows."""
    return added >= min(max(1, (running + added) // 8), waiting) if running else added > 0
