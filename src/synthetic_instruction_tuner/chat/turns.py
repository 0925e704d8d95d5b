"""Takes a chat template apart: the fixed text around the turns of a conversation, and how it takes system prompts.

The result is checked with other messages, among them one with line breaks, braces and role names. A template that
treats them differently is rejected, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from synthetic_instruction_tuner.chat.rendering import Renderer, TurnsRejected, unusable
from synthetic_instruction_tuner.chat.rendering_limits import RenderingLimit
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Message

PLAIN_FIX = "Use a model with a plain chat template."
_QUESTION, _ANSWER, _SYSTEM = "zqQuestionqz", "zqReplyqz", "zqSystemqz"
_ODD = "zqOther assistant\nline: 2?\n\nSystem: user {{ x }}qz"
_DEFAULT_SYSTEM = "You are a helpful assistant."
SystemStyle = Literal["own", "folded", "dropped"]


class Turns:
    """The text around turns.

    Attributes:
        question: the user's words in the texts below.
        system_style: ``own`` if system prompts have their own place, ``folded`` if the template rejects them and they
            are prepended to the first user message, ``dropped`` if the template omits them.
        before_question: everything before a first question.
        asked: a question's conversation up to where the template itself asks for the answer.
        before_answer: a question's conversation up to where a real answer starts.
        after_user: from the end of a question to the start of its answer.
        after_answer: everything after the last answer.
        asks_always: whether the template asks for an answer also where nobody has told it to.
        between_turns: from the end of an answer to the start of the next question; empty if none may follow.
    """

    question = _QUESTION

    def __init__(self, renderer: Renderer) -> None:
        """Takes the template apart.

        Raises:
            UserError: it cannot be taken apart.
        """
        self._text = renderer
        question, answer = Message("user", _QUESTION), Message("assistant", _ANSWER)
        self._needs_system = self._refuses([question])
        self.system_style: SystemStyle = self._find_system_style()
        before_user = self.before_question = self.before_user([question])
        self.asked = renderer.render(self.arranged([question]), generation=True)
        self.asks_always = renderer.render(self.arranged([question])) == self.asked
        talk = self.arranged([question, answer])
        self.before_answer, self.after_answer = renderer.split(talk, len(talk) - 1)
        if _QUESTION not in self.before_answer:
            raise unusable("it omits the question when it shows the answer", PLAIN_FIX)
        self.after_user = self.before_answer.partition(_QUESTION)[2]
        self._check(talk, before_user)
        self.between_turns = self._between([question, answer])

    def arranged(self, messages: Sequence[Message]) -> list[Message]:
        """Returns messages in the form that the template accepts.

        They are escaped, with a system prompt if there must be one, and without one if there cannot be.
        """
        turns = [Message(m.role, self._text.escape(m.content)) for m in messages]
        if turns[0].role == "system" and self.system_style == "folded" and len(turns) > 1:
            system, first, *rest = turns
            return [Message(first.role, f"{system.content}\n\n{first.content}"), *rest]
        if turns[0].role != "system" and self._needs_system:
            return [Message("system", _DEFAULT_SYSTEM), *turns]
        return turns

    def before_user(self, messages: Sequence[Message]) -> str:
        """Returns the text before the last message, a user's, as it is when the assistant is then asked."""
        arranged = self.arranged(messages)
        before = self._text.split(arranged, len(arranged) - 1, generation=True)[0]
        if len(arranged) < len(messages):  # the system prompt is in one of them
            head = arranged[-1].content.removesuffix(self._text.escape(messages[-1].content))
            return before + head
        return before

    def _refuses(self, messages: list[Message]) -> bool:
        """Returns whether the template rejects a user's first message without a system prompt before it."""
        try:
            self._text.render(messages)
        except TurnsRejected:
            try:
                self._text.render([Message("system", _DEFAULT_SYSTEM), *messages])
            except TurnsRejected:
                return False
            return True
        return False

    def _find_system_style(self) -> SystemStyle:
        try:
            text = self._text.render([Message("system", _SYSTEM), Message("user", _QUESTION)], generation=True)
        except TurnsRejected:
            return "folded"
        return "own" if _SYSTEM in text else "dropped"

    def _check(self, talk: list[Message], before_user: str) -> None:
        """Checks that the text around messages does not depend on them, and the assistant's header follows the user."""
        odd = [Message(m.role, m.content.replace(_QUESTION, _ODD)) for m in talk]
        other = self._text.split(odd, len(talk) - 1)[0]
        whole = self._text.render([*talk[:-1], Message("assistant", _ODD)])
        if (
            not self.before_answer.startswith(before_user)
            or self.before_answer.replace(_QUESTION, _ODD) != other
            or whole != self.before_answer + _ODD + self.after_answer
        ):
            raise unusable("the text around a message depends on the message", PLAIN_FIX)
        end = self._text.first_special(self.after_user)
        header = self.after_user[len(end[0]) + len(self._text.name(end[1])) :] if end else self.after_user
        if header.strip() and self._text.first_special(header) and header.strip() in before_user:
            raise unusable("the assistant's turn begins before the user's", PLAIN_FIX)

    def _between(self, talk: list[Message]) -> str:
        try:
            longer = self.arranged([*talk, Message("user", "zq")])
            return self._text.split(longer, len(longer) - 1)[0].rpartition(_ANSWER)[2]
        except RenderingLimit:
            raise
        except UserError:  # it accepts only one question and one answer
            return ""
