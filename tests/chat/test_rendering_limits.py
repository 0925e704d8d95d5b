"""A chat template that takes time or memory without end is rejected; the others render as Transformers renders them."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from packaged_templates import TEMPLATES, tokenizer_with
from random_models import CHATML
from synthetic_instruction_tuner.chat import rendering_limits
from synthetic_instruction_tuner.chat.rendering_limits import RenderingLimit, check_rendering
from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.models.memory import memory_freed
from synthetic_instruction_tuner.records import Message

LATER = "{% if messages|length > 1 %}%s{% endif %}"
BOMBS = {
    "loops in loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "a macro that calls itself twice": "{% macro m(n) %}{{ n and m(n-1) ~ m(n-1) }}{% endmacro %}{{ m(90) }}",
    "a number": "{{ (10 ** (10 ** 8)) % 7 }}",
    "a text": "{{ ('a' * 10 ** 10)|length }}",
    "a padded text": "{{ 'x'|center(10 ** 10) }}",
    "a format": "{{ '%09999999999d'|format(1) }}",
    "a text doubled": "{% set n = namespace(s='ab') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
    "a list doubled": "{% set n = namespace(s=[1]) %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}",
    "a text that goes on": "{% for i in range(90000) %}{{ 'abcdefghijklmnopqrstuvwxyz' }}{% endfor %}",
    "filler": "{{ lipsum(n=10 ** 7) }}",
    "a sum": "{{ range(99999)|batch(1)|list|sum(start=[])|length }}",
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_template_without_end_is_rejected(bomb: str) -> None:
    _rejected(CHATML + bomb)


@pytest.mark.parametrize("bomb", ["a text", "a padded text", "a text that goes on"])
def test_also_if_only_some_conversations_have_no_end(bomb: str) -> None:
    _rejected(CHATML + LATER.replace("%s", BOMBS[bomb]))


def _rejected(source: str) -> None:
    tokenizer = tokenizer_with(source)
    tokenizer.name_or_path = "somebody/model"
    with pytest.raises(RenderingLimit, match=r"(?s)somebody/model.*it begins with '.%") as caught:
        ChatTemplate.from_tokenizer(tokenizer)
    assert caught.value.exit_code == 2


def test_the_next_template_works_after_one_that_was_ended() -> None:
    with pytest.raises(RenderingLimit):
        check_rendering("m", BOMBS["a number"], [{"role": "user", "content": "Hi"}], {})
    check_rendering("m", "{{ messages[0].content }}", [{"role": "user", "content": "Hi"}], {})


def test_the_trial_renders_what_transformers_renders() -> None:
    turns = [{"role": "user", "content": "Hi <b>"}, {"role": "assistant", "content": "Ho"}]
    options = {"add_generation_prompt": True, "date_string": "26 Jul 2024"}
    requests, expected = [], []
    for path in TEMPLATES[::3]:
        tokenizer = tokenizer_with(path.read_text(encoding="utf-8"))
        try:
            text = tokenizer.apply_chat_template(turns, tokenize=False, **options)
        except Exception:  # it expects parts
            continue
        variables = tokenizer.special_tokens_map | options | {"messages": turns, "tools": None, "documents": None}
        requests.append((tokenizer.chat_template, variables))
        expected.append({"length": len(text)})
    assert len(expected) > len(TEMPLATES) / 6
    assert _tried(*requests) == expected


def test_the_blocks_that_transformers_adds_are_known() -> None:
    source = (
        "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% if loop.first %}{% continue %}"
        "{% endif %}{% break %}{% endfor %}{{ {'a': 'é<'} | tojson }}{{ strftime_now('%Y')|length }}"
    )
    spoken = {"messages": [{"content": "ab"}, {"content": "cd"}]}
    assert _tried((source, spoken), ("{{ raise_exception('no') }}", {})) == [
        {"length": 4 + len('{"a": "é<"}4')},
        {"error": "TemplateError"},
    ]


def _tried(*requests: tuple[str, object]) -> list[object]:
    command = [sys.executable, "-P", str(rendering_limits._SCRIPT), str(rendering_limits.MEMORY), "5"]
    lines = [json.dumps({"source": s, "variables": v, "longest": 10**6}) + "\n" for s, v in requests]
    output = subprocess.run(command, input="".join(lines), capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def test_a_template_that_loops_for_some_words_only() -> None:
    loops = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    template = ChatTemplate.from_tokenizer(
        tokenizer_with("{% if 'zebra' in messages[-1]['content'] %}" + loops + "{% endif %}" + CHATML)
    )
    template.prompt_ids([Message("user", "a horse")])
    with pytest.raises(RenderingLimit, match="processor time"):
        template.prompt_ids([Message("user", "a zebra")])
    template.prompt_ids([Message("user", "a mouse")])


def test_the_process_is_no_model_that_has_stayed_in_memory() -> None:
    rendering_limits._process.close()
    began = time.monotonic()
    with memory_freed("model", "cpu"):
        check_rendering("m", "{{ 1 }}{# stays #}", [{"role": "user", "content": "Hi"}], {})
    assert rendering_limits._process._running is not None
    assert time.monotonic() - began < 25  # it was not waited for
