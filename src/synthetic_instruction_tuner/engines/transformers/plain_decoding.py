"""Decoding for architectures that the slot cache does not support: batches of prompts of equal length.

No row is padded, so recurrent states are correct; no row leaves early, so it is slower. What a model keeps between two
tokens has a name of its own (`past_key_values`, `cache_params`, `state`): the model says it, and gets it back under
that name. The subclasses help where an architecture is not right that way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import DynamicCache

from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.engines.transformers.forward_pass import padded_inputs, picked_positions
from synthetic_instruction_tuner.engines.transformers.sampling import draw, require_finite, uniforms

_KEPT = ("past_key_values", "cache_params", "state", "mems")  # names of outputs that a next call takes


class PlainDecoder:
    """Has the same interface as `slot_decoding.SlotDecoder`.

    Attributes:
        keeps: whether the model is asked for one token at a time, with what it has kept of those before.
        gives: whether it is given an empty cache to keep that in, instead of making its own.
        places: whether it is told where in the text that token is.
    """

    keeps, gives, places = True, False, False

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
        most = max(r.max_new_tokens for r in requests)
        numbers = torch.full((len(requests), most), 0.5)
        for k, r in enumerate(requests):
            numbers[k, : r.max_new_tokens] = torch.from_numpy(uniforms(r.seed, r.max_new_tokens))
        temperature = torch.tensor([r.temperature for r in requests], device=self._device)
        top_p = torch.tensor([r.top_p for r in requests], device=self._device)
        cuts = top_p if bool((top_p < 1).any()) else None
        numbers = numbers.to(self._device)
        texts = [list(r.prompt_ids) for r in requests]
        kept: dict[str, Any] = {}
        written: list[list[int]] = [[] for _ in requests]
        reasons: list[Any] = [None] * len(requests)
        for step in range(most):
            logits = self.step(texts, kept)
            require_finite(logits, self._model.dtype)
            drawn = draw(logits, numbers[:, step], temperature, cuts).cpu().numpy()
            _take(drawn, requests, written, reasons)
            if all(reasons):
                break
            for text, token in zip(texts, drawn.tolist(), strict=True):
                text.append(token)
        return {n: Completion(tuple(written[k]), reasons[k]) for k, (n, _) in enumerate(members)}

    def step(self, texts: list[list[int]], kept: dict[str, Any]) -> torch.Tensor:
        """Returns the logits of the next tokens, [rows, vocabulary]; puts into `kept` what the next call gets."""
        first = not kept
        if first and self.gives:
            kept["past_key_values"] = DynamicCache(config=self._model.config)
        new, soft = (texts, self._soft_prompt) if first else ([text[-1:] for text in texts], None)
        inputs = padded_inputs(new, self._model, self._pad_id, self._device, soft)
        if self.places and not first:
            place = len(texts[0]) - 1 + (0 if self._soft_prompt is None else len(self._soft_prompt))
            inputs["position_ids"] = torch.full((len(texts), 1), place, device=self._device)
        with picked_positions(self._model, range(len(texts)), [-1] * len(texts)) as pick:
            outputs = self._model(**inputs, **kept, use_cache=self.keeps)
            logits = pick(outputs.logits)
        if self.keeps and not self.gives:
            kept |= _kept(outputs)
        return logits


class GivenCacheDecoder(PlainDecoder):
    """Gives the model the cache: some models (RecurrentGemma) make none of their own."""

    gives = True


class PlacedDecoder(PlainDecoder):
    """Also tells the model each token's position: some models (Bamba) begin again at 0 if they are not told."""

    places = True


class SingleDecoder(PlainDecoder):
    """Decodes one text at a time: some models (RWKV) mix up the states of several."""

    def __init__(
        self, model: Any, pad_id: int, batch_size: int, device: str, soft_prompt: torch.Tensor | None = None
    ) -> None:
        super().__init__(model, pad_id, 1, device, soft_prompt)


class WholeTextDecoder(PlainDecoder):
    """Computes the whole text for every token: right for every model that reads from left to right, and slow."""

    keeps = False


def _kept(outputs: Any) -> dict[str, Any]:
    """Returns what the model has kept, under its name.

    Raises:
        ValueError: nothing.
    """
    for name in _KEPT:
        if (value := getattr(outputs, name, None)) is not None:
            return {name: value}
    raise ValueError("the model keeps nothing of a text")


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
