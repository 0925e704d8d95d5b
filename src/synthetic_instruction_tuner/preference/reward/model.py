"""Scores answers with a reward model: any sequence classifier of Transformers; higher is better.

What the model reads is in `input`, which of its outputs is the score in `head`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from synthetic_instruction_tuner.config import EngineConfig, ModelConfig, PreferConfig
from synthetic_instruction_tuner.engines.base import Done
from synthetic_instruction_tuner.models.architecture import learned_positions
from synthetic_instruction_tuner.models.hardware import Hardware, choose_device, set_threads
from synthetic_instruction_tuner.models.memory import memory_freed
from synthetic_instruction_tuner.models.quantization.held import reading_format, settled
from synthetic_instruction_tuner.models.running import running
from synthetic_instruction_tuner.preference.reward.head import RewardHead
from synthetic_instruction_tuner.preference.reward.input import Encoded, RewardInput
from synthetic_instruction_tuner.preference.scoring import Answered, ScoredAnswers
from synthetic_instruction_tuner.records import Message

Item = tuple[Sequence[Message], str]
"""A prompt (the conversation up to and including the instruction) and an answer to it."""

TOLERANCE = 1e-3  # between an item's score in a batch and alone, in float32
PROBES = [("Hi", "Hello."), ("Why is the sky blue?", "Light scatters, blue more than red."), ("1+1?", "2")]


class RewardModel:
    """A loaded reward model. A `Scorer`.

    An item's score does not depend on its batch. In models that read the score from the last token this depends on the
    side and the token of the padding, so both sides are tried on a few items first: padding on the right, on the left,
    else one item at a time.

    Args:
        model: a Transformers sequence classifier.
        tokenizer: its tokenizer.
        batch_size: items scored at once; halved for a batch that does not fit into memory.
        max_tokens: question and answer together are cut to this many tokens, or to the model's own positions.
        form: ``pair``, ``chat`` or ``auto``; see `RewardInput`.
        label: the output that is the score; see `RewardHead`.
        device: where the model runs; None: the device that it is on.

    Attributes:
        pairs: whether it reads pairs of texts, not conversations.
        padding: ``right``, ``left`` or ``none`` (one item at a time).

    Raises:
        UserError: it is not clear which output is the score, or its tokenizer fits no form of input.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        batch_size: int,
        max_tokens: int,
        form: str = "auto",
        label: str = "",
        device: Any = None,
    ) -> None:
        positions = learned_positions(model)
        max_tokens = max_tokens if positions is None else min(max_tokens, positions)
        self._input = RewardInput(tokenizer, model.config, form, max_tokens)
        self.pairs = self._input.pairs
        self._model = model.eval()
        self._name = getattr(model.config, "name_or_path", "") or type(model).__name__
        self._device = model.device if device is None else device
        self._model.to(self._device)
        self._text_config = model.config.get_text_config()
        self._pad = self._text_config.pad_token_id
        probes = [self._input.encode([Message("user", q)], a) for q, a in PROBES]
        self.padding = "none"
        width = self._forward(probes[:1]).reshape(1, -1).shape[1]
        self._head = RewardHead(width, model.config, label)
        if batch_size > 1:
            self.padding = self._proven_padding(probes)
        self._batch_size = 1 if self.padding == "none" else batch_size

    def score(self, items: Sequence[Item], done: Done | None = None) -> list[float]:
        """Returns one score per item, in order; NaN where the model gives none.

        Batches hold items of similar length, the longest first, so that there is little padding and a lack of memory
        shows at once.
        """
        encoded = self._input.encode_all(items)
        order = sorted(range(len(items)), key=lambda i: (-len(encoded[i]["input_ids"]), i))
        scores = [float("nan")] * len(items)
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            for i, score in zip(batch, self._scores([encoded[i] for i in batch]), strict=True):
                scores[i] = score
            if done is not None:
                done(len(batch))
        return scores

    def score_answers(self, items: Sequence[Answered], done: Done | None = None) -> list[ScoredAnswers]:
        """Returns the records with their scored answers; an answer without a finite score has None; see `Scorer`."""
        texts = [(record.prompt_messages(), answer.text) for record, answers in items for answer in answers]
        scores = (score if math.isfinite(score) else None for score in self.score(texts, done))
        return [
            ScoredAnswers(record, [replace(answer, score=next(scores)) for answer in answers])
            for record, answers in items
        ]

    def close(self) -> None:
        """Frees the model's memory; nothing can be scored afterwards."""
        from synthetic_instruction_tuner.models.memory import release

        self._model = None
        release()

    def _proven_padding(self, probes: list[Encoded]) -> str:
        """Returns the side on which padding leaves the scores as they are."""
        import torch

        alone = [self._head.scores(self._forward([probe]))[0] for probe in probes]
        single = self._model.dtype == torch.float32
        for side in ("right", "left"):
            self.padding = side
            together = self._head.scores(self._forward(probes))
            near = [_near(a, b, single) for a, b in zip(alone, together, strict=True)]
            if all(near):
                return side
        return "none"

    def _scores(self, batch: list[Encoded]) -> list[float]:
        """Returns the scores of one batch; splits it when it does not fit into memory."""
        import torch

        try:
            return self._head.scores(self._forward(batch))
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
        torch.cuda.empty_cache()
        half = len(batch) // 2
        return self._scores(batch[:half]) + self._scores(batch[half:])

    def _forward(self, batch: list[Encoded]) -> Any:
        """Returns the model's outputs, [items, outputs]."""
        import torch

        pad = self._pad
        if pad is None and len(batch) > 1:
            # The model looks for the last token that is not padding: any token that occurs in no item will do.
            taken = {token for item in batch for token in item["input_ids"]}
            pad = next((i for i in range(self._text_config.vocab_size) if i not in taken), None)
            if pad is None:
                return torch.cat([self._forward([item]) for item in batch])
        self._text_config.pad_token_id = pad
        try:
            with running(self._name, "score answers"), torch.inference_mode():
                return self._model(**self._tensors(batch, pad or 0)).logits
        finally:
            self._text_config.pad_token_id = self._pad

    def _tensors(self, batch: list[Encoded], pad: int) -> dict[str, Any]:
        """Returns the batch padded to its longest item; (items, tokens) each, the attention mask among them."""
        import torch

        width = max(len(item["input_ids"]) for item in batch)

        def padded(key: str, ids: list[int]) -> list[int]:
            filling = [pad if key == "input_ids" else 0] * (width - len(ids))
            return [*filling, *ids] if self.padding == "left" else [*ids, *filling]

        rows = {key: [padded(key, item[key]) for item in batch] for key in batch[0]}
        return {key: torch.tensor(row, device=self._device) for key, row in rows.items()}


