"""Scores answers with a reward model: a sequence classifier with one label, higher is better.

Models whose tokenizer marks where one text ends and another begins (OpenAssistant's DeBERTa) read the pair (question,
answer). Models whose tokenizer only knows a chat template (Llama and Qwen reward models) read the whole conversation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..engines.base import Done
from ..errors import UserError
from ..hardware import Hardware, choose_device, choose_dtype, set_threads
from ..modelfiles import shape
from ..records import Message
from ..settings import EngineConfig, ModelConfig, PreferConfig

Item = tuple[Sequence[Message], str]
"""A prompt (the conversation up to and including the instruction) and an answer to it."""

SMALL = 1e9  # reward models up to so many parameters run in float32: half precision would make ties of close scores
QUESTION_SHARE = 4  # of a text that is too long, a question that needs it keeps at least one part in four


class RewardModel:
    """One loaded reward model.

    Args:
        model: a Transformers sequence classifier.
        tokenizer: its fast tokenizer.
        batch_size: items scored at once; halved for a batch that does not fit into memory.
        max_tokens: question and answer together are cut to so many tokens.
        device: where the model runs; the one it is on when None.

    Raises:
        UserError: the model has not exactly one label, or its tokenizer fits neither kind of input.
    """

    def __init__(self, model: Any, tokenizer: Any, *, batch_size: int, max_tokens: int, device: Any = None) -> None:
        labels = int(model.config.num_labels)
        if labels != 1:
            raise UserError(
                f"the reward model has {labels} labels",
                "a reward model is a sequence classifier with one label: the score",
                "set models.reward to such a model, for example OpenAssistant/reward-model-deberta-v3-large-v2",
            )
        self.pairs = _marks_pairs(tokenizer)
        if not self.pairs and not tokenizer.chat_template:
            raise UserError(
                "the reward model's tokenizer joins question and answer without a mark between them",
                "it has neither a separator for pairs nor a chat template",
                "set models.reward to a model with one of the two",
            )
        self._model, self._tokenizer = model.eval(), tokenizer
        self._device = model.device if device is None else device
        self._model.to(self._device)
        pad = model.config.pad_token_id
        # Decoder models read the score from the last token that is not padding; one without a padding token of its own
        # cannot tell which that is in a padded row.
        self._batch_size = batch_size if self.pairs or pad is not None else 1
        self._pad = pad if pad is not None else (tokenizer.pad_token_id or 0)
        self._max_tokens = max_tokens

    def score(self, items: Sequence[Item], done: Done | None = None) -> list[float]:
        """Returns one logit per item, in order; NaN where the model gives none.

        An item's score does not depend on its batch. Batches hold items of similar length, the longest first, so that
        little is padded and memory that does not suffice shows at once.
        """
        encoded = [self._encode(messages, answer) for messages, answer in items]
        order = sorted(range(len(items)), key=lambda i: (-len(encoded[i]["input_ids"]), i))
        scores = [float("nan")] * len(items)
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            for i, score in zip(batch, self._logits([encoded[i] for i in batch]), strict=True):
                scores[i] = score
            if done is not None:
                done(len(batch))
        return scores

    def close(self) -> None:
        """Frees the model's memory; nothing can be scored afterwards."""
        from ..models import release

        self._model = None
        release()

    def _logits(self, batch: list[dict[str, list[int]]]) -> list[float]:
        """Returns the scores of one batch; splits it when it does not fit into memory."""
        import torch

        try:
            with torch.inference_mode():
                logits: list[float] = self._model(**self._tensors(batch)).logits[:, 0].float().tolist()
            return logits
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
        torch.cuda.empty_cache()
        half = len(batch) // 2
        return self._logits(batch[:half]) + self._logits(batch[half:])

    def _tensors(self, batch: list[dict[str, list[int]]]) -> dict[str, Any]:
        """Returns the batch padded on the right; (items, tokens) each, the attention mask among them."""
        import torch

        width = max(len(item["input_ids"]) for item in batch)
        fill = {"input_ids": self._pad}
        padded = {
            key: [item[key] + [fill.get(key, 0)] * (width - len(item[key])) for item in batch] for key in batch[0]
        }
        return {key: torch.tensor(rows, device=self._device) for key, rows in padded.items()}

    def _encode(self, messages: Sequence[Message], answer: str) -> dict[str, list[int]]:
        """Returns the model's input for one item, cut to the token limit."""
        encode = self._encode_pair if self.pairs else self._encode_chat
        encoded = encode(messages, answer)
        if len(encoded["input_ids"]) <= self._max_tokens:
            return encoded
        whole = question_text(messages)
        framing = len(encode([Message("user", whole)], answer)["input_ids"]) - self._count(whole) - self._count(answer)
        room = self._max_tokens - framing
        for _ in range(3):  # tokenized again, a cut text may be a token or two longer than it was
            question, cut = self._fit(whole, answer, max(2, room))
            encoded = encode([Message("user", question)], cut)
            extra = len(encoded["input_ids"]) - self._max_tokens
            if extra <= 0:
                break
            room -= extra
        return {key: ids[: self._max_tokens] for key, ids in encoded.items()}

    def _encode_pair(self, messages: Sequence[Message], answer: str) -> dict[str, list[int]]:
        return dict(self._tokenizer(question_text(messages), answer, return_attention_mask=True, verbose=False))

    def _encode_chat(self, messages: Sequence[Message], answer: str) -> dict[str, list[int]]:
        turns = [m.as_dict() for m in (*messages, Message("assistant", answer))]
        ids = self._tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False)
        return {"input_ids": list(ids), "attention_mask": [1] * len(ids)}

    def _fit(self, question: str, answer: str, room: int) -> tuple[str, str]:
        """Returns both texts cut to ``room`` tokens: the question's start goes first, then the answer's end."""
        needed = min(self._count(question), room // QUESTION_SHARE)
        answer = self._cut(answer, room - needed, from_left=False)
        return self._cut(question, room - self._count(answer), from_left=True), answer

    def _count(self, text: str) -> int:
        return len(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _cut(self, text: str, tokens: int, *, from_left: bool) -> str:
        """Returns the text's last (or first) tokens, as text."""
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        spans = encoded["offset_mapping"]
        if len(spans) <= tokens:
            return text
        return text[spans[len(spans) - tokens][0] :] if from_left else text[: spans[tokens - 1][1]]


@contextmanager
def open_reward_model(
    model: ModelConfig, config: PreferConfig, engine: EngineConfig, hardware: Hardware
) -> Iterator[RewardModel]:
    """Loads a reward model as the settings say; its memory is given back when the block ends."""
    from ..models import load_reward_model, load_tokenizer

    set_threads(engine.threads)
    known = shape(model)
    device = choose_device(hardware, engine.device)
    single = device == "cpu" or (known is not None and known.parameters <= SMALL)
    dtype = "float32" if engine.dtype == "auto" and single else choose_dtype(hardware, engine.dtype)[0]
    reward = RewardModel(
        load_reward_model(model, dtype, device),
        load_tokenizer(model),
        batch_size=config.reward_batch_size,
        max_tokens=config.reward_max_tokens,
        device=device,
    )
    try:
        yield reward
    finally:
        reward.close()


def question_text(messages: Sequence[Message]) -> str:
    """Returns the prompt as the one text that pair models read: its turns, a line each."""
    return "\n".join(message.content for message in messages)


def _marks_pairs(tokenizer: Any) -> bool:
    """Returns whether the tokenizer puts a token between the texts of a pair that is not just another BOS."""
    encoded = tokenizer("a", "b")
    sources = encoded.sequence_ids(0)
    if 0 not in sources or 1 not in sources:
        return False
    between = encoded["input_ids"][sources.index(0) : sources.index(1)]
    framing = {i for i, source in zip(between, sources[sources.index(0) :], strict=False) if source is None}
    return bool(framing - {tokenizer.bos_token_id})
