"""What a reward model reads: the token ids of a question with its answer, as the model was trained to see them.

Encoders such as OpenAssistant's DeBERTa read a pair of texts with a separator between them. Decoders such as the Llama
and Qwen reward models read the whole conversation in their chat template. The tokenizer and the architecture decide.

Question and answer are data: a special token in their text (a typed "[SEP]") gets a space inside, so that an answer
cannot end itself and add a better one. Having the tokenizer split special tokens does not work: Unigram models, such as
DeBERTa's, join the letters again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from synthetic_instruction_tuner.chat.rendering_limits import RenderingLimit, check_rendering
from synthetic_instruction_tuner.config import PreferConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Message, question_text

QUESTION_SHARE = 4  # a question that is cut keeps at least one in four tokens
FIXED_DATE = "26 Jul 2024"  # so that a conversation's score does not change with the date
FIXED_CLOCK = "{%- macro strftime_now(format) -%}" + FIXED_DATE + "{%- endmacro -%}"
TOGETHER = 512  # pairs that are tokenized by one call
LARGEST_LIMIT = 10**7  # tokenizers without a limit report an astronomical one

Encoded = dict[str, list[int]]


class RewardInput:
    """Encodes items for one tokenizer.

    Args:
        tokenizer: the reward model's tokenizer.
        config: the reward model's configuration.
        form: ``pair``, ``chat``, or ``auto``: tokenizer and architecture decide.
        max_tokens: an item is cut to this many tokens, or to the tokenizer's own limit if that is smaller.

    Attributes:
        pairs: whether the model reads pairs of texts, not conversations.

    Raises:
        UserError: the tokenizer does not support the form.
    """

    def __init__(self, tokenizer: Any, config: Any, form: str, max_tokens: int) -> None:
        self.tokenizer = tokenizer
        self.pairs = _reads_pairs(tokenizer, config, form)
        self._special = _special_tokens(tokenizer)
        limit = tokenizer.model_max_length
        self.max_tokens = min(max_tokens, limit) if limit and limit <= LARGEST_LIMIT else max_tokens
        source = None if self.pairs else tokenizer.get_chat_template()
        self._template = FIXED_CLOCK + source if source and "strftime_now" in source else source

    def encode(self, messages: Sequence[Message], answer: str) -> Encoded:
        """Returns the model's input for one item, without padding, cut to the token limit."""
        return self.encode_all([(messages, answer)])[0]

    def encode_all(self, items: Sequence[tuple[Sequence[Message], str]]) -> list[Encoded]:
        """Returns the model's input for each item; pairs are tokenized together, which uses all cores."""
        clean = [([replace(m, content=self._text(m.content)) for m in asked], self._text(a)) for asked, a in items]
        if self.pairs:
            starts = range(0, len(clean), TOGETHER)
            encoded = [one for k in starts for one in self._encode_pairs(clean[k : k + TOGETHER])]
        else:
            encoded = [self._encode_chat(messages, answer) for messages, answer in clean]
        return [
            one if len(one["input_ids"]) <= self.max_tokens else self._cut_to_limit(*item)
            for one, item in zip(encoded, clean, strict=True)
        ]

    def _cut_to_limit(self, messages: Sequence[Message], answer: str) -> Encoded:
        """Returns the input of an item that is too long, its question and its answer cut."""
        encode = self._encode_pair if self.pairs else self._encode_chat
        whole = question_text(messages)
        framing = len(encode([Message("user", whole)], answer)["input_ids"]) - self._count(whole) - self._count(answer)
        room = self.max_tokens - framing
        for _ in range(3):  # tokenized again, a cut text may be a token or two longer than it was
            question, cut = self._fit(whole, answer, max(2, room))
            encoded = encode([Message("user", question)], cut)
            extra = len(encoded["input_ids"]) - self.max_tokens
            if extra <= 0:
                break
            room -= extra
        return {key: ids[: self.max_tokens] for key, ids in encoded.items()}

    def _text(self, text: str) -> str:
        """Returns the text without lone surrogates and with a space inside every special token."""
        clean = text.encode("utf-8", "replace").decode()  # a lone surrogate cannot be encoded
        return self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", clean)

    def _encode_pair(self, messages: Sequence[Message], answer: str) -> Encoded:
        return self._encode_pairs([(messages, answer)])[0]

    def _encode_pairs(self, items: Sequence[tuple[Sequence[Message], str]]) -> list[Encoded]:
        """Returns what the tokenizer gives for each pair alone; to it a question with an empty answer is no pair."""
        pairs = [(question_text(messages), answer) for messages, answer in items]
        together = [pair for pair in pairs if pair[1]]
        options = {"return_attention_mask": True, "verbose": False}
        found = self.tokenizer(*map(list, zip(*together, strict=True)), **options) if together else {}
        whole = iter({key: ids[i] for key, ids in found.items()} for i in range(len(together)))
        return [next(whole) if pair[1] else dict(self.tokenizer(*pair, **options)) for pair in pairs]

    def _encode_chat(self, messages: Sequence[Message], answer: str) -> Encoded:
        turns = [*messages, Message("assistant", answer)]
        try:
            ids = self._render(turns)
        except RenderingLimit:
            raise
        except Exception:  # a template is a program and may raise anything
            ids = self._render(_without_system(turns))
        return {"input_ids": ids, "attention_mask": [1] * len(ids)}

    def _render(self, turns: Sequence[Message]) -> list[int]:
        plain = [m.as_dict() for m in turns]
        options = self.tokenizer.special_tokens_map | {"date_string": FIXED_DATE}
        check_rendering(str(self.tokenizer.name_or_path), str(self._template), plain, options)
        rendered = self.tokenizer.apply_chat_template(
            plain, chat_template=self._template, tokenize=True, return_dict=False, date_string=FIXED_DATE
        )
        return list(rendered)

    def _fit(self, question: str, answer: str, room: int) -> tuple[str, str]:
        """Returns both texts cut to ``room`` tokens: the question loses its start, then the answer its end."""
        needed = min(self._count(question), room // QUESTION_SHARE)
        answer = self._cut(answer, room - needed, from_left=False)
        return self._cut(question, room - self._count(answer), from_left=True), answer

    def _count(self, text: str) -> int:
        return len(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _cut(self, text: str, tokens: int, *, from_left: bool) -> str:
        """Returns the text's last (or first) tokens, as text."""
        if tokens < 1:
            return ""
        if not self.tokenizer.is_fast:  # no offsets: the tokens' own text
            ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
            return str(self.tokenizer.decode(ids[-tokens:] if from_left else ids[:tokens]))
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        spans = encoded["offset_mapping"]
        if len(spans) <= tokens:
            return text
        return text[spans[len(spans) - tokens][0] :] if from_left else text[: spans[tokens - 1][1]]


def reward_settings(config: PreferConfig) -> dict[str, Any]:
    """Returns the settings that a reward model's scores depend on, as plain JSON values."""
    return config.model_dump(mode="json", include={"reward_max_tokens", "reward_input", "reward_label"})


def _special_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Returns a pattern that matches special tokens, the longest first."""
    added = tokenizer.added_tokens_decoder.values()
    names = {token.content for token in added if token.special} | {str(name) for name in tokenizer.all_special_tokens}
    longest_first = sorted((name for name in names if len(name.strip()) > 1), key=lambda name: (-len(name), name))
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _without_system(turns: Sequence[Message]) -> list[Message]:
    """Returns the turns with the system prompt at the start of the first user turn, for templates without one."""
    if turns[0].role != "system":
        return list(turns)
    system, asked, *rest = turns
    return [Message("user", f"{system.content}\n\n{asked.content}"), *rest]


def _reads_pairs(tokenizer: Any, config: Any, form: str) -> bool:
    marked, template = marks_pairs(tokenizer), bool(tokenizer.chat_template)
    pairs = form == "pair" or (form == "auto" and marked and (_is_encoder(config) or not template))
    if pairs and not marked:
        raise UserError(
            "The reward model's tokenizer joins question and answer without a separator.",
            "prefer.reward_input is pair, and the tokenizer has no separator for pairs.",
            "Set prefer.reward_input to chat, or models.reward to a model that reads pairs.",
        )
    if not pairs and not template:
        raise UserError(
            "The reward model's tokenizer joins question and answer without a separator.",
            "It has no chat template" + (", and prefer.reward_input is chat." if marked else " either."),
            "Set a template with models.reward.chat_template, or use another reward model.",
        )
    return pairs


def _is_encoder(config: Any) -> bool:
    """Returns whether the architecture is an encoder: it has a masked language model, or an encoder and a decoder."""
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    return type(config) in MODEL_FOR_MASKED_LM_MAPPING or bool(getattr(config, "is_encoder_decoder", False))


def marks_pairs(tokenizer: Any) -> bool:
    """Returns whether the tokenizer puts a token between the texts of a pair other than another BOS."""
    both, first = tokenizer("a", "b")["input_ids"], tokenizer("a", add_special_tokens=False)["input_ids"]
    second = tokenizer("b", add_special_tokens=False)["input_ids"]
    start = _place(both, first)
    end = _place(both[start + len(first) :], second)
    between = both[start + len(first) : start + len(first) + end]
    return bool(set(between) & set(tokenizer.all_special_ids) - {tokenizer.bos_token_id})


def _place(ids: list[int], part: list[int]) -> int:
    """Returns the index of the part in the ids; 0 if it does not occur."""
    places = range(len(ids) - len(part) + 1)
    return next((k for k in places if ids[k : k + len(part)] == part), 0)
