"""A chat template that offers tools: prompts with calls and their results, and turns read back into calls.

Whether a template can do it, and how it writes a call, is found out by rendering known calls; no model's name is asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.chat.rendering import Renderer, TurnsRejected
from synthetic_instruction_tuner.chat.tools.calls import Said, ToolCall
from synthetic_instruction_tuner.chat.tools.detection import ARGUMENTS, NAME, OTHER, form_of
from synthetic_instruction_tuner.chat.tools.forms import CallForm, Types
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Message

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate

Tool = Mapping[str, Any]
"""A tool as chat templates get it: ``{"type": "function", "function": {"name", "description", "parameters"}}``."""

_RESULT, _SYSTEM, _QUESTION = "zqResultqz", "zqSystemqz", "zqQuestionqz"
_ODD: Mapping[str, Any] = {"zqText": "a: \u00e9 <b>, 1", "zqNumber": 7, "zqMore": True}
_ODD_TYPES: Types = {NAME: {"zqText": "string", "zqNumber": "integer", "zqMore": "boolean"}}


class NoTools(UserError):
    """The chat template has no place for tools."""


class ToolTemplate:
    """Prompts and turns with tools, for one model's chat template.

    Args:
        template: the model's chat template.

    Attributes:
        stop_ids: each of these ends a turn.

    Raises:
        NoTools: the template does not print tools, calls or their results, or in a form that cannot be read back.
    """

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template
        self._text = Renderer(template.tokenizer, template.parts, tools=True)
        self._as_text = self._single = self._folds = False
        tool = _tool(NAME, {key: "string" for key in ARGUMENTS})
        asked = self._asked(tool)
        self._form, tail = self._found_form(tool, asked)
        self._check_results(tool)
        self._check_reading()
        self.stop_ids = self._stops(tail)

    def prompt_ids(self, messages: Sequence[Message], tools: Sequence[Tool]) -> list[int]:
        """Returns a conversation up to where the assistant's turn starts.

        Args:
            messages: the conversation. A turn of the assistant is what the model wrote, with its calls; a turn of the
                role ``tool`` is a result, in the order of the calls.
            tools: what may be called.
        """
        turns = list(self._turns(messages, types_of(tools)))
        return self._text.encode(self._text.render_turns(turns, tools=self._escaped(list(tools)), generation=True))

    def decode(self, ids: Sequence[int], prompt: Sequence[int]) -> str:
        """Returns a turn as text, special tokens included and thoughts left out."""
        return self._template.marked_answer(ids, self._template.opens(prompt), self.stop_ids)

    def read(self, text: str, tools: Sequence[Tool]) -> Said:
        """Returns what a turn says and calls.

        Args:
            text: what `decode` returned.
            tools: what may be called; types of parameters tell texts from numbers where a form does not.
        """
        said = self._form.read(text, types_of(tools))
        return Said(self._text.without_control(said.text).strip(), said.calls)

    def _asked(self, tool: Tool) -> str:
        question = {"role": "user", "content": _QUESTION}
        try:
            text = self._text.render_turns([question], tools=[tool], generation=True)
        except TurnsRejected as error:
            raise _no_tools("it rejects tools") from error
        if NAME not in text:
            raise _no_tools("it does not print tools")
        try:
            system = self._text.render_turns([{"role": "system", "content": _SYSTEM}, question], tools=[tool])
        except TurnsRejected:
            system = ""
        self._folds = _SYSTEM not in system
        return text

    def _found_form(self, tool: Tool, asked: str) -> tuple[CallForm, str]:
        """Returns how calls are read, and what follows a call in its turn."""
        for self._as_text in (False, True):
            shown = self._shown([ToolCall(NAME, ARGUMENTS)], tool)
            if shown is None or list(ARGUMENTS)[1] not in (body := _after(shown, asked, self._template)):
                continue
            two = self._shown([ToolCall(NAME, ARGUMENTS), ToolCall(OTHER, ARGUMENTS)], tool)
            self._single = two is None or OTHER not in two.rpartition(NAME)[2]
            form = form_of(body, "" if self._single or two is None else _after(two, asked, self._template))
            if form is None:
                raise _no_tools("it shows calls of tools in a form that cannot be read back")
            last = str(list(ARGUMENTS.values())[-1])
            return form, body.rpartition(last)[2]
        raise _no_tools("it does not show calls of tools")

    def _shown(self, calls: Sequence[ToolCall], tool: Tool) -> str | None:
        turns = [{"role": "user", "content": _QUESTION}, self._calling("", [(call, k) for k, call in enumerate(calls)])]
        try:
            return self._text.render_turns(turns, tools=[tool])
        except TurnsRejected:
            return None

    def _check_results(self, tool: Tool) -> None:
        question = {"role": "user", "content": _QUESTION}
        turns = [question, self._calling("", [(ToolCall(NAME, ARGUMENTS), 0)]), _result(_RESULT, NAME, 0)]
        try:
            text = self._text.render_turns(turns, tools=[tool], generation=True)
        except TurnsRejected as error:
            raise _no_tools("it rejects the results of tools") from error
        if _RESULT not in text:
            raise _no_tools("it does not show the results of tools")

    def _check_reading(self) -> None:
        """Reads back a call with other arguments, among them a number."""
        tool = _tool(NAME, _ODD_TYPES[NAME])
        asked = self._text.render_turns([{"role": "user", "content": _QUESTION}], tools=[tool], generation=True)
        shown = self._shown([ToolCall(NAME, _ODD)], tool)
        said = self._form.read(_after(shown or "", asked, self._template), _ODD_TYPES)
        if [(call.name, dict(call.arguments)) for call in said.calls] != [(NAME, dict(_ODD))]:
            raise _no_tools("it shows calls of tools in a form that cannot be read back")

    def _stops(self, tail: str) -> tuple[int, ...]:
        """Returns the template's stops, with the token that ends a turn of calls."""
        special = [token for token in self._text.continued(tail) if token in self._text.special]
        return tuple(sorted({*self._template.stop_ids, *special[-1:]}))

    def _turns(self, messages: Sequence[Message], types: Types) -> Iterator[dict[str, Any]]:
        """Yields the turns as templates get them, each result beside its call where a template takes one at a time."""
        open_calls: list[tuple[ToolCall, int]] = []
        count, apart, lead = 0, False, ""
        for message in messages:
            text = self._text.escape(message.content)
            if message.role == "system" and self._folds:
                lead = f"{text}\n\n"
            elif message.role == "assistant":
                said = self._form.read(message.content, types)
                open_calls = [(call, count + k) for k, call in enumerate(said.calls)]
                calls = [call for call in said.calls if call.name]
                apart = self._single and len(calls) > 1
                if not calls:
                    yield {
                        "role": "assistant",
                        "content": self._text.escape(self._text.without_control(message.content)),
                    }
                elif not apart:
                    numbered = [(call, number) for call, number in open_calls if call.name]
                    yield self._calling(self._text.without_control(said.text), numbered)
                count += len(said.calls)
            elif message.role == "tool":
                call, number = open_calls.pop(0) if open_calls else (ToolCall(""), 0)
                if not call.name:  # an answer to a call that could not be read
                    yield {"role": "user", "content": text}
                    continue
                if apart:
                    yield self._calling("", [(call, number)])
                yield _result(text, self._text.escape(call.name), number)
            else:
                yield {"role": message.role, "content": lead + text}
                lead = ""

    def _calling(self, text: str, calls: Sequence[tuple[ToolCall, int]]) -> dict[str, Any]:
        shown = []
        for call, number in calls:
            arguments: Any = self._escaped(dict(call.arguments))
            if self._as_text:
                arguments = json.dumps(arguments, ensure_ascii=False)
            function = {"name": self._text.escape(call.name), "arguments": arguments}
            shown.append({"type": "function", "id": _id(number), "function": function})
        return {"role": "assistant", "content": self._text.escape(text), "tool_calls": shown}

    def _escaped(self, value: Any) -> Any:
        """Returns JSON values with special tokens in their texts escaped."""
        if isinstance(value, str):
            return self._text.escape(value)
        if isinstance(value, Mapping):
            return {self._text.escape(str(key)): self._escaped(inner) for key, inner in value.items()}
        return [self._escaped(one) for one in value] if isinstance(value, list | tuple) else value