@contextmanager
def open_reward_model(
    model: ModelConfig, config: PreferConfig, engine: EngineConfig, hardware: Hardware
) -> Iterator[RewardModel]:
    """Loads a reward model according to the settings; its memory is freed when the block ends."""
    from synthetic_instruction_tuner.models.loading import load_reward_model, load_tokenizer
    from synthetic_instruction_tuner.preference.reward.split_linear import LEAST_CAPABILITY, split_linears

    set_threads(engine.threads)
    device = choose_device(hardware, engine.device)
    held = reading_format(model, hardware, engine.dtype, config.reward_batch_size * config.reward_max_tokens)
    alone = engine.dtype == "auto" and device == "cpu" and not held.quantized
    dtype = "float32" if alone else held.compute
    model = settled(model, held)
    with memory_freed(model.name, device):
        split = device == "cuda" and dtype == "float32" and (hardware.capability or (0, 0)) >= LEAST_CAPABILITY
        reward = RewardModel(  # which alone holds the model, or it would not be freed
            split_linears(load_reward_model(model, dtype, device), split),
            load_tokenizer(model),
            batch_size=config.reward_batch_size,
            max_tokens=config.reward_max_tokens,
            form=config.reward_input,
            label=config.reward_label,
            device=device,
        )
        try:
            yield reward
        finally:
            reward.close()


def _near(alone: float, together: float, single: bool) -> bool:
    """Returns whether two scores are equal up to rounding; half precision rounds to two or three digits."""
    if math.isnan(alone):
        return math.isnan(together)
    return abs(alone - together) <= (TOLERANCE if single else 0.05 * (1 + abs(alone)))
