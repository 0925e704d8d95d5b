"""Runs any causal language model of transformers, on a CPU or a GPU, with continuous batching.

The loop decodes one token for all running rows at once. Waiting requests replace finished rows immediately, so no step
computes padding or finished text. A completion depends on nothing but its request: its draws come from its own seed,
its positions from its own length.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch

from synthetic_instruction_tuner.engines.base import Capabilities, Completion, Done, Request, split_faults
from synthetic_instruction_tuner.engines.transformers.forward_pass import attention_of_any_shape, learned_positions
from synthetic_instruction_tuner.engines.transformers.gpu.fused_layers import FusedLayers
from synthetic_instruction_tuner.engines.transformers.gpu.kernel_attention import has_kernel
from synthetic_instruction_tuner.engines.transformers.gpu.packed_attention import PackedAttention
from synthetic_instruction_tuner.engines.transformers.plain_decoding import PlainDecoder
from synthetic_instruction_tuner.engines.transformers.prefixes import groups_of, keeps_prefixes, read_prefix
from synthetic_instruction_tuner.engines.transformers.scoring import PassRoom, ScoredRow, Scores, rows_of, start_scoring
from synthetic_instruction_tuner.engines.transformers.slot_decoding import SlotDecoder
from synthetic_instruction_tuner.engines.transformers.trial import (
    Decoder,
    can_share,
    decoder_for,
    note,
    packed_for,
    supports_slots,
)
from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.models.memory import free_gpu_bytes, release
from synthetic_instruction_tuner.models.running import running
from synthetic_instruction_tuner.models.sizes.decoding_memory import AT_FIRST, Division, Rows, divided, whole_rows
from synthetic_instruction_tuner.models.sizes.loaded_shape import stated_shape
from synthetic_instruction_tuner.models.working_memory import text_bytes, widths


class TransformersEngine:
    """Runs one model; see `engines.base.Engine`.

    Args:
        model: a causal LM in evaluation mode, already on `device`.
        pad_id: a token id to pad short rows with; it is never attended to.
        batch_size: texts written at once, or ``auto``: as many as the memory holds that is free when they begin, 64 on
            a CPU. When the GPU's memory runs out, it becomes a half of what it was, permanently.
        device: ``cpu`` or ``cuda``.
        soft_prompt: [virtual tokens, hidden], prepended to every prompt (prompt tuning; Lester et al., 2021).

    Attributes:
        on_finished: is given completions as soon as they are finished, by the index of their request.
    """

    def __init__(
        self, model: Any, pad_id: int, *, batch_size: Rows, device: str, soft_prompt: torch.Tensor | None = None
    ) -> None:
        self.batch_size = batch_size
        self._at_once = AT_FIRST[device]  # with ``auto``, in the latest call
        self._model, self._pad_id, self._device = model.eval(), pad_id, device
        self._soft_prompt = None if soft_prompt is None else soft_prompt.to(device=device, dtype=model.dtype)
        self._name = getattr(model.config, "name_or_path", "") or type(model).__name__
        self._decoder: type[Decoder] | None = None
        self._shares: bool | None = None
        self._positions = learned_positions(model)  # found once: it looks through all modules
        self._kernel, self._halvings = False, 0
        self._layers: FusedLayers | None = None
        self._packed: list[PackedAttention | None] | None = None  # None until it has been tried out
        self.on_finished: Callable[[dict[int, Completion]], None] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """In half precision and 4 bits, kernels round differently for other batch sizes: texts may depend on them."""
        whole = self._model.dtype == torch.float32 and self._device == "cpu" and not _quantized(self._model)
        slow = "" if self._decoder is None else note(self._decoder)
        return Capabilities(seeded=True, batch_free=whole, exact_stops=True, scores=True, slow=slow)

    def try_out(self) -> None:
        """Finds out how this model is decoded, so that one which cannot be is refused now.

        Raises:
            UserError: no way of decoding is right for it.
            RunError: its logits are not finite.
        """
        with contextlib.suppress(torch.OutOfMemoryError):  # then `generate` tries again, and says it
            _ = self.decoder

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """Returns one completion per request, in order.

        A text ends with the reason ``length`` where the model's learned positions end; a prompt that fills them gets an
        error completion.

        Raises:
            RunError: the model's logits are not finite, or a single sequence does not fit into the GPU's memory.
            UserError: the model cannot run.
        """
        vocabulary, longest = self._model.get_input_embeddings().num_embeddings, self._longest()
        _, results = split_faults(requests, vocabulary, longest=longest, soft_prompt=self._soft_prompt is not None)
        if longest is not None:
            room = [max(1, longest - len(request.prompt_ids)) for request in requests]
            requests = [
                replace(request, max_new_tokens=min(request.max_new_tokens, most))
                for request, most in zip(requests, room, strict=True)
            ]
        if results and done is not None:
            done(len(results))
        while len(results) < len(requests):
            try:
                with running(self._name, "write text"), attention_of_any_shape():
                    self._decode(requests, results, done)
            except torch.OutOfMemoryError as error:
                self._halve(error)
        return [results[i] for i in range(len(requests))]

    def loglikelihood(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, bool]]:
        """Returns for each (context, continuation) the sum of log-probabilities, in nats, and whether it is greedy."""
        if self._soft_prompt is None and any(not context for context, _ in pairs):
            raise ValueError("a context is empty: begin it with the BOS token")
        pairs = [self._within(context, continuation) for context, continuation in pairs]
        rows = rows_of(pairs, shared=self._can_share())
        results: Scores = {}
        groups = groups_of(rows) if self._can_share() and keeps_prefixes(self._model) else [(0, rows)]
        packed = self._packing() if any(known for known, _ in groups) else None
        for started in self._scoring(pairs, groups, packed):
            results.update(started())
        return [results[i] for i in range(len(pairs))]

    def _scoring(
        self,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        groups: Sequence[tuple[int, list[ScoredRow]]],
        packed: PackedAttention | None,
    ) -> Iterator[Callable[[], Scores]]:
        """Yields what waits for scores, a pass late: the GPU has the next one before anybody waits for the last.

        Args:
            pairs: all pairs.
            groups: rows that begin with the same tokens, which are read once, and how many these are.
            packed: scores such rows without padding; None where it cannot.
        """
        shared = (self._pad_id, self._device, self._soft_prompt)
        before: Callable[[], Scores] | None = None
        for known, rows in groups:
            prefix, count = None, len(rows)
            while rows:
                try:
                    with running(self._name, "score text"), attention_of_any_shape(), self._fused():
                        if known and prefix is None:
                            prefix = read_prefix(self._model, rows[0].context[:known], self._device, self._soft_prompt)
                        count = self._scoring_batch(rows, known, packed=bool(known and packed))
                        started = start_scoring(self._model, pairs, rows[:count], *shared, prefix, packed)
                    rows = rows[count:]
                except torch.OutOfMemoryError as error:
                    prefix = None
                    self._halve(error, alone=count == 1)
                    continue
                if before is not None:
                    yield before
                before = started
        if before is not None:
            yield before

    @property
    def context_length(self) -> int | None:
        """The most tokens of a text that the model was made for, a soft prompt not counted; None for any number."""
        longest = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        virtual = 0 if self._soft_prompt is None else len(self._soft_prompt)
        return longest - virtual if isinstance(longest, int) and longest > 0 else None

    @property
    def decoder(self) -> type[Decoder]:
        """How this model is decoded; it is tried out once.

        Raises:
            UserError: no way is right for it.
        """
        if self._decoder is None:
            self._kernel = has_kernel(self._model, self._device) and supports_slots(
                self._model, self._device, kernel=True
            )
            self._decoder = SlotDecoder if self._kernel else decoder_for(self._model, self._device)
        return self._decoder

    def close(self) -> None:
        """Frees the model's memory."""
        self._model = self._soft_prompt = self._layers = self._packed = None
        release()

    def _decode(self, requests: Sequence[Request], results: dict[int, Completion], done: Done | None) -> None:
        kind = self.decoder
        waiting = [i for i in range(len(requests)) if i not in results]
        memory = self._divided([requests[i] for i in waiting])
        shared = (self._model, self._pad_id, self._rows(), self._device, self._soft_prompt)
        if issubclass(kind, SlotDecoder):
            decoder: SlotDecoder | PlainDecoder = kind(
                *shared, kernel=self._kernel, halvings=self._halvings, memory=memory
            )
        else:
            decoder = kind(*shared)
        # Longest first: if memory runs out, it does so at the start, and neighbors have similar lengths.
        waiting.sort(key=lambda i: (-len(requests[i].prompt_ids), requests[i].prompt_ids, i))
        for finished in decoder.run([(i, requests[i]) for i in waiting]):
            results.update(finished)
            if self.on_finished is not None and finished:
                self.on_finished(finished)
            if done is not None and finished:
                done(len(finished))

    def _divided(self, requests: Sequence[Request]) -> Division | None:
        """Divides the GPU's free memory, and with ``auto`` decides how many of the texts are written at once."""
        if self._device == "cpu":
            return None
        size = stated_shape(self._model.config.to_dict(), sum(p.numel() for p in self._model.parameters()))
        width = self._model.dtype.itemsize
        each = text_bytes(size, width)
        memory = divided(free_gpu_bytes(self._device), each, self.batch_size, len(requests))
        if self.batch_size == "auto":
            rows = memory.rows
            if not self._kernel:
                virtual = 0 if self._soft_prompt is None else len(self._soft_prompt)
                longest = max(len(request.prompt_ids) + request.max_new_tokens for request in requests) + virtual
                rows = whole_rows(memory, each, longest, 2 * widths(size).queries * width)
            self._at_once = rows
        return memory

    def _rows(self) -> int:
        """Returns how many texts are written at once."""
        return self._at_once if self.batch_size == "auto" else self.batch_size

    def _fused(self) -> AbstractContextManager[None]:
        """Within this context the model computes with kernels what they can serve."""
        if not has_kernel(self._model, self._device):
            return contextlib.nullcontext()
        if self._layers is None:
            self._layers = FusedLayers(self._model)
        return self._layers.active()

    def _packing(self) -> PackedAttention | None:
        """Returns what scores texts behind a common beginning without padding; it pays on a GPU."""
        if self._device == "cpu":
            return None
        if self._packed is None:
            self._packed = [packed_for(self._model, self._device)]
        return self._packed[0]

    def _can_share(self) -> bool:
        if self._shares is None:
            self._shares = can_share(self._model, self._device)
        return self._shares

    def _longest(self) -> int | None:
        """Returns how many tokens of prompt and answer the model has positions for, None if for any number."""
        positions = self._positions
        return None if positions is None else positions - (0 if self._soft_prompt is None else len(self._soft_prompt))

    def _within(self, context: Sequence[int], continuation: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
        """Returns a text that fits into the model's learned positions: the context loses its beginning."""
        longest = self._longest()
        if longest is None or len(context) + len(continuation) <= longest:
            return context, continuation
        if len(continuation) >= longest:
            raise RunError(
                f"A text of {len(continuation)} tokens cannot be scored.",
                f"the model has positions for {longest}",
                "Use a model that reads longer texts.",
            )
        return context[len(continuation) - longest :], continuation

    def _halve(self, error: torch.OutOfMemoryError, alone: bool | None = None) -> None:
        """Lets fewer texts be computed together; `alone`: whether it was a single one."""
        if self._rows() == 1 if alone is None else alone:
            raise RunError(
                "A single sequence does not fit into the GPU's memory.",
                str(error).split(". ")[0],
                "Use a smaller model, or shorter texts (max_new_tokens).",
            ) from error
        self.batch_size = max(1, self._rows() // 2)
        self._halvings += 1
        error.__traceback__ = None  # its frames refer to the tensors that filled the memory
        release()

    def _scoring_batch(self, rows: Sequence[ScoredRow], known: int, packed: bool) -> int:
        """Returns how many of the next rows to score together.

        As many as a pass takes: on a GPU `batch_size` is the number of texts that are written, and says nothing here.
        """
        virtual = 0 if self._soft_prompt is None else len(self._soft_prompt)
        at_most = self._rows() if self._device == "cpu" else len(rows)
        room = PassRoom.on(self._device, self._halvings, int(self._model.config.get_text_config().vocab_size))
        return room.fitting(rows[:at_most], known, virtual, packed)


def _quantized(model: Any) -> bool:
    return bool(getattr(model, "is_quantized", False))
