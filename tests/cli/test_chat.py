"""A chat as people type it, and through a pipe."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from random_models import CHATML, byte_tokenizer
from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.cli.chat.command import whom
from synthetic_instruction_tuner.cli.chat.session import Answering, Input, converse
from synthetic_instruction_tuner.config import load_config
from synthetic_instruction_tuner.engines.base import Completion
from synthetic_instruction_tuner.errors import UserError

TOKENIZER = byte_tokenizer(CHATML)
TEMPLATE = ChatTemplate.from_tokenizer(TOKENIZER)


class Echo:
    """Answers with a text that depends on the prompt."""

    def __init__(self, write: Callable[[str], str]) -> None:
        self.write = write
        self.prompts: list[str] = []

    def generate(self, requests: list[Any], done: object = None) -> list[Completion]:
        self.prompts.append(TOKENIZER.decode(list(requests[0].prompt_ids)))
        text = self.write(self.prompts[-1])
        return [Completion(tuple(TOKENIZER.encode(text, add_special_tokens=False)), "stop")]


def talk(engine: Any, as_json: bool = False) -> None:
    converse(Input(), Answering(engine, TEMPLATE, 0, 9, 0), None, as_json)


def pipe(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def typed(monkeypatch: pytest.MonkeyPatch, lines: list[str | type[BaseException]]) -> None:
    rest: Iterator[str | type[BaseException]] = iter([*lines, EOFError])

    def read(prompt: str) -> str:
        line = next(rest)
        if isinstance(line, str):
            return line
        raise line

    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr("builtins.input", read)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ("student-llama", None)),
        (["student-qwen2"], ("student-qwen2", None)),
        (["sft"], ("student-llama", "sft")),
        (["prompt"], ("student-llama", "prompt_tuning")),
        (["student-qwen2", "dpo"], ("student-qwen2", "dpo")),
        (["dpo", "student-qwen2"], ("student-qwen2", "dpo")),
        (["nano:student-qwen2", "base"], ("student-qwen2", "base")),
    ],
)
def test_student_and_variant_in_any_order(words: list[str], expected: tuple[str, str | None]) -> None:
    model, variant = whom(load_config(), words, None)
    assert (model.name, variant) == expected


@pytest.mark.parametrize(
    ("words", "variant", "part"),
    [
        (["student-lama"], None, "Did you mean student-llama"),
        (["sfft"], None, "Did you mean sft"),
        (["sft", "dpo"], None, "one variant"),
        (["sft"], "dpo", "one variant"),
        (["student-llama", "student-qwen2"], None, "one student"),
    ],
)
def test_what_is_meant_is_asked(words: list[str], variant: str | None, part: str) -> None:
    with pytest.raises(UserError, match=part):
        whom(load_config(), words, variant)


@given(answers=st.lists(st.text(alphabet=st.sampled_from("a\\n\n\r\x1b\u2028 ")), min_size=1, max_size=4))
def test_every_line_of_a_pipe_gives_one_line(answers: list[str]) -> None:
    for as_json in (False, True):
        with pytest.MonkeyPatch.context() as monkeypatch:
            out = io.StringIO()
            monkeypatch.setattr(sys, "stdout", out)
            pipe(monkeypatch, "".join(f"question {i}\n" for i in range(len(answers))))
            rest = iter(answers)
            talk(Echo(lambda _: next(rest)), as_json)  # noqa: B023
            lines = out.getvalue().removesuffix("\n").split("\n")
        assert len(lines) == len(answers)
        if as_json:
            assert [json.loads(line)["response"] for line in lines] == [answer.strip() for answer in answers]


def test_empty_lines_commands_and_slashes_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Echo(lambda _: "a\n\\b")
    pipe(monkeypatch, "one\n\n/new\n//etc\n/quit\nnever\n")
    talk(engine)
    assert capsys.readouterr().out == "a\\n\\\\b\n\na\\n\\\\b\n"
    assert "one" in engine.prompts[0] and "one" not in engine.prompts[1] and "\n/etc<" in engine.prompts[1]
    pipe(monkeypatch, "one\n/nwe\n")
    with pytest.raises(UserError, match=r"(?s)Line 2.*Did you mean /new.*//nwe"):
        talk(engine)


@pytest.mark.parametrize("stdin", [None, io.StringIO("")])
def test_without_standard_input_nothing_is_loaded(stdin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(UserError, match="nothing to answer"):
        Input()


def test_ctrl_c_stops_an_answer_and_the_chat_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(prompt: str) -> str:
        if "stop me" in prompt:
            raise KeyboardInterrupt
        return "fine\x1b[31m"

    typed(monkeypatch, ["stop me", KeyboardInterrupt, "go on", "/nope", "/help", ""])
    engine = Echo(write)
    talk(engine)
    out, error = capsys.readouterr()
    assert out == "fine\\x1b[31m\n"
    assert "stop me" not in engine.prompts[1]
    for part in ("Stopped", "Ctrl-D", "no command /nope", "/new"):
        assert part in error


def test_in_a_pipe_it_ends_the_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(_: str) -> str:
        raise KeyboardInterrupt

    pipe(monkeypatch, "one\ntwo\n")
    with pytest.raises(KeyboardInterrupt):
        talk(Echo(write))
