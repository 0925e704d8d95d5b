"""Scored answers become pairs with the guards of a run, and every row that does not is counted and named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from synthetic_instruction_tuner.config import PreferConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.preference.files import prefer_files
from synthetic_instruction_tuner.preference.pair_selection import select_pair
from synthetic_instruction_tuner.records import Answer

WORDS = ("alpha one two", "beta three four", "gamma five six", "delta seven eight")


def row(prompt: str, *scores: float | None, texts: tuple[str, ...] = WORDS, **more: Any) -> dict[str, Any]:
    models = ["a", "b", "c", "d"]
    return {
        "prompt": prompt,
        "responses": texts[: len(scores)],
        "scores": scores,
        "models": models[: len(scores)],
    } | more


def made(folder: Path, rows: list[Any], **settings: Any) -> tuple[list[dict[str, Any]], dict[str, str], dict[str, Any]]:
    """The pairs, why other prompts gave none, and the report."""
    file, out = folder / "scored.jsonl", folder / "out"
    file.write_text("\n".join(map(json.dumps, rows)))
    prefer_files([file], out, PreferConfig(**settings))
    pairs, skipped = (
        [json.loads(line) for line in (out / f"{name}.jsonl").read_text().splitlines()] for name in ("pairs", "skipped")
    )
    reasons = {one["prompt"][-1]["content"]: one["reason"] for one in skipped}
    return pairs, reasons, json.loads((out / "preference_report.json").read_text())


def test_the_best_answer_is_paired_with_the_worst(tmp_path: Path) -> None:
    pairs, reasons, report = made(tmp_path, [row("Q", 2, 4, 1, 3), row("R", 0.1, None, 0.7)])
    assert [(p["chosen"][0]["content"], p["rejected"][0]["content"]) for p in pairs] == [
        (WORDS[1], WORDS[2]),
        (WORDS[2], WORDS[0]),
    ]
    assert [(p["chosen_score"], p["rejected_score"], p["chosen_model"]) for p in pairs] == [
        (4, 1, "b"),
        (0.7, 0.1, "c"),
    ]
    assert [p["prompt"] for p in pairs] == [[{"role": "user", "content": q}] for q in "QR"]
    assert reasons == {} and (report["pairs"], report["prompts"], report["score_fields"]) == (2, 2, {"score": 2})


def test_ties_margins_and_guards_are_those_of_a_run(tmp_path: Path) -> None:
    same = ("one two three four", "One, two three four!", "x")
    rows = [
        row("tie", 2, 2),
        row("close", 2, 2.5),
        row("wide", 2, 3),
        row("same", 1, 1, texts=("a b", "a b", "a b")),
        row("alike", 1, 3, texts=same),
        row("alone", 1),
        row("unscored", 1, None),
        row("blank", 1, 2, texts=("a", " ", "")),
    ]
    pairs, reasons, report = made(tmp_path, rows, min_margin=0.5)
    assert [p["prompt"][0]["content"] for p in pairs] == ["wide"]
    assert reasons == {
        "tie": "equal_scores",
        "close": "small_margin",
        "same": "identical_answers",
        "alike": "near_identical",
        "alone": "too_few_answers",
        "unscored": "too_few_answers",
        "blank": "too_few_answers",
    }
    assert report["skip_reasons"]["too_few_answers"] == 3 and report["skipped"] == 7


@pytest.mark.parametrize("scores", [(1, 5, 3, 2), (0.5, 0.5, 0.2), (-1, -2)])
@pytest.mark.parametrize("rejected", ("worst", "mean_minus_2sd"))
def test_a_file_gives_the_pair_that_a_run_would_make(tmp_path: Path, scores: tuple[float, ...], rejected: str) -> None:
    config = PreferConfig(rejected=rejected)  # type: ignore[arg-type]
    answers = [Answer("r", m, t, score=s) for m, t, s in zip("abcd", WORDS, scores, strict=False)]
    expected = select_pair(answers, config)
    pairs, _, _ = made(tmp_path, [row("Q", *scores)], rejected=rejected)
    assert [pairs[0][side][0]["content"] for side in ("chosen", "rejected")] == [
        expected.chosen.text,  # type: ignore[union-attr]
        expected.rejected.text,  # type: ignore[union-attr]
    ]


def test_a_cut_off_answer_is_not_chosen(tmp_path: Path) -> None:
    done = [{"response": t, "score": n, "finish_reason": "length" if n else "stop"} for n, t in enumerate(WORDS[:2])]
    _, reasons, _ = made(tmp_path, [{"prompt": "Q", "completions": done}])
    assert reasons == {"Q": "chosen_truncated"}


def test_models_without_a_name_have_no_share(tmp_path: Path) -> None:
    rows = [row(f"Q{n}", 1, 2) | {"models": None} for n in range(6)]
    assert len(made(tmp_path, rows, max_chosen_share=0.5)[0]) == 6


def test_the_number_of_pairs_is_a_limit(tmp_path: Path) -> None:
    pairs, _, report = made(tmp_path, [row(f"Q{n}", 1, 2) for n in range(6)], pairs=4)
    assert len(pairs) == 4 and report["unused"] == 2


def test_the_same_call_writes_the_same_bytes_and_malformed_rows_are_named(tmp_path: Path) -> None:
    rows = [row("Q", 1, 2), {"text": "none"}, row("R", 3, 1), {"prompt": "S", "responses": ["a"], "scores": [1, 2]}]
    made(tmp_path, rows)
    out = tmp_path / "out"
    first = {file.name: file.read_bytes() for file in out.iterdir()}
    report = prefer_files([tmp_path / "scored.jsonl"], out, PreferConfig())
    assert {file.name: file.read_bytes() for file in out.iterdir()} == first
    named = [json.loads(line)["number"] for line in first["malformed.jsonl"].splitlines()]
    assert named == [2, 4] and "scored.jsonl:2, scored.jsonl:4" in report.summary()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("x")
    with pytest.raises(UserError, match="not empty"):
        made(tmp_path, [row("Q", 1, 2)])
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["precious"]
