"""What a model's chat template says about turns, derived from any tokenizer: no template is written by hand.

A conversation is rendered with marker words in place of the messages and split at them. What stands before the user's
marker is the pre-query text that Magpie samples instructions from (Xu et al., 2024, section 2); what stands before the
assistant's marker is the prompt; the first special token after a marker ends that turn. Text goes to token ids without
the tokenizer's own special tokens, so that no second BOS comes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Message

_USER, _ANSWER, _NEXT, _SYSTEM = "zqUserTextqz", "zqAnswerTextqz", "zqNextTextqz", "zqSystemTextqz"
_OTHER_USER = "zqOther assistant\nline: two?qz"
_DATE = "26 Jul 2024"
_FIXED_DATE = "{%- macro strftime_now(format) -%}" + _DATE + "{%- endmacro -%}"


@dataclass(frozen=True, slots=True)
class _Turns:
    """The fixed text around the two turns of a conversation."""

    before_user: str
    before_answer: str
    after_answer: str
    between_turns: str


class ChatTemplate:
    """Token ids of conversations for one tokenizer. Made by `from_tokenizer`.

    Attributes:
        tokenizer: the tokenizer that it was made from.
        stop_ids: any of these ends a turn: of the user, of the assistant, or the whole text.
        end_of_turn_ids: what the model has to write after its answer; trained as part of it.
        cut_text: plain text that ends a user's turn where the template has no special token for it; else empty.
    """

    def __init__(self, tokenizer: Any, parts: bool, extra_stops: Sequence[int] = ()) -> None:
        self.tokenizer, self._parts = tokenizer, parts
        # A fixed date: the same conversation has the same ids tomorrow.
        source = tokenizer.get_chat_template()
        self._source = _FIXED_DATE + source if "strftime_now" in source else source
        self._special = set(tokenizer.added_tokens_decoder) | set(tokenizer.all_special_ids)
        bos = tokenizer.bos_token_id
        self._bos = bos if bos is not None and tokenizer.encode("a")[:1] == [bos] else None
        turns = self._turns()
        asked = self._render([Message("user", _USER)], generation=True)
        gap = turns.before_answer.removeprefix(asked)
        # A template without a generation prompt, or whose prompt opens a thinking block that its answers do not have,
        # is prompted with what stands before a real answer.
        self._asks = turns.before_answer.startswith(asked) and not gap.strip()
        self._gap = gap if self._asks else ""
        self._end_text, self.end_of_turn_ids = self._end(turns)
        after_user = turns.before_answer.partition(_USER)[2]
        user_end = self._first_special(after_user)
        self.cut_text = "" if user_end is not None else after_user.strip()
        eos = tokenizer.eos_token_id
        stops = {*self.end_of_turn_ids[-1:], *extra_stops, user_end, eos} - {None}
        self.stop_ids: tuple[int, ...] = tuple(sorted(stops))
        self._queries: dict[Any, list[int]] = {}

    @classmethod
    def from_tokenizer(cls, tokenizer: Any, generation_config: Any = None) -> ChatTemplate:
        """Derives everything from the tokenizer's chat template.

        Args:
            tokenizer: a tokenizer of transformers with a chat template.
            generation_config: the model's generation configuration, if at hand; its end tokens stop a text too.

        Raises:
            UserError: there is no chat template, or it cannot be taken apart.
        """
        if not tokenizer.chat_template:
            raise UserError(
                "The model has no chat template.",
                "its tokenizer does not say how a conversation is written; it may be a base model",
                "Use the chat (instruct) version of the model, or set tokenizer.chat_template.",
            )
        extra = getattr(generation_config, "eos_token_id", None)
        extra = [] if extra is None else [extra] if isinstance(extra, int) else list(extra)
        try:
            return cls(tokenizer, False, extra)
        except UserError as error:
            try:  # templates of image models take messages as lists of parts
                return cls(tokenizer, True, extra)
            except UserError:
                raise error from None

    def pre_query_ids(self, system: str | None = None, history: Sequence[Message] = ()) -> list[int]:
        """Returns everything up to where the user's next message starts."""
        key = (system, *history)
        if key not in self._queries:
            start = [Message("system", system)] if system else []
            text = self._split([*start, *history, Message("user", _USER)], _USER)[0]
            if system and system.strip() not in text:
                raise _no_system()
            self._queries[key] = self._encode(text)
        return list(self._queries[key])

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Returns the conversation, which ends with the user's turn, up to where the assistant's answer starts."""
        return self._encode(self._prompt_text(messages))

    def training_ids(self, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
        """Returns the ids of prompt, last answer and end of turn, and True for each id of the latter two.

        The ids start with exactly `prompt_ids(messages[:-1])`: what a model is trained after is what it is asked with.
        """
        prompt_text, answer = self._prompt_text(messages[:-1]), self._gap + messages[-1].content
        prompt = self._encode(prompt_text)
        end = self._end_text or ""
        whole = self._encode(prompt_text + answer + end)
        if whole[: len(prompt)] != prompt:  # a token spans the border; a model that is asked never sees that token
            whole = prompt + self.tokenizer.encode(answer + end, add_special_tokens=False)
        if not self._end_text:
            whole += self.end_of_turn_ids
        assert whole[: len(prompt)] == prompt
        return whole, [False] * len(prompt) + [True] * (len(whole) - len(prompt))

    def decode(self, ids: Sequence[int]) -> str:
        """Returns the text of a completion: no special tokens, no NUL, no lone surrogate, no outer whitespace."""
        text = str(self.tokenizer.decode(list(ids), skip_special_tokens=True))
        return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "").strip()

    def _prompt_text(self, messages: Sequence[Message]) -> str:
        if not messages or messages[-1].role != "user":
            raise ValueError("a prompt ends with the user's turn")
        if self._asks:
            text = self._render(messages, generation=True)
        else:
            text = self._split([*messages, Message("assistant", _ANSWER)], _ANSWER)[0]
        system = messages[0].content.strip() if messages[0].role == "system" else ""
        if system not in text:
            raise _no_system()
        return text

    def _turns(self) -> _Turns:
        """Takes a two-turn conversation apart and checks that the parts fit other messages too."""
        question, answer = Message("user", _USER), Message("assistant", _ANSWER)
        before_user, _ = self._split([question], _USER)
        before_answer, after_answer = self._split([question, answer], _ANSWER)
        other = self._split([Message("user", _OTHER_USER), answer], _ANSWER)[0]
        if not before_answer.startswith(before_user) or before_answer.replace(_USER, _OTHER_USER) != other:
            raise _unusable("what surrounds a message depends on the message", "Use a model with a plain template.")
        try:
            between, _ = self._split([question, answer, Message("user", _NEXT)], _NEXT)
        except UserError:
            between = ""
        return _Turns(before_user, before_answer, after_answer, between.rpartition(_ANSWER)[2])

    def _end(self, turns: _Turns) -> tuple[str, list[int]]:
        """Returns the text after an answer up to its first special token, and its ids."""
        for text in (turns.after_answer, turns.between_turns):
            ids = self.tokenizer.encode(text, add_special_tokens=False)
            place = next((k for k, token in enumerate(ids) if token in self._special), None)
            if place is not None:
                special = self.tokenizer.convert_ids_to_tokens(ids[place])
                head, found, _ = text.partition(special)
                return (head + special if found else ""), ids[: place + 1]
        if self.tokenizer.eos_token_id is None:
            raise _unusable("no special token ends the assistant's turn", "Use a tokenizer with an end-of-text token.")
        return "", [self.tokenizer.eos_token_id]

    def _first_special(self, text: str) -> int | None:
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        return next((token for token in ids if token in self._special), None)

    def _split(self, messages: Sequence[Message], marker: str) -> tuple[str, str]:
        text = self._render(messages)
        if text.count(marker) != 1:
            raise _unusable(f"it shows a message {text.count(marker)} times", "Use a model with a plain chat template.")
        before, _, after = text.partition(marker)
        return before, after

    def _render(self, messages: Sequence[Message], generation: bool = False) -> str:
        turns: list[dict[str, Any]] = [m.as_dict() for m in messages]
        if self._parts:
            turns = [{"role": t["role"], "content": [{"type": "text", "text": t["content"]}]} for t in turns]
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    turns, chat_template=self._source, tokenize=False, add_generation_prompt=generation,
                    enable_thinking=False, date_string=_DATE,
                )
            )  # fmt: skip
        except Exception as error:  # templates are programs; they raise whatever they like
            roles = ", ".join(m.role for m in messages)
            fix = "Use a model whose template takes these roles; without domains no system prompt is used."
            raise _unusable(f"it refuses the turns {roles} ({error})", fix) from error

    def _encode(self, text: str) -> list[int]:
        ids = list(self.tokenizer.encode(text, add_special_tokens=False))
        return [self._bos, *ids] if self._bos is not None and ids[:1] != [self._bos] else ids


def _no_system() -> UserError:
    return _unusable("it leaves out the system prompt", "Use a model that takes system prompts, or no domains.")


def _unusable(cause: str, fix: str) -> UserError:
    return UserError("The model's chat template cannot be used.", cause, fix)
