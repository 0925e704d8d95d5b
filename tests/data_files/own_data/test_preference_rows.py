"""The same preference pair in every shape is the same pair; what is none is refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.data_files.exports import trainer_row
from synthetic_instruction_tuner.data_files.own_data.preference_rows import pair_from_row
from synthetic_instruction_tuner.data_files.own_data.sources import content_of, read_pairs
from synthetic_instruction_tuner.data_files.record_shapes import ShapeError
from synthetic_instruction_tuner.records import Message, PreferencePair

SOURCE = {"file": "mine.jsonl", "number": 3}


def turn(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


TO_ANOTHER = [turn("user", "R"), turn("assistant", "b")]


def shapes(q: str, a: str, b: str) -> list[dict[str, Any]]:
    asked, good, bad = [turn("user", q)], [turn("assistant", a)], [turn("assistant", b)]
    return [
        {"prompt": q, "chosen": a, "rejected": b},
        {"instruction": q, "chosen": a, "rejected": b, "response": "another"},
        {"Question": q, "Chosen": a, "Rejected": b},
        {"prompt": asked, "chosen": good, "rejected": bad},
        {"chosen": asked + good, "rejected": asked + bad},
        {"prompt": q, "chosen": asked + good, "rejected": asked + bad, "messages": asked + good},
        {"messages": asked, "chosen": good[0], "rejected": bad[0]},
        {"conversations": [{"from": "human", "value": q}], "chosen": {"from": "gpt", "value": a}, "rejected": bad[0]},
        {"chosen": f"\n\nHuman: {q}\n\nAssistant: {a}", "rejected": f"\n\nHuman: {q}\n\nAssistant: {b}"},
    ]


WORDS = st.text("abcdef", min_size=1, max_size=8)


@settings(max_examples=30, deadline=None)
@given(WORDS, st.lists(WORDS, min_size=2, max_size=2, unique=True))
def test_every_shape_is_the_same_pair(q: str, answers: list[str]) -> None:
    for row in shapes(q, *answers):
        pair = pair_from_row(row, "id", SOURCE)
        assert (pair.instruction, pair.chosen, pair.rejected, pair.history) == (q, *answers, ()), row
        assert (pair.chosen_score, pair.margin, pair.chosen_model, pair.provenance) == (None, None, "unknown", SOURCE)


def test_scores_models_system_and_turns_are_read() -> None:
    before = [turn("system", "Be kind."), turn("user", "Hi"), turn("assistant", "Hello"), turn("user", "Why?")]
    row = {
        "prompt": before,
        "chosen": [turn("assistant", "a")],
        "rejected": [turn("assistant", "b")],
        "score_chosen": "8.5",
        "score_rejected": 7,
        "chosen_model": "m",
    }
    pair = pair_from_row(row, "id", SOURCE)
    assert (pair.system, pair.history) == ("Be kind.", (Message("user", "Hi"), Message("assistant", "Hello")))
    assert (pair.margin, pair.chosen_model, pair.rejected_model) == (1.5, "m", "unknown")


def test_a_run_s_own_pairs_come_back() -> None:
    pair = PreferencePair("pair-1", "raw-1", "Why?", "a", "b", "m", "n", 2.0, 1.0, "s", rejected_truncated=True)
    back = pair_from_row(json.loads(json.dumps(trainer_row(pair))), "id", SOURCE)
    assert back.to_json() == pair.to_json() | {"provenance": SOURCE}
    assert "provenance" not in pair.to_json(), "what a run makes stays as it was"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"prompt": "Q", "chosen": "a", "rejected": " a "}, "the same text"),
        ({"prompt": "Q", "chosen": "a"}, "no 'rejected' among its fields"),
        ({"prompt": "Q", "chosen": "a", "rejected": ""}, "'rejected' holds no answer"),
        ({"prompt": "Q", "chosen": " ", "rejected": "b"}, "'chosen'"),
        ({"chosen": "a", "rejected": "b"}, "no instruction, prompt"),
        ({"prompt": "", "chosen": "a", "rejected": "b"}, "no instruction, prompt|the prompt is empty"),
        ({"prompt": "Q", "responses": ["a", "b"], "scores": [1, 2]}, "sit prefer FILE"),
        ({"prompt": "Q", "response": "a"}, "no 'chosen'"),
        (
            {
                "chosen": [turn("user", "Q"), turn("assistant", "a")],
                "rejected": [turn("user", "R"), turn("assistant", "b")],
            },
            "different",
        ),
        ("text", "no 'chosen'"),
    ],
)
def test_what_is_refused(row: Any, why: str) -> None:
    with pytest.raises(ShapeError, match=why):
        pair_from_row(row, "id", SOURCE)


def test_pairs_name_their_file_its_hash_and_their_row(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text('{"a": 1}\n' + json.dumps({"prompt": "Q", "chosen": "a", "rejected": "b"}) + "\n")
    malformed: list[Any] = []
    (pair,) = read_pairs(str(file), malformed)
    assert pair.provenance == {"source": {"file": "mine.jsonl", "number": 2, "hash": content_of(str(file))["hash"]}}
    assert [one.place for one in malformed] == ["mine.jsonl:1"]
