"""The distance from the nearest record: exact, and a column wherever it is asked for."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from all_pairs import near_duplicates, word_set
from synthetic_instruction_tuner.config import FilterConfig
from synthetic_instruction_tuner.filtering.files import filter_files
from synthetic_instruction_tuner.filtering.near_duplicates import nearest_neighbors
from synthetic_instruction_tuner.filtering.near_duplicates.files import dedup_files
from synthetic_instruction_tuner.filtering.near_duplicates.nearest_neighbors import nearest_sets, neighbor_columns
from synthetic_instruction_tuner.filtering.near_duplicates.word_sets import Vocabulary
from synthetic_instruction_tuner.records import Record


def brute(texts: list[str]) -> list[tuple[int, Fraction]]:
    sets = [word_set(text) for text in texts]
    found = []
    for i, mine in enumerate(sets):
        near = [(Fraction(len(mine & s), len(mine | s)), -j) for j, s in enumerate(sets) if j != i and mine & s]
        best = max(near, default=(Fraction(0), 1))
        found.append((-best[1], best[0]))
    return found


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6).map(" ".join), max_size=12), st.integers(1, 40))
def test_equals_brute_force(texts: list[str], cells: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest_neighbors, "CELLS", cells)
        found = nearest_sets(Vocabulary().sets(texts))
    assert [(n, Fraction(s, u)) for n, s, u in found] == brute(texts)


def test_equals_brute_force_on_near_duplicates() -> None:
    texts = near_duplicates(random.Random(3), 400, 150)
    seen: list[int] = []
    found = nearest_sets(Vocabulary().sets(texts), seen.append)
    assert [(n, Fraction(s, u)) for n, s, u in found] == brute(texts)
    assert sum(seen) == 400


def test_columns() -> None:
    texts = ["a b c d", "a b c", "x", "!!", "a b c d e f"]
    rows = neighbor_columns([Record(f"r{i}", text) for i, text in enumerate(texts)])
    assert [row["min_neighbor_distance"] for row in rows] == [0.25, 0.25, 1.0, None, 0.333333]
    assert [row["nearest_neighbor"] for row in rows] == ["r1", "r0", None, None, "r0"]
    assert neighbor_columns([]) == []


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_kept_files_have_the_columns_when_asked_for(tmp_path: Path) -> None:
    answer = " ".join(f"word{i}" for i in range(30))
    texts = ["one two three four", "one two three four!", "four five six", "seven eight"]
    rows = [{"instruction": text, "response": answer, "more": [1]} for text in texts]
    file, other = tmp_path / "in.jsonl", tmp_path / "other.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    other.write_text(json.dumps({"id": "o", "instruction": "seven nine"}) + "\n")
    seen: list[int] = []
    dedup_files([file], tmp_path / "dedup", against=[other], neighbors=True, progress=seen.append)
    assert sum(seen) == 5 + 4  # rows that came in, and those that are compared once more
    near = [(0.833333, "in-000003"), (0.833333, "in-000001"), (0.666667, "o")]
    kept = lines(tmp_path / "dedup" / "kept.jsonl")
    assert kept == [
        row | {"min_neighbor_distance": distance, "nearest_neighbor": name}
        for row, (distance, name) in zip([rows[0], *rows[2:]], near, strict=True)
    ]
    settings = FilterConfig(language="", keep=None, neighbors=True)
    filter_files([file], tmp_path / "filter", settings)
    kept = lines(tmp_path / "filter" / "kept.jsonl")
    assert [(r["min_neighbor_distance"], r["nearest_neighbor"]) for r in kept] == [*near[:2], (1.0, None)]
    filter_files([file], tmp_path / "plain", settings.model_copy(update={"neighbors": False}))
    assert all("min_neighbor_distance" not in row for row in lines(tmp_path / "plain" / "kept.jsonl"))
