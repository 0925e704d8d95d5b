"""The same scored answers in every shape are the same, and what has no scores is refused with a reason."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.data_files.own_data.scored_answers import Scored, read_scored, scored_row
from synthetic_instruction_tuner.data_files.reading import Malformed
from synthetic_instruction_tuner.data_files.record_shapes import ShapeError
from synthetic_instruction_tuner.errors import UserError

Answers = list[tuple[str, str, float]]  # model, text, score
Prompts = list[tuple[str, Answers]]

TEXT = st.text("abcdefgh ", min_size=1, max_size=12).map(str.strip).filter(bool)
SCORE = st.integers(-40, 40).map(lambda n: n / 4)
ANSWERS = st.lists(st.tuples(st.sampled_from(["m", "n"]), TEXT, SCORE), min_size=2, max_size=4)
PROMPTS = st.dictionaries(TEXT, ANSWERS, min_size=1, max_size=4).map(lambda found: list(found.items()))


def ultrafeedback(prompt: str, answers: Answers) -> list[dict[str, Any]]:
    names = ("model", "response", "overall_score")
    return [{"source": "s", "instruction": prompt, "completions": [dict(zip(names, a, strict=True)) for a in answers]}]


def fine_grained(prompt: str, answers: Answers) -> list[dict[str, Any]]:
    done = [{"model": m, "text": t, "overall_score": "N/A", "fine-grained_score": str(s)} for m, t, s in answers]
    return [{"prompt": prompt, "completions": done}]


def parallel(prompt: str, answers: Answers) -> list[dict[str, Any]]:
    models, texts, scores = (list(column) for column in zip(*answers, strict=True))
    return [{"question": prompt, "responses": texts, "scores": scores, "models": models}]


def rewarded(prompt: str, answers: Answers) -> list[dict[str, Any]]:
    asked = [{"role": "user", "content": prompt}]
    texts = [[{"role": "assistant", "content": text}] for _, text, _ in answers]
    rewards = [{"score": score, "model": "rm"} for _, _, score in answers]
    return [{"prompt": asked, "answers": texts, "rewards_armorm": rewards, "models": [m for m, _, _ in answers]}]


def ranked(prompt: str, answers: Answers) -> list[dict[str, Any]]:
    return [{"prompt": prompt, "answers": [{"model": m, "answer": t, "rank": -s} for m, t, s in answers]}]


def numbered(prompt: str, answers: Answers) -> list[dict[str, Any]]:
    row: dict[str, Any] = {"Prompt": prompt}
    for place, (model, text, score) in zip("abcd", answers, strict=False):
        row |= {f"response_{place}": text, f"score_{place}": score, f"model_{place}": model}
    return [row]


def rows_of_their_own(prompt: str, answers: Answers) -> list[dict[str, Any]]:
    return [{"instruction": prompt, "output": text, "reward": score, "model": model} for model, text, score in answers]


SHAPES = (ultrafeedback, fine_grained, parallel, rewarded, ranked, numbered, rows_of_their_own)


def read(*files: Path, score: str | None = None) -> tuple[list[Scored], list[Malformed]]:
    malformed: list[Malformed] = []
    return list(read_scored(files, malformed, score)), malformed


def plain(found: list[Scored]) -> list[tuple[str, list[tuple[str, str, float | None]]]]:
    return [(one.record.instruction, [(a.model, a.text, a.score) for a in one.answers]) for one in found]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@settings(max_examples=15, deadline=None)
@given(PROMPTS)
def test_every_shape_says_the_same(shape: Callable[..., list[dict[str, Any]]], prompts: Prompts) -> None:
    rows = [row for prompt, answers in prompts for row in shape(prompt, answers)]
    found = [scored_row(row, "id", {}) for row in rows]
    by_prompt: dict[str, Any] = {}
    for one in found:
        assert one.record.response == ""
        by_prompt.setdefault(one.record.instruction, []).extend((a.model, a.text, a.score) for a in one.answers)
    assert by_prompt == {prompt: answers for prompt, answers in prompts}


PROMPT = [("Why?", [("m", "so", 1.0), ("n", "because", 2.5)]), ("How?", [("m", "thus", 0.0), ("m", "like this", -1.0)])]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("kind", ("jsonl", "json", "parquet"))
def test_every_file_says_the_same(shape: Callable[..., list[dict[str, Any]]], kind: str, tmp_path: Path) -> None:
    rows = [row for prompt, answers in PROMPT for row in shape(prompt, answers)]
    file = tmp_path / f"scored.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    else:
        file.write_text(json.dumps(rows) if kind == "json" else "\n".join(map(json.dumps, rows)))
    found, malformed = read(file)
    assert plain(found) == PROMPT and not malformed
    assert [[a.record_id for a in one.answers] for one in found] == [[one.record.id] * 2 for one in found]
    assert [[a.sample for a in one.answers] for one in found] == [[0, 0], [0, 1]]


def test_a_table_with_lists_in_its_cells(tmp_path: Path) -> None:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([["prompt", "responses", "scores"], ["Why?", '["so", "because"]', "[1, 2.5]"]])
    (tmp_path / "scored.csv").write_text(out.getvalue())
    assert plain(read(tmp_path / "scored.csv")[0]) == [("Why?", [("unknown", "so", 1.0), ("unknown", "because", 2.5)])]


def test_rows_with_one_prompt_need_not_follow_each_other(tmp_path: Path) -> None:
    rows = [{"prompt": p, "response": f"{p}{n}", "score": n} for n in range(3) for p in "ab"]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows[:3])))
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, rows[3:])))
    found, _ = read(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert [[a.text for a in one.answers] for one in found] == [["a0", "a1", "a2"], ["b0", "b1", "b2"]]


def test_the_named_field_counts() -> None:
    row = {"prompt": "Q", "completions": [{"text": t, "score": 1, "honesty": n} for n, t in enumerate("abc")]}
    assert [a.score for a in scored_row(row, "id", {}, "honesty").answers] == [0, 1, 2]
    assert [a.score for a in scored_row(row, "id", {}).answers] == [1, 1, 1]
    with pytest.raises(ShapeError, match="'kindness'"):
        scored_row(row, "id", {}, "kindness")


def test_one_answer_without_a_score_is_kept_without_one() -> None:
    row = {"prompt": "Q", "responses": ["a", "b", "c"], "scores": [1, None, "N/A"]}
    assert [a.score for a in scored_row(row, "id", {}).answers] == [1, None, None]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"prompt": "Q", "responses": ["a", "b"], "scores": [1]}, "'responses' has 2 entries, and 'scores' has 1"),
        ({"prompt": "Q", "responses": ["a", "b"]}, "2 answers without a number"),
        ({"prompt": "Q", "response": "a"}, "1 answer without a number"),
        ({"responses": ["a", "b"], "scores": [1, 2]}, "no instruction, prompt"),
        ({"prompt": " ", "responses": ["a", "b"], "scores": [1, 2]}, "the prompt is empty"),
        ({"prompt": "Q", "score": 1}, "no answers"),
        ({"prompt": "Q", "chosen": "a", "rejected": "b"}, "data.pairs"),
        ({"prompt": "Q", "completions": [{"model": "m", "score": 1}]}, "has none of"),
        ({"prompt": "Q", "responses": ["a", 5], "scores": [1, 2]}, "no answer"),
        ("text", "an object with fields"),
        ([1, 2], "an object with fields"),
        ({"prompt": "Q", "responses": ["a", "b"], "scores": [True, False]}, "without a number"),
    ],
)
def test_what_is_refused(row: Any, why: str) -> None:
    with pytest.raises(ShapeError, match=why):
        scored_row(row, "id", {})


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["prompt", "instruction", "responses", "completions", "scores", "score", "answer_a", "score_a"]
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(FIELDS, JSON, max_size=5) | JSON)
def test_no_row_ends_the_reading(row: Any) -> None:
    try:
        found = scored_row(row, "id", {})
    except ShapeError:
        return
    assert found.record.instruction.strip() and any(a.score is not None for a in found.answers)


def test_a_file_without_scores_says_what_would_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"instruction": "Q", "output": "A"}\n')
    (tmp_path / "b.jsonl").write_text("")
    for name in ("a.jsonl", "b.jsonl"):
        with pytest.raises(UserError) as caught:
            read(tmp_path / name)
        assert "overall_score" in (caught.value.fix or "") and caught.value.exit_code == 2
