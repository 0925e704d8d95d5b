"""Scores under any usual name, and verdicts on two answers, are read; what may mean two things is refused by name."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.data_files.own_data.numbers import is_score, score_of
from synthetic_instruction_tuner.data_files.own_data.scored_answers import read_scored, scored_row
from synthetic_instruction_tuner.data_files.record_shapes import ShapeError

Q, A, B = "What is a sea?", "Salt water.", "I do not know."
ASKED = {"role": "user", "content": Q}


def talk(text: str) -> list[dict[str, str]]:
    return [ASKED, {"role": "assistant", "content": text}]


ARENA = {"model_a": "x", "model_b": "y", "conversation_a": talk(A), "conversation_b": talk(B)}
ROWS: dict[str, tuple[dict[str, Any], float, float]] = {
    "suffix": ({"prompt": Q, "response_1": A, "response_1_score": 8, "response_2": B, "response_2_score": 3}, 8, 3),
    "no line": ({"prompt": Q, "response1": A, "response1_score": "8", "response2": B, "response2_score": "3"}, 8, 3),
    "prefix": ({"prompt": Q, "response_a": A, "score_response_a": 8, "response_b": B, "score_response_b": 3}, 8, 3),
    "models": ({"prompt": Q, "gpt_response": A, "gpt_score": 8, "llama_response": B, "llama_score": 3}, 8, 3),
    "whole": (
        {"prompt": Q, "responses": [{"text": A, "scores": {"overall": 8, "x": 1}},
                                    {"text": B, "scores": {"overall": 3}}]},
        8,
        3,
    ),
    "annotations": (
        {"instruction": Q, "completions": [
            {"response": A, "annotations": {"helpfulness": {"Rating": "5"}, "honesty": {"Rating": "4"}}},
            {"response": B, "annotations": {"helpfulness": {"Rating": "2"}, "honesty": {"Rating": "1"}}}]},
        4.5,
        1.5,
    ),
    "mean": ({"prompt": Q, "completions": [{"text": A, "mean_score": 8}, {"text": B, "mean_score": 3}]}, 8, 3),
    "other": ({"question": Q, "answers": [{"text": A, "pm_score": 8}, {"text": B, "pm_score": 3}]}, 8, 3),
    "keyed": ({"prompt": Q, "responses": {"x": A, "y": B}, "scores": {"x": 8, "y": 3}}, 8, 3),
    "keyed objects": ({"prompt": Q, "responses": {"x": {"text": A, "score": 8}, "y": {"text": B, "score": 3}}}, 8, 3),
    "messages": (
        {"prompt": Q, "responses": [{"role": "assistant", "content": A, "score": 8},
                                    {"role": "assistant", "content": B, "score": 3}]},
        8,
        3,
    ),
    "struct": ({"question": Q, "answers": {"text": [A, B], "score": [8, 3]}}, 8, 3),
    "comma": ({"prompt": Q, "responses": [A, B], "scores": ["0,8", "0,3"]}, 0.8, 0.3),
    "fraction": ({"prompt": Q, "responses": [A, B], "scores": ["8/10", "3/10"]}, 0.8, 0.3),
    "shp": ({"history": Q, "human_ref_A": A, "human_ref_B": B, "labels": 1, "score_A": 8, "score_B": 3}, 8, 3),
    "shp's labels": ({"history": Q, "human_ref_A": A, "human_ref_B": B, "labels": 1}, 1, 0),
    "arena": ({**ARENA, "winner": "model_a"}, 1, 0),
    "by name": ({**ARENA, "winner": "y"}, 0, 1),
    "tie": ({**ARENA, "winner": "tie (bothbad)"}, 0.5, 0.5),
    "table": (
        {"prompt": json.dumps([Q]), "response_a": json.dumps([A]), "response_b": json.dumps([B]),
         "winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0},
        0,
        1,
    ),
    "preference": ({"instruction": Q, "output_1": A, "output_2": B, "preference": 2}, 0, 1),
    "id": ({"prompt": Q, "response_0": A, "response_1": B, "better_response_id": 0}, 1, 0),
    "strength": ({"context": [ASKED], "response1": A, "response2": B, "overall_preference": -2}, 2, 0),
    "webgpt": ({"question": {"full_text": Q}, "answer_0": A, "answer_1": B, "score_0": 1.0, "score_1": -1.0}, 1, -1),
}  # fmt: skip

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "two scores": ({"prompt": Q, "responses": [A, B], "safe_scores": [1, 5], "kind_scores": [5, 1]},
                   "kind_score, safe_score"),
    "two aspects": (
        {"prompt": Q, "responses": [{"text": A, "scores": {"x": 1, "y": 2}}, {"text": B, "scores": {"x": 2, "y": 1}}]},
        "scores.x, scores.y",
    ),
    "two numbers": ({"prompt": Q, "responses": [A, B], "scores": ["1,200", "1,100"]}, "1200 or 1.200"),
    "words": ({"prompt": Q, "responses": [A, B], "scores": ["good", "bad"]}, "without a number"),
    "booleans": ({"prompt": Q, "responses": [A, B], "scores": [True, False]}, "without a number"),
    "steps": ({"prompt": Q, "completions": ["One.", "Two."], "labels": [True, False]}, "steps of one answer"),
    "no such winner": ({"prompt": Q, "response_a": A, "response_b": B, "winner": "model_c"}, "does not say a or b"),
    "other numbers": ({"prompt": Q, "response": A, "quality": 4, "length": 9}, "quality, length: name one"),
    "other prompts": (
        {"winner": "a", "conversation_a": talk(A), "conversation_b": [{"role": "user", "content": "x"}, talk(B)[1]]},
        "different prompts",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_read(name: str) -> None:
    row, first, second = ROWS[name]
    found = scored_row(row, "a", {})
    assert found.record.instruction == Q
    assert [(a.text, a.score) for a in found.answers] == [(A, pytest.approx(first)), (B, pytest.approx(second))]


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str) -> None:
    row, why = REFUSED[name]
    with pytest.raises(ShapeError) as error:
        scored_row(row, "a", {})
    assert why in str(error.value)


@pytest.mark.parametrize("write", [json.dumps, str])
def test_lists_in_the_cells_of_a_table(tmp_path: Path, write: Any) -> None:
    with (tmp_path / "a.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["prompt", "responses", "scores"])
        writer.writerow([Q, write([A, "It's"]), write([8, 3])])
    (found,) = read_scored([tmp_path / "a.csv"], [])
    assert [(a.text, a.score) for a in found.answers] == [(A, 8), ("It's", 3)]


def test_a_named_aspect_counts() -> None:
    row = REFUSED["two aspects"][0]
    assert [a.score for a in scored_row(row, "a", {}, "scores.x").answers] == [1, 2]
    assert [a.score for a in scored_row(row, "a", {}, "y").answers] == [2, 1]
    assert [a.score for a in scored_row(REFUSED["two scores"][0], "a", {}, "safe_scores").answers] == [1, 5]


def test_good_and_bad_examples_of_one_prompt_are_compared(tmp_path: Path) -> None:
    rows = [{"prompt": Q, "completion": A, "label": True}, {"prompt": Q, "completion": B, "label": False}]
    (tmp_path / "kto.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (found,) = read_scored([tmp_path / "kto.jsonl"], [])
    assert [(a.text, a.score) for a in found.answers] == [(A, 1), (B, 0)]


def test_helpsteer_is_judged_by_its_helpfulness(tmp_path: Path) -> None:
    marks = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
    rows = [{"prompt": Q, "response": text, **dict(zip(marks, n, strict=True))} for text, n in ((A, [4, 3, 3, 1, 1]), (B, [0, 4, 4, 4, 4]))]  # fmt: skip # noqa: E501
    (tmp_path / "h.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (found,) = read_scored([tmp_path / "h.jsonl"], [])
    assert (found.field, [a.score for a in found.answers]) == ("helpfulness", [4, 0])


@settings(deadline=None)
@given(st.floats(-1e6, 1e6, allow_nan=False), st.sampled_from(["{}", " {} ", "{}%"]))
def test_a_number_is_read_as_it_is_written(number: float, form: str) -> None:
    assert score_of(form.format(f"{number:.4f}"), "score") == float(f"{number:.4f}")
    comma = f"{number:.4f}".replace(".", ",")
    assert score_of(comma, "score") == float(f"{number:.4f}")


@pytest.mark.parametrize("name", ["score_ratio", "rating_count", "reward_model", "score_std", "scored", "rank_id"])
def test_what_is_no_score(name: str) -> None:
    assert not is_score(name)
