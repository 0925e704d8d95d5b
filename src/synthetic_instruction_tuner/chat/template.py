"""A model's chat template as token ids, derived from any tokenizer: no template is written by hand.

A conversation is rendered with marker words in place of the messages and split at them. The text before the user's
marker is the pre-query text from which Magpie samples instructions (Xu et al., 2024, section 2); the text before the
assistant's marker is the prompt; the first special token after a marker ends that turn. `turns` does the splitting.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from synthetic_instruction_tuner.chat.rendering import Renderer, unusable
from synthetic_instruction_tuner.chat.rendering_limits import RenderingLimit
from synthetic_instruction_tuner.chat.thought_marks import think_marks
from synthetic_instruction_tuner.chat.turn_marks import answer_end, turn_openings
from synthetic_instruction_tuner.chat.turns import PLAIN_FIX, SystemStyle, Turns
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Message

_BEGINNINGS = ("What", "a", "1", "(", "\u00e9")  # the tokens before a message must not depend on its beginning


class ChatTemplate:
    """Token ids of conversations for one tokenizer. Made by `from_tokenizer`.

    Attributes:
        tokenizer: the tokenizer that it was made from.
        parts: whether messages are given as lists of parts, as templates of image models expect.
        fingerprint: a hash of the template's source.
        stop_ids: each of these ends a turn: the user's, the assistant's, or the whole text.
        opening_ids: those of them that begin a turn; a model that writes one has ended its own.
        end_of_turn_ids: what the model must write after its answer; trained as part of it.
        cut_text: plain text that ends a user's turn if the template has no special token for it; else empty.
        answer_cut_text: the same for an answer: the next turn's start.
        system_style: what the template does with system prompts; see `Turns`.
        thinks: the marks around the model's thoughts, or None.
        opens_thoughts: whether a thinking model's prompt opens its thoughts, so that the model does not.
        always_thinks: whether a prompt opens thoughts also where none are asked for.
    """

    def __init__(self, tokenizer: Any, parts: bool, extra_stops: Sequence[int] = ()) -> None:
        self.tokenizer, self.parts = tokenizer, parts
        self._text = Renderer(tokenizer, parts)
        self.fingerprint = hashlib.sha256(self._text.source.encode("utf-8", "replace")).hexdigest()[:16]
        turns = self._turns = Turns(self._text)
        self.system_style: SystemStyle = turns.system_style
        self.thinks = think_marks(self._text, turns)
        gap = turns.before_answer.removeprefix(turns.asked)
        same = turns.before_answer.startswith(turns.asked) and not gap.strip()
        # If the template has no generation prompt, or one that opens a thinking block that its answers do not have, the
        # prompt is the text before a real answer. A block that is closed again keeps the model from thinking, also if
        # the answers of a history are shown without it.
        self._asks = same or (self.thinks is not None and turns.asked.rstrip().endswith(self.thinks.bridge.strip()))
        self._gap = gap if same else ""
        self._end_text, self.end_of_turn_ids = answer_end(self._text, turns)
        user_end = self._text.first_special(turns.after_user)
        self.cut_text = "" if user_end else turns.after_user.strip()
        self._user_ends = bool(turns.after_user.strip())
        self._user_tail = user_end[0].strip() if user_end else ""
        ended = self._text.first_special(turns.after_answer) or self._text.first_special(turns.between_turns)
        self.answer_cut_text = "" if ended else turns.between_turns.strip()
        end = self._text.first_special(self._end_text)
        self._answer_tail = end[0].strip() if end else ""
        self._marks = [token for token in self.end_of_turn_ids if token in self._text.special]
        self._user_end = user_end[1] if user_end else None
        stops = {*self._marks, *self.end_of_turn_ids[-1:], *extra_stops, tokenizer.eos_token_id, self._user_end}
        ends = {stop for stop in stops if stop is not None}
        self.opening_ids = turn_openings(self._text, turns, self._marks, self.thinks) - ends
        self.stop_ids: tuple[int, ...] = tuple(sorted(ends | self.opening_ids))
        plain, thinking = (self.prompt_ids([Message("user", "zq")], thinking=wish) for wish in (False, True))
        self.always_thinks, self.opens_thoughts = self.opens(plain), self.opens(thinking, thinking=True)
        self._queries: dict[str | None, list[int]] = {}

    @classmethod
    def from_tokenizer(cls, tokenizer: Any, generation_config: Any = None) -> ChatTemplate:
        """Derives everything from the tokenizer's chat template.

        Args:
            tokenizer: a tokenizer of transformers with a chat template.
            generation_config: the model's generation configuration, if available; its end tokens stop a text too.

        Raises:
            UserError: there is no chat template, or it cannot be taken apart.
        """
        if not tokenizer.chat_template:
            raise UserError(
                "The model has no chat template.",
                "its tokenizer does not say how a conversation is written; it may be a base model",
                "Use the chat (instruct) version of the model, or name one in the model's setting chat_template.",
            )
        extra = getattr(generation_config, "eos_token_id", None)
        extra = [] if extra is None else [extra] if isinstance(extra, int) else list(extra)
        try:
            return cls(tokenizer, False, extra)
        except RenderingLimit:
            raise
        except UserError as error:
            try:  # templates of image models take messages as lists of parts
                return cls(tokenizer, True, extra)
            except UserError:
                raise error from None

    def pre_query_ids(self, system: str | None = None, history: Sequence[Message] = ()) -> list[int]:
        """Returns everything up to where the user's next message starts.

        They are the ids that the conversation begins with, whatever the message. They exclude a space that would merge
        with the message's first token: the model writes that token itself.

        Raises:
            UserError: the template has no place for the system prompt, or nothing marks a user's turn.
        """
        if not history and system in self._queries:
            return list(self._queries[system])
        start = [Message("system", system)] if system else []
        text = self._turns.before_user([*start, *history, Message("user", "zq")])
        self._require_system(system, text)
        ids = _common_start([self._text.encode(text + beginning) for beginning in _BEGINNINGS])
        if self._text.is_bare(ids):
            cause = "there is nothing before the user's message that would make a model write one"
            raise unusable(cause, PLAIN_FIX)
        if not self._user_ends:
            raise unusable("nothing but white space ends a user's turn", PLAIN_FIX)
        if not history and len(self._queries) < 1000:
            self._queries[system] = ids
        return list(ids)

    def prompt_ids(self, messages: Sequence[Message], thinking: bool = False) -> list[int]:
        """Returns the conversation, which ends with the user's turn, up to where the assistant's turn starts.

        Args:
            messages: the conversation.
            thinking: up to where a thinking model begins to think, else up to where its answer starts.
        """
        return self._text.encode(self._prompt_text(messages, thinking))

    def training_ids(self, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
        """Returns the ids of prompt, last answer and end of turn, and True for each id of the latter two.

        The ids start with exactly `prompt_ids(messages[:-1])`: a model is trained on the prompts that it is asked with.
        """
        prompt_text = self._prompt_text(messages[:-1])
        answer, end = self._gap + self._text.escape(messages[-1].content), self._end_text or ""
        prompt = self._text.encode(prompt_text)
        if self.thinks and self.opens(prompt):  # no thoughts: the answer begins where they have ended
            bridge = self.thinks.bridge
            answer = (bridge.lstrip() if prompt_text[-1:].isspace() else bridge) + answer
        whole = self._text.encode(prompt_text + answer + end)
        if whole[: len(prompt)] != prompt:  # a token spans the boundary; a model that is asked never sees that token
            whole = prompt + self._text.continued(answer + end)
        if not self._end_text:
            whole += self.end_of_turn_ids
        assert whole[: len(prompt)] == prompt
        return whole, [False] * len(prompt) + [True] * (len(whole) - len(prompt))

    def opens(self, prompt: Sequence[int], thinking: bool = False) -> bool:
        """Returns whether a prompt ends within thoughts: a user's words (/no_think) may have closed or opened them.

        Args:
            prompt: its ids.
            thinking: whether thoughts were asked for, which some models begin without any mark.
        """
        if self.thinks is None:
            return False
        ends = [place for place, token in enumerate(prompt) if token == self._user_end]
        end = self._raw(prompt[ends[-1] + 1 :] if ends else prompt[-32:])
        if thinking and not self.thinks.opening:
            return self.thinks.closing not in end
        return self.thinks.opened_by("" if self.thinks.opening else self._raw(prompt), end)

    def decode(self, ids: Sequence[int], prompt: Sequence[int] | None = None) -> str:
        """Returns the text of an answer: no thoughts, special tokens, NUL, lone surrogate or outer whitespace.

        Args:
            ids: what the model wrote.
            prompt: what it was asked; if it is not given, a plain question.
        """
        return self.split_answer(ids, None if prompt is None else self.opens(prompt))[1]

    def split_answer(self, ids: Sequence[int], opened: bool | None = None) -> tuple[str, str]:
        """Returns a thinking model's thoughts, empty where there are none, and its answer.

        Args:
            ids: what the model wrote; nothing from the first token on that ends a turn belongs to the answer.
            opened: whether the prompt has opened the thoughts; if it is not given, whether a plain question does.
        """
        thoughts = ""
        if self.thinks:
            thoughts, ids = self.thinks.split(self.tokenizer, ids, self.always_thinks if opened is None else opened)
        answer = self._clean(self._one_turn(ids))
        if thoughts and self.thinks:
            answer = self.thinks.bare(answer)
        if self.answer_cut_text:
            answer = answer.partition(self.answer_cut_text)[0].strip()
        if self._answer_tail:  # what the template itself puts after every answer
            answer = answer.removesuffix(self._answer_tail).strip()
        return _storable(thoughts), answer

    def marked_answer(self, ids: Sequence[int], opened: bool, stop_ids: Collection[int]) -> str:
        """Returns the text of an answer with its special tokens: no thoughts, and nothing from a stop on.

        Args:
            ids: what the model wrote.
            opened: whether the prompt has opened its thoughts.
            stop_ids: what ends it.
        """
        if self.thinks:
            ids = self.thinks.split(self.tokenizer, ids, opened)[1]
        end = next((place for place, token in enumerate(ids) if token in stop_ids), len(ids))
        return _storable(self._raw(ids[:end]))

    def decode_user(self, ids: Sequence[int]) -> tuple[str, bool]:
        """Returns the text of a user's turn, and whether it ended at a token or plain text that ends such a turn."""
        turn = self._one_turn(ids)
        text, ended = self._clean(turn), len(turn) < len(ids)
        if self.cut_text:
            text, found, _ = text.partition(self.cut_text)
            text, ended = text.strip(), ended or bool(found)
        if self._user_tail:  # what the template itself puts after every message
            text = text.removesuffix(self._user_tail).strip()
        return text, ended

    def thinking_stop_ids(self) -> tuple[int, ...]:
        """Returns the stops of a turn that begins with thoughts, without those that only end the thoughts.

        Raises:
            UserError: the template shows no thoughts, or their end is the same as the turn's.
        """
        if self.thinks is None:
            raise unusable("it has no place for thoughts", "Set generate.thinking: false.")
        inside = set(self._text.continued(self.thinks.closing))
        if inside.intersection(self._marks[:1] or self.end_of_turn_ids[-1:]):
            raise unusable("thoughts and answers end with the same token", "Set generate.thinking: false.")
        return tuple(stop for stop in self.stop_ids if stop not in inside)

    def describe(self) -> dict[str, str]:
        """Returns what was derived, as text for display."""
        names = self.tokenizer.convert_ids_to_tokens
        system = {
            "own": "have their own place",
            "folded": "rejected by the template; prepended to the first message",
            "dropped": "omitted by the template",
        }
        return {
            "before the user's message": repr(self.tokenizer.decode(self.pre_query_ids())),
            "before the answer": repr(self.tokenizer.decode(self.prompt_ids([Message("user", "...")]))),
            "end of turn": " ".join(map(str, names(self.end_of_turn_ids))),
            "stops": " ".join(map(str, names(list(self.stop_ids)))),
            "system prompts": system[self.system_style],
            "thoughts": f"{self.thinks.opening} ... {self.thinks.closing}" if self.thinks else "none",
        }

    def _prompt_text(self, messages: Sequence[Message], thinking: bool = False) -> str:
        if not messages or messages[-1].role != "user":
            raise ValueError("a prompt ends with the user's turn")
        arranged = self._turns.arranged(messages)
        if self._asks or thinking:
            text = self._text.render(arranged, generation=True, thinking=thinking)
        else:
            text = self._text.split([*arranged, Message("assistant", "zq")], len(arranged))[0]
        self._require_system(messages[0].content if messages[0].role == "system" else None, text)
        return text

    def _require_system(self, system: str | None, text: str) -> None:
        if system and self._text.escape(system).strip() not in text:
            fix = "Use a model that takes system prompts, or no domains."
            raise unusable("it omits the system prompt", fix)

    def _one_turn(self, ids: Sequence[int]) -> Sequence[int]:
        """Returns what comes before the first token that ends a turn."""
        return ids[: next((place for place, token in enumerate(ids) if token in self.stop_ids), len(ids))]

    def _raw(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False))

    def _clean(self, ids: Sequence[int]) -> str:
        return _storable(str(self.tokenizer.decode(list(ids), skip_special_tokens=True)))


def _common_start(lists: Sequence[list[int]]) -> list[int]:
    same = 0
    for column in zip(*lists, strict=False):
        if len(set(column)) > 1:
            break
        same += 1
    return lists[0][:same]


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "").strip()
