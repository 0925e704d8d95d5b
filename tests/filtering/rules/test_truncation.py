"""Texts that were cut off."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_data import shared
from synthetic_instruction_tuner.filtering.rules.truncation import NotTruncated, how_cut
from synthetic_instruction_tuner.records import Record

GOOD = "The sea is large. It holds most of the water of the earth. Ships cross it every day"
LONG = "Rivers carry water from the hills to the sea. People built towns along them, for trade and for mills. "


def judged(response: str, **provenance: Any) -> bool:
    return NotTruncated().check(Record("r", "Tell me about it.", response, provenance=provenance)).passed


@pytest.mark.parametrize("where", ["response_finish", "instruction_finish", "finish_reason", "stop_reason"])
@pytest.mark.parametrize(
    ("reason", "passed"), [("length", False), ("MAX_TOKENS", False), ("stop", True), ("eos", True)]
)
def test_a_finish_reason_decides(where: str, reason: str, passed: bool) -> None:
    assert judged("All of it.", **{where: reason}) is passed
    assert judged("All of it.", fields={where: reason}) is (passed or where.endswith("_finish"))


def test_a_long_code_block_is_closed_where_it_ends() -> None:
    code = "```python\n" + "\n".join(f"def function_{i}(value):\n    return value * {i}" for i in range(600)) + "\n```"
    assert len(code) > 20_000
    assert how_cut(code) is None and how_cut(f"Here it is.\n{code}\n\nIt has many functions.") is None
    assert how_cut(code.removesuffix("```")) == how_cut(code + "\n" + code[:-4]) == "ends within a code fence"


@pytest.mark.parametrize("text", ["\n" * 10**6, " " * 10**6, "```\n" * 250_000, "\n \n" * 300_000])
def test_a_megabyte_takes_no_time(text: str) -> None:
    start = time.process_time()
    how_cut(text + "x")
    assert time.process_time() - start < 2


def test_a_text_that_is_known_to_be_whole_ends_as_it_likes() -> None:
    cut = GOOD + " and bring goods to the"
    assert not judged(cut)
    assert judged(cut, response_finish="stop")


@pytest.mark.parametrize(
    "text",
    [
        GOOD + " and the",
        GOOD + " and bring goods with",
        GOOD + ". Whoever has seen it knows that it is of",
        GOOD + ". They ask which of the harbors are",
        GOOD + ". The sea that is so large is",
        GOOD + ", for example, oil,",
        GOOD + ". When a storm comes up, they look for a harbor because",
        "Here it is:\n\n```python\ndef add(a, b):\n    return a +",
        "One:\n```\na\n```\nTwo:\n```\nb",
        LONG * 3 + "In the last century many of the old mills along the river were turned into",
        LONG * 3 + "Later the railway came and the boats that had carried coal for so long lost their",
        LONG * 3 + "Later the railway came and the boats that had carried coal for so long simply rot",
    ],
)
def test_what_is_cut(text: str) -> None:
    verdict = NotTruncated().check(Record("r", "a", text))
    assert not verdict.passed and verdict.reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Paris",
        "42",
        "Yes, of course",
        GOOD + ".",
        GOOD,
        "1. Wash the rice.\n2. Boil it. Stir.\n3. Let it rest for ten minutes under a lid and serve it with peas",
        "Roses are red,\nviolets are blue,\nsugar is sweet,\nand so are you who read this to the end",
        "Dear Tom,\n\nthank you. I liked it. We will meet again soon.\n\nYours,\nAnna from the house over there",
        "It works like this. See the code. Then run it:\n\n```sh\nmake all\n```",
        "def f(x):\n    return x + 1  # this is all there is to it. Really. And this goes on",
        "| a | b |\n|---|---|\n| one of them. | two of them. | three of them | of the",
        "The sum is 4. So is the product. Thus for two and two the answer to both of the questions is 4",
        "First sentence. Second one. He said: “I will come and see all of you at the old harbor tomorrow”",
        "`code` is fine. Use it. It prints one line per record, as in `sit filter mine.jsonl -o out --json`",
        "这是一个很长的句子,没有结束",
        GOOD + ". Which countries would you like to hear from, and which people will you travel with",
        GOOD + ". Nobody can say today what all of the old harbor towns are made of",
        GOOD + ". They cross it as fast as they can",
        GOOD + ". Nobody knew in those days how deep it was",
    ],
)
def test_what_is_whole(text: str) -> None:
    assert how_cut(text) is None


@given(st.text(st.characters(codec=None), max_size=400))
def test_no_text_does_harm(text: str) -> None:
    how_cut(text)


def test_real_answers_stay() -> None:
    code = json.loads((shared("gpteacher") / "codegen-instruct.json").read_text())
    math = [json.loads(line) for line in (shared("gsm8k") / "train.jsonl").read_text().splitlines()]
    texts = [row["response"] for row in code] + [row["answer"] for row in math]
    assert sum(how_cut(text) is not None for text in texts) <= 0.001 * len(texts)
    answers = (shared("mt_bench") / "model_answer" / "gpt-4.jsonl").read_text().splitlines()
    turns = [turn for line in answers for turn in json.loads(line)["choices"][0]["turns"]]
    assert sum(how_cut(text) is not None for text in turns) <= 1
    # Answers cut anywhere in their later half are found often, though a cut may by chance fall at a sentence's end.
    long = [turn for turn in turns if len(turn) > 600 and "```" not in turn]
    cuts = [turn[: len(turn) * part // 40] for turn in long for part in (27, 31, 35, 39)]
    found = sum(how_cut(text) is not None for text in cuts) / len(cuts)
    assert found > 0.3, found


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("Use this:\n\n````\n```\n````\n\nThat is all.", False),
        ("Use this:\n\n~~~\n```\n~~~\n\nThat is all.", False),
        ("One line begins it:\n\n    ```python\n\nThat is all.", False),
        ("- first:\n  ```\n  x\n```\nThat is all.", False),
        ("1. first:\n   ```python\n   x\n   ```\n2. last.", False),
        ("It is ``` in the line.", False),
        ("```a `b`\nis no fence.", False),
        ("> ```\n> x\n\nThat is all.", False),
        ("Use this:\n\n~~~\n```\nx = 1", True),
        ("Use this:\n\n````\n```\nx = 1\n```", True),
        ("Use this:\n\n```python\nx = 1\n```python", True),
        ("Use this:\n\n```\nx = 1\n    ```", False),
        ("- first:\n  ```\n  x", True),
        ("```\nx\n```\n\n~~~ruby\ny", True),
    ],
)
def test_fences_are_those_of_commonmark(text: str, cut: bool) -> None:
    assert (how_cut(text) == "ends within a code fence") is cut