def types_of(tools: Sequence[Tool]) -> Types:
    """Returns the JSON type of each parameter of each tool."""
    found = {}
    for tool in tools:
        function = tool["function"]
        properties = function.get("parameters", {}).get("properties", {})
        found[function["name"]] = {key: str(one.get("type", "string")) for key, one in properties.items()}
    return found


def _after(shown: str, asked: str, template: ChatTemplate) -> str:
    """Returns the assistant's turn in a text: what follows the prompt, without thoughts that are closed at once."""
    same = next((k for k, (a, b) in enumerate(zip(shown, asked, strict=False)) if a != b), min(len(shown), len(asked)))
    body = shown[same:]
    closing = template.thinks.closing if template.thinks else ""
    return body.rpartition(closing)[2] if closing and closing in body else body


def _tool(name: str, types: Mapping[str, str]) -> Tool:
    properties = {key: {"type": kind, "description": "zq"} for key, kind in types.items()}
    parameters = {"type": "object", "properties": properties, "required": list(types)}
    return {"type": "function", "function": {"name": name, "description": "zq", "parameters": parameters}}


def _result(text: str, name: str, number: int) -> dict[str, Any]:
    return {"role": "tool", "content": text, "name": name, "tool_call_id": _id(number)}


def _id(number: int) -> str:
    """Returns a call's name in the conversation: nine letters and digits, which Mistral's templates demand."""
    return f"call{number:05d}"


def _no_tools(cause: str) -> NoTools:
    return NoTools("The model's chat template has no place for tools.", cause, "Use the text protocol: --form text.")
