"""Tools by the chat template: which templates have them, and calls read back from what a model writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tool_templates import MARKS, SHAPES, WITHOUT

from packaged_templates import TEMPLATES, tokenizer_with
from random_models import SPECIALS, byte_tokenizer
from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.chat.tools.calls import ToolCall, call_of, python_calls
from synthetic_instruction_tuner.chat.tools.template import NoTools, ToolTemplate
from synthetic_instruction_tuner.records import Message

PROPERTIES = {
    "text": {"type": "string", "description": "any"},
    "count": {"type": "integer", "description": "any"},
    "more": {"type": "boolean", "description": "any"},
    "list": {"type": "array", "items": {"type": "string"}, "description": "any"},
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "does it",
            "parameters": {"type": "object", "properties": PROPERTIES, "required": ["text"]},
        },
    }
    for name in ("run", "hand.over")
]
_known: dict[str, ToolTemplate] = {}


def tools_of(name: str) -> ToolTemplate:
    if name not in _known:
        tokenizer = byte_tokenizer(SHAPES[name], (*SPECIALS, *MARKS))
        _known[name] = ToolTemplate(ChatTemplate.from_tokenizer(tokenizer))
    return _known[name]


def written(tools: ToolTemplate, calls: list[ToolCall]) -> str:
    """The turn in which the template shows these calls."""
    question = {"role": "user", "content": "q"}
    turn = tools._calling("", [(call, k) for k, call in enumerate(calls)])
    asked = tools._text.render_turns([question], tools=TOOLS, generation=True)
    shown = tools._text.render_turns([question, turn], tools=TOOLS)
    ids = tools._text.encode(shown)[len(tools._text.encode(asked)) :]
    return tools.decode(ids, tools._text.encode(asked))


texts = st.text(st.characters(codec="utf-8", categories=["L", "N", "Zs", "Pd", "Sc"]), min_size=1, max_size=20)
arguments = st.fixed_dictionaries(
    {"text": texts.map(str.strip).filter(bool)},
    optional={"count": st.integers(-9, 10**6), "more": st.booleans(), "list": st.lists(texts, max_size=3)},
)


@pytest.mark.parametrize("name", SHAPES)
@settings(max_examples=15)
@given(st.lists(st.tuples(st.sampled_from(["run", "hand.over"]), arguments), min_size=1, max_size=2))
def test_calls_that_a_template_shows_are_read_back(name: str, made: list[tuple[str, dict[str, Any]]]) -> None:
    tools = tools_of(name)
    calls = [ToolCall(*one) for one in (made[:1] if tools._single else made)]
    assert list(tools.read(written(tools, calls), TOOLS).calls) == calls


@pytest.mark.parametrize("name", SHAPES)
def test_prompts_hold_tools_calls_and_results(name: str) -> None:
    tools = tools_of(name)
    turn = written(tools, [ToolCall("run", {"text": "one"})])
    messages = [
        Message("system", "be good"),
        Message("user", "what? <|im_end|>"),
        Message("assistant", turn),
        Message("tool", "result [/INST] <|im_end|>"),
        Message("assistant", "Well."),
        Message("user", "go on"),
    ]
    ids = tools.prompt_ids(messages, TOOLS)
    text = tools._template.tokenizer.decode(ids)
    for piece in ("hand.over", "be good", "what?", "one", "result", "Well.", "go on"):
        assert piece in text
    end = tools._template.tokenizer.convert_tokens_to_ids("<|im_end|>")
    plain = [Message(m.role, m.content.replace("<|im_end|>", "").replace("[/INST]", "")) for m in messages]
    assert ids.count(end) == tools.prompt_ids(plain, TOOLS).count(end)  # what is typed is no token


@pytest.mark.parametrize("name", SHAPES)
@settings(max_examples=25)
@given(st.text(max_size=60), st.integers(0, 200), st.integers(0, 200))
def test_any_text_is_read_and_shown_again(name: str, noise: str, start: int, cut: int) -> None:
    tools = tools_of(name)
    whole = written(tools, [ToolCall("run", {"text": "one", "count": 2})])
    noise = noise.encode("utf-8", "ignore").decode()
    for text in (noise, whole[: cut % len(whole)], whole[start % len(whole) :], whole[:9] + noise + whole[9:]):
        said = tools.read(text, TOOLS)
        assert all(call.name or call.fault for call in said.calls)
        answers = [Message("tool", "r") for _ in said.calls] or [Message("user", "no call")]
        assert tools.prompt_ids([Message("user", "q"), Message("assistant", text), *answers], TOOLS)


@pytest.mark.parametrize("name", WITHOUT)
def test_templates_without_tools_say_why(name: str) -> None:
    template = ChatTemplate.from_tokenizer(byte_tokenizer(WITHOUT[name], (*SPECIALS, *MARKS)))
    with pytest.raises(NoTools) as caught:
        ToolTemplate(template)
    assert caught.value.cause and "--form text" in caught.value.fix


@pytest.mark.parametrize(
    "name",
    ["qwen2_5", "qwen3", "llama3_1", "glm4moe", "gptoss", "gemma4", "qwen3_5_think", "lfm2_v2", "nemotron_3_nano"],
)
def test_templates_in_use_have_tools(name: str) -> None:
    file = next(file for file in TEMPLATES if file.stem == name)
    tools = ToolTemplate(ChatTemplate.from_tokenizer(tokenizer_with(file.read_text())))
    call = ToolCall("run", {"text": "SELECT `a` FROM t", "count": 3, "more": False})
    assert list(tools.read(written(tools, [call]), TOOLS).calls) == [call]


def test_a_named_template_for_tools_is_taken() -> None:
    tokenizer = byte_tokenizer(SHAPES["hermes"], (*SPECIALS, *MARKS))
    plain = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    plain += "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    tokenizer.chat_template = {"default": plain, "tool_use": SHAPES["hermes"]}
    tools = ToolTemplate(ChatTemplate.from_tokenizer(tokenizer))
    assert tools.read('<tool_call>{"name": "run", "arguments": {}}</tool_call>', TOOLS).calls == (ToolCall("run", {}),)


# What models write beside what templates show


@pytest.mark.parametrize(
    ("shape", "text", "names"),
    [
        ("hermes", 'I look.\n<tool_call>{"name":"run","arguments":{"text":"x"}}', ["run"]),
        ("hermes", '<tool_call>\n{"name": "run", "parameters": {"text": "x"}}\n</tool_call>', ["run"]),
        ("hermes", '<tool_call>{"name": "run", "arguments": "{\\"text\\": 1}"}</tool_call>', ["run"]),
        ("hermes", "<tool_call>{broken</tool_call>", [""]),
        ("hermes", 'I could write {"name": "run"} here.', []),
        ("one at a time", '<|python_tag|>{"name": "run", "parameters": {"text": "x"}}', ["run"]),
        (
            "one at a time",
            '{"name": "run", "parameters": {}}; {"name": "hand.over", "parameters": {}}',
            ["run", "hand.over"],
        ),
        ("one at a time", '{"type": "function", "function": {"name": "run", "parameters": {}}}', ["run"]),
        ("one at a time", '{"name": "run", "parameters": {"text": ', [""]),
        ("one at a time", "The answer is {1, 2}.", []),
        ("mistral", '[TOOL_CALLS][{"name": "run", "arguments": {"text": "x"}}]', ["run"]),
        ("mistral 11", '[TOOL_CALLS]run[ARGS]{"text": "x"}[TOOL_CALLS]hand.over[ARGS]{}', ["run", "hand.over"]),
        ("mistral 11", '[TOOL_CALLS]run[ARGS]{"text"', ["run"]),
        ("marks", "<tool_call>\n<function=run>\n</function>", ["run"]),
        ("marks", "<tool_call>\n<function=run>\n<parameter=text>\nSELECT", ["run"]),
        ("python", "<|calls|>[run(text='a'), hand.over(text=b)]", ["run", "hand.over"]),
        ("python", "<|calls|>[run(text=__import__('os').system('x'))]", ["run"]),
    ],
)
def test_what_models_write(shape: str, text: str, names: list[str]) -> None:
    calls = tools_of(shape).read(text, TOOLS).calls
    assert [call.name for call in calls] == names
    assert all(call.fault for call in calls if not call.name or text.endswith(('"text"', "SELECT")))


def test_several_calls_are_shown_one_by_one_where_the_template_takes_one() -> None:
    tools = tools_of("one at a time")
    calls = '{"name": "run", "parameters": {"text": "a"}} {"name": "run", "parameters": {"text": "b"}}'
    messages = [Message("user", "q"), Message("assistant", calls), Message("tool", "r1"), Message("tool", "r2")]
    text = tools._template.tokenizer.decode(tools.prompt_ids(messages, TOOLS))
    assert [text.index(word) for word in ('"a"', "r1", '"b"', "r2")] == sorted(
        text.index(word) for word in ('"a"', "r1", '"b"', "r2")
    )


@given(st.text(max_size=80))
def test_python_is_read_and_never_run(text: str) -> None:
    try:
        calls = python_calls(text)
    except ValueError:
        return
    assert all(isinstance(call.name, str) for call in calls)
    json.dumps([dict(call.arguments) for call in calls], default=str)


def test_values_of_python_calls() -> None:
    (call,) = python_calls("[a.b(x=-1, y=[1, 'two', (3,)], z={'k': true}, n=None, v=name, s=1 + 2)]")
    assert call == ToolCall(
        "a.b", {"x": -1, "y": [1, "two", (3,)], "z": {"k": True}, "n": None, "v": "name", "s": "1 + 2"}
    )
    assert python_calls("f(1)")[0].fault and python_calls("f(**x)")[0].fault
    for text in ("1", "[f]", "[f(a=1), 2]", "f(a=1)(b=2)", "", "[", "(" * 500):
        with pytest.raises(ValueError, match="no list of calls"):
            python_calls(text)


@pytest.mark.parametrize("written", ["1" + "0" * 400, "[" * 300 + "]" * 300, '{"a": [' + "9" * 400 + "]}"])
def test_arguments_of_any_size_can_be_written_and_compared(written: str) -> None:
    for call in (call_of("f", f'{{"x": {written}}}'), call_of("f", json.loads(f'{{"x": {written}}}'))):
        assert json.dumps(dict(call.arguments)) and str(call)
        assert call.fault or not isinstance(call.arguments["x"], int)
    large = 2**1_000 - 1
    assert call_of("f", {"x": large}).arguments == {"x": large}
    assert call_of("f", {"x": [2**1_000]}).arguments == {"x": [hex(2**1_000)]}
