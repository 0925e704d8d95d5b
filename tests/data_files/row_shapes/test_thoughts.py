"""Thoughts that begin a response are kept apart, whatever their marks; a text that speaks of the marks stays whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.data_files.own_data.preference_rows import pair_from_row
from synthetic_instruction_tuner.data_files.own_data.scored_answers import scored_row
from synthetic_instruction_tuner.data_files.own_data.sources import read_pairs, read_prompts
from synthetic_instruction_tuner.data_files.reading import Malformed, read_records
from synthetic_instruction_tuner.data_files.record_shapes import ShapeError, record_from_row
from synthetic_instruction_tuner.data_files.row_shapes.thoughts import MARKS, split_thoughts

WORDS = st.lists(st.sampled_from(["sea", "is", "12", "Hm.", "So,", "\u6d77"]), min_size=1, max_size=6).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(MARKS), st.lists(WORDS, min_size=1, max_size=3), WORDS, st.sampled_from(["", "\n", "\n\n"]))
def test_a_block_at_the_start_is_thoughts(marks: tuple[str, str], lines: list[str], answer: str, start: str) -> None:
    opening, closing = marks
    thoughts = "\n".join(lines)
    text = f"{start}{opening}\n{thoughts}\n{closing}\n\n{answer}"
    assert split_thoughts(text) == (thoughts, answer)
    assert split_thoughts(answer) == (None, answer)
    with pytest.raises(ShapeError, match="never end"):
        split_thoughts(f"{opening}\n{thoughts}")
    with pytest.raises(ShapeError, match="no answer"):
        split_thoughts(f"{opening}\n{thoughts}\n{closing}\n")


@pytest.mark.parametrize(
    "text, found",
    [
        ("Hm, sea.\n</think>\n\nA lake.", ("Hm, sea.", "A lake.")),
        ("</think>\n\nA lake.", ("", "A lake.")),
        ("<think>\n\n</think>\n\nA lake.", ("", "A lake.")),
        ("<think>Hm.</think>A lake.", ("Hm.", "A lake.")),
        ("<think>a</think>\n<think>b</think>\nA lake.", ("a\n\nb", "A lake.")),
        ("<THINK>x.</THINK> Four.", ("x.", "Four.")),
        ("First this.\n[BEGIN FINAL RESPONSE]\nA lake.\n[END FINAL RESPONSE]", ("First this.", "A lake.")),
        (
            "<|begin_of_thought|>\nx\n<|end_of_thought|>\n<|begin_of_solution|>\nA lake.\n<|end_of_solution|>",
            ("x", "A lake."),
        ),
    ],
)
def test_other_forms(text: str, found: tuple[str, str]) -> None:
    assert split_thoughts(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "<think> and </think> mark the thoughts of a model.",
        "<think>...</think> is a block.",
        "<think> is a tag.",
        "The <think> tag opens a block, and </think> closes it.",
        "`<think>x</think>` is how it looks.",
        "```\n<think>\nx\n</think>\n```",
        "Close it with </think>.",
        "An example:\n<think>\nx\n</think>\nThat is all.",
        "Use [THINK] for this.",
        "<think>",
        "2 < 3 and [1, 2]",
    ],
)
def test_a_text_that_speaks_of_the_marks_stays_whole(text: str) -> None:
    assert split_thoughts(text) == (None, text)


def test_nothing_of_the_turns_vanishes() -> None:
    turns = [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "<think>\nFirst.\n</think>\nBecause."},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": "<think>\nSecond.\n</think>\nSo."},
    ]
    record = record_from_row({"messages": turns}, "a", {})
    assert (record.response, record.thinking) == ("So.", "Second.")
    assert [turn.content for turn in record.history] == ["Why?", "Because."]
    assert record.provenance["fields"]["history"][1]["content"] == "<think>\nFirst.\n</think>\nBecause."


def test_two_kinds_of_thoughts_are_both_kept() -> None:
    row = {"instruction": "Why?", "response": "<think>\nOne.\n</think>\nSo.", "reasoning_content": "Another."}
    record = record_from_row(row, "a", {})
    assert (record.response, record.thinking) == ("So.", "Another.")
    assert record.provenance["fields"]["response"] == row["response"]


def test_thoughts_of_pairs_stay_beside_them(tmp_path: Path) -> None:
    row: dict[str, Any] = {"prompt": "Why?", "chosen": "<think>\nOne.\n</think>\nSo.", "rejected": "No."}
    pair = pair_from_row(row, "a", {})
    assert (pair.chosen, pair.rejected) == ("So.", "No.")
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps(row) + "\n")
    (read,) = read_pairs(str(file), [])
    assert read.provenance is not None and read.provenance["chosen_thinking"] == "One."


def test_scored_answers_are_compared_without_thoughts() -> None:
    texts = ["<think>\nOne.\n</think>\nSo.", "<think>\nNever done"]
    found = scored_row({"prompt": "Why?", "responses": texts, "scores": [2, 1]}, "a", {})
    assert [(a.text, a.truncated) for a in found.answers] == [("So.", False), (texts[1], True)]
    assert found.record.provenance["fields"]["thinking"] == ["One.", None]


def test_a_prompt_needs_no_answer(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    row = {"instruction": "Why?", "response": "<think>\nNever done"}
    file.write_text(json.dumps(row) + "\n")
    (prompt,) = read_prompts(str(file), [], set())
    assert prompt.instruction == "Why?"
    assert prompt.provenance["fields"]["response"] == row["response"]


def test_thoughts_among_the_parts_of_a_turn_are_kept_apart() -> None:
    said = {"type": "text", "text": "So."}
    for thought in (
        {"type": "thinking", "thinking": "One.", "signature": "x"},
        {"type": "thinking", "thinking": [{"type": "text", "text": "One."}]},
        {"type": "reasoning", "text": "One."},
    ):
        turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": [thought, said]}]
        record = record_from_row({"messages": turns}, "a", {})
        assert (record.response, record.thinking, record.provenance) == ("So.", "One.", {})
        turns += [{"role": "user", "content": "And?"}, {"role": "assistant", "content": "No."}]
        record = record_from_row({"messages": turns}, "a", {})
        assert (record.history[1].content, record.thinking) == ("So.", None)
        assert record.provenance["fields"]["messages"] == turns


MARKED = {"instruction": "Why?", "response": "[THINK]One.[/THINK]So."}
BESIDE = {"instruction": "Why?", "response": "So.", "reasoning_content": "One."}
WITHIN = "<think>\nOne.\n</think>\n\nSo."


def test_thoughts_stay_in_the_response_where_that_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, (MARKED, BESIDE, {"instruction": "Why?", "response": "So."}))))
    records = list(read_records([file], [], keep_thoughts=True))
    assert [(r.response, r.thinking) for r in records] == [(MARKED["response"], None), (WITHIN, None), ("So.", None)]
    malformed: list[Malformed] = []
    file.write_text("\n".join(json.dumps({"instruction": "Why?", "response": r}) for r in ("<think>\nOne.", "No.")))
    assert len(list(read_records([file], malformed, keep_thoughts=True))) == len(malformed) == 1


def test_thoughts_stay_in_pairs_and_scored_answers_where_that_is_wanted() -> None:
    sides = {"chosen": MARKED["response"], "rejected": [{"role": "assistant", "content": "No.", "thinking": "Two."}]}
    scores = {"score_chosen": 2, "score_rejected": 1}
    row: dict[str, Any] = {"prompt": "Why?", **sides, **scores}
    whole = [sides["chosen"], "<think>\nTwo.\n</think>\n\nNo."]
    pair = pair_from_row(row, "a", {}, keep_thoughts=True)
    assert [pair.chosen, pair.rejected, pair.provenance] == [*whole, {}]
    assert [a.text for a in scored_row(row, "a", {}, keep_thoughts=True).answers] == whole
    assert scored_row(row, "a", {}).record.provenance["fields"]["thinking"] == ["One.", "Two."]
    several = {"prompt": "Why?", "responses": [MARKED["response"], "No."], "scores": [2, 1]}
    assert [a.text for a in scored_row(several, "a", {}, keep_thoughts=True).answers] == [MARKED["response"], "No."]
    single = {"prompt": "Why?", "response": "So.", "reasoning": "One.", "score": 1}
    assert [a.text for a in scored_row(single, "a", {}, keep_thoughts=True).answers] == [WITHIN]
