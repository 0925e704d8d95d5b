"""A conversation as text and as token ids, for one tokenizer's chat template.

Messages are data: a template token in a message (somebody typed "<|im_end|>") is encoded letter by letter and never
ends a turn. It is escaped before the template is rendered and spelled out afterwards. Text is encoded without the
tokenizer's own special tokens, so that there is no second BOS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from synthetic_instruction_tuner.chat.rendering_limits import RenderingLimit, check_rendering
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Message

PROBLEM = "The model's chat template cannot be used."
DATE = "26 Jul 2024"
_FIXED_DATE = "{%- macro strftime_now(format) -%}" + DATE + "{%- endmacro -%}"
_ESCAPE, _FIRST = "\U0010fffd", 0xF0000  # private-use characters: an escaped special token is _ESCAPE and its number
_SWITCHES = ("enable_thinking", "thinking")  # of a template's reasoning block: they open or close it
_LISTS = ("tools", "documents")  # variables of a template that are None where there are none of them
_NOTHING = re.compile(r"\b(None|null)\b")


class Renderer:
    """Renders and encodes conversations.

    Args:
        tokenizer: a tokenizer of transformers with a chat template.
        parts: pass messages as lists of parts, as templates of image models expect.
        tools: take the template for tools, where there are several.

    Attributes:
        special: ids of the tokens that are not text: special ones, and added ones that are not white space.
    """

    def __init__(self, tokenizer: Any, parts: bool = False, tools: bool = False) -> None:
        self.tokenizer, self._parts = tokenizer, parts
        self._name = str(getattr(tokenizer, "name_or_path", "") or "the model")
        try:
            self.source = str(tokenizer.get_chat_template(**({"tools": []} if tools else {})))
        except ValueError as error:  # several named templates, none of them the default
            fix = "Choose one of them as the model's chat_template (a .jinja file)."
            raise unusable(" ".join(str(error).split())[:200], fix) from None
        # A fixed date: the same conversation has the same ids tomorrow.
        self._source = _FIXED_DATE + self.source if "strftime_now" in self.source else self.source
        added = {i: token for i, token in tokenizer.added_tokens_decoder.items() if token.content.strip()}
        self.special = frozenset(added) | frozenset(tokenizer.all_special_ids)
        # Tokens that are added but not special, such as <think>, are text that a message may contain.
        names = {t.content for t in added.values() if t.special} | {str(t) for t in tokenizer.all_special_tokens}
        self._control = sorted(filter(str.strip, names), key=lambda name: (-len(name), name))
        self._pattern = re.compile("|".join(map(re.escape, [_ESCAPE, *self._control])))
        self._numbers = {name: chr(_FIRST + i) for i, name in enumerate([_ESCAPE, *self._control])}
        self._lists: dict[str, Any] | None = None if re.search(rf"\b({'|'.join(_LISTS)})\b", self.source) else {}
        self._bos = tokenizer.bos_token_id
        self._adds_bos = self._bos is not None and list(tokenizer.encode("a"))[:1] == [self._bos]

    def escape(self, text: str) -> str:
        """Returns a message's text in the form that `render` takes: valid UTF-8, with special tokens escaped."""
        text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate cannot be encoded
        return self._pattern.sub(lambda found: _ESCAPE + self._numbers[found[0]], text)

    def render(
        self,
        messages: Sequence[Message],
        *,
        generation: bool = False,
        thinking: bool = False,
        reasoning: Mapping[str, str] | None = None,
    ) -> str:
        """Returns the template's text for (escaped) messages.

        Args:
            generation: add the start of the assistant's turn.
            thinking: let the assistant think first, if the template supports it.
            reasoning: the thoughts before the last message, which is an assistant's, by their names in a message.

        Raises:
            UserError: the template rejects the messages, or rendering them takes too long or too much memory.
        """
        turns: list[dict[str, Any]] = [m.as_dict() for m in messages]
        if self._parts:
            turns = [{"role": t["role"], "content": [{"type": "text", "text": t["content"]}]} for t in turns]
        if reasoning is not None:
            turns[-1] |= reasoning
        options = {"add_generation_prompt": generation, "date_string": DATE} | dict.fromkeys(_SWITCHES, thinking)
        if self._lists is None:
            self._lists = self._find_lists()
        try:
            return self._rendered(turns, options | self._lists)
        except RenderingLimit:
            raise
        except Exception as error:  # templates are programs and may raise anything
            roles, reason = ", ".join(m.role for m in messages), " ".join(str(error).split())[:200]
            if isinstance(error, jinja2.TemplateSyntaxError):
                cause = f"it is no valid Jinja template (line {error.lineno}: {reason})"
                raise TurnsRejected(PROBLEM, cause, "Get the model's files again, or name a chat_template.") from error
            fix = "Use a model whose template accepts these roles; without domains no system prompt is used."
            raise TurnsRejected(PROBLEM, f"it rejects the turns {roles} ({reason})", fix) from error

    def render_turns(
        self, turns: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]], generation: bool = False
    ) -> str:
        """Returns the template's text for turns in the form that templates get, whose texts are escaped.

        Args:
            turns: the messages, with calls of tools and their results.
            tools: what the assistant may call.
            generation: add the start of the assistant's turn.

        Raises:
            UserError: the template rejects the turns, or rendering them takes too long or too much memory.
        """
        plain = [dict(turn) for turn in turns]
        if self._parts:
            plain = [t | {"content": [{"type": "text", "text": t["content"]}]} for t in plain]
        options = {"add_generation_prompt": generation, "date_string": DATE} | dict.fromkeys(_SWITCHES, False)
        try:
            return self._rendered(plain, options | {"tools": list(tools)})
        except RenderingLimit:
            raise
        except Exception as error:  # as in `render`
            reason = " ".join(str(error).split())[:200]
            raise TurnsRejected(
                PROBLEM, f"it rejects tools ({reason})", "Use a model whose template takes tools."
            ) from error

    def without_control(self, text: str) -> str:
        """Returns a text without the special tokens in it."""
        return re.sub("|".join(map(re.escape, self._control)), "", text) if self._control else text

    def _rendered(self, turns: list[dict[str, Any]], options: dict[str, Any]) -> str:
        check_rendering(self._name, self._source, turns, self.tokenizer.special_tokens_map | options)
        return str(self.tokenizer.apply_chat_template(turns, chat_template=self._source, tokenize=False, **options))

    def _find_lists(self) -> dict[str, Any]:
        """Returns empty lists of tools and documents if the template needs them, or writes that they are None."""
        empty: dict[str, Any] = {name: [] for name in _LISTS}
        for roles in (("user",), ("system", "user"), ("user", "assistant")):
            for generation in (True, False):
                given = self._tried(roles, generation, empty)
                without = None if given is None else self._tried(roles, generation, {})
                if given is not None and (
                    without is None or len(_NOTHING.findall(without)) > len(_NOTHING.findall(given))
                ):
                    return empty
        return {}

    def _tried(self, roles: Sequence[str], generation: bool, lists: dict[str, Any]) -> str | None:
        """Returns a conversation's text, or None if the template rejects it."""
        content: Any = [{"type": "text", "text": "zq"}] if self._parts else "zq"
        options = {"add_generation_prompt": generation, "date_string": DATE} | dict.fromkeys(_SWITCHES, False)
        try:
            return self._rendered([{"role": role, "content": content} for role in roles], options | lists)
        except RenderingLimit:
            raise
        except Exception:  # as in `render`
            return None

    def split(self, messages: Sequence[Message], number: int, **options: Any) -> tuple[str, str]:
        """Returns the rendered text before and after the message with this number.

        The message's own text does not matter: a marker takes its place.
        """
        marker = free_marker(messages)
        marked = [*messages[:number], Message(messages[number].role, marker), *messages[number + 1 :]]
        text = self.render(marked, **options)
        if text.count(marker) != 1:
            role, times = messages[number].role, text.count(marker)
            cause = f"it shows a message of the {role} {times} times" + (" or changes its letters" if not times else "")
            raise unusable(cause, "Use a model with a plain chat template.")
        before, _, after = text.partition(marker)
        return before, after

    def encode(self, text: str) -> list[int]:
        """Returns the ids of a rendered text from its start: one BOS if the model uses one, never two."""
        ids = self.continued(text)
        if self._adds_bos and ids[:1] != [self._bos]:
            return [self._bos, *ids]
        while self._bos is not None and ids[:2] == [self._bos] * 2:
            del ids[0]
        return ids

    def continued(self, text: str) -> list[int]:
        """Returns the ids of a later piece of a rendered text."""
        if _ESCAPE not in text:
            return list(self.tokenizer.encode(text, add_special_tokens=False))
        first, *rest = text.split(_ESCAPE)
        ids = list(self.tokenizer.encode(first, add_special_tokens=False)) if first else []
        for piece in rest:
            place = ord(piece[0]) - _FIRST if piece else -1
            if 0 <= place <= len(self._control):
                ids += self._spelled([_ESCAPE, *self._control][place])
                piece = piece[1:]
            if piece:
                ids += self.tokenizer.encode(piece, add_special_tokens=False)
        return ids

    def is_bare(self, ids: Sequence[int]) -> bool:
        """Returns whether there is nothing but a BOS."""
        return not [i for i in ids if i != self._bos]

    def name(self, token: int) -> str:
        """Returns a token as text."""
        return str(self.tokenizer.convert_ids_to_tokens(token))

    def first_special(self, text: str) -> tuple[str, int] | None:
        """Returns the text before the first special token of a text, and that token's id; or None."""
        for token in self.continued(text):
            if token in self.special:
                return text.partition(self.name(token))[0], token
        return None

    def _spelled(self, text: str) -> list[int]:
        """The ids of a special token's letters."""
        ids = list(self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))
        if not self.special.intersection(ids):
            return ids
        letters = [i for c in text for i in self.tokenizer.encode(c, add_special_tokens=False)]
        return [i for i in letters if i not in self.special]


class TurnsRejected(UserError):
    """The template raised an error for these turns."""


def free_marker(messages: Sequence[Message]) -> str:
    """Returns a word that occurs in none of the messages."""
    number, texts = 0, [m.content for m in messages]
    while any(f"zqText{number}qz" in text for text in texts):
        number += 1
    return f"zqText{number}qz"


def unusable(cause: str, fix: str) -> UserError:
    """Returns the error for a template that cannot be used."""
    return UserError(PROBLEM, cause, fix)
