"""Decoding for architectures that the slot cache does not support: batches of prompts of equal length.

No row is padded, so recurrent states are correct; no row leaves early, so it is slower.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import DynamicCache

from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.engines.transformers.forward_pass import padded_inputs
from synthetic_instruction_tuner.engines.transformers.sampling import draw, require_finite, uniforms


class PlainDecoder:
    """Has the same interface as `slot_decoding.SlotDecoder`."""

    def __init__(
        self, model: Any, pad_id: int, batch_size: int, device: str, soft_prompt: torch.Tensor | None = None
    ) -> None:
        self._model, self._pad_id, self._device, self._soft_prompt = model, pad_id, device, soft_prompt
        self._batch_size = batch_size

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def run(self, requests: Sequence[tuple[int, Request]]) -> Iterator[dict[int, Completion]]:
        """Yields completions by request index, one batch at a time."""
        for _, same_length in groupby(requests, key=lambda item: len(item[1].prompt_ids)):
            members = list(same_length)
            for start in range(0, len(members), self._batch_size):
                yield self._batch(members[start : start + self._batch_size])

    def _batch(self, members: list[tuple[int, Request]]) -> dict[int, Completion]:
        requests = [request for _, request in members]
        prompts = [r.prompt_ids for r in requests]
        inputs = padded_inputs(prompts, self._model, self._pad_id, self._device, self._soft_prompt)
        most = max(r.max_new_tokens for r in requests)
        numbers = torch.full((len(requests), most), 0.5)
        for k, r in enumerate(requests):
            numbers[k, : r.max_new_tokens] = torch.from_numpy(uniforms(r.seed, r.max_new_tokens))
        temperature = torch.tensor([r.temperature for r in requests], device=self._device)
        top_p = torch.tensor([r.top_p for r in requests], device=self._device)
        cuts = top_p if bool((top_p < 1).any()) else None
        numbers = numbers.to(self._device)
        cache = DynamicCache(config=self._model.config)
        written: list[list[int]] = [[] for _ in requests]
        reasons: list[Any] = [None] * len(requests)
        for step in range(most):
            logits = self._model(**inputs, past_key_values=cache, use_cache=True).logits[:, -1]
            require_finite(logits, self._model.dtype)
            tokens = draw(logits, numbers[:, step], temperature, cuts)
            _take(tokens.cpu().numpy(), requests, written, reasons)
            if all(reasons):
                break
            inputs = {"input_ids": tokens[:, None]}
        return {n: Completion(tuple(written[k]), reasons[k]) for k, (n, _) in enumerate(members)}


def _take(tokens: np.ndarray, requests: list[Request], written: list[list[int]], reasons: list[Any]) -> None:
    """Appends each running row's token, and records why rows end."""
    for k, request in enumerate(requests):
        if reasons[k] is not None:
            continue
        if int(tokens[k]) in request.stop_ids:
            reasons[k] = "stop"
            continue
        written[k].append(int(tokens[k]))
        if len(written[k]) == request.max_new_tokens:
            reasons[k] = "length"
