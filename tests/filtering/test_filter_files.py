"""Filtering files into a folder."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from synthetic_instruction_tuner.config import ContaminationConfig, FilterConfig
from synthetic_instruction_tuner.data_files.reading import read_records
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering import QualityFilter, filter_files

PROSE = "people who walk along rivers often find that the morning light makes small towns look new and quiet"
WORDS = PROSE.split()
OURS = {".sit-filter", "kept.jsonl", "dropped.jsonl", "malformed.jsonl", "filter_report.json", "filter_report.md"}


class Recorder:
    """A progress display that remembers its lines, and the announced and finished size of each task."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tasks: dict[str, tuple[int, int]] = {}

    def say(self, text: str) -> None:
        self.lines.append(text)

    @contextmanager
    def task(self, label: str, total: int, unit: str) -> Iterator[Callable[..., None]]:
        done: list[int] = []
        yield lambda n: done.append(n)
        self.tasks[label] = (total, sum(done))


def text(seed: int, words: int) -> str:
    return " ".join(random.Random(seed).sample(WORDS, k=len(WORDS)) * (words // len(WORDS) + 1))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    rows = [
        {"id": "a", "instruction": "Describe the river walk near my town.", "response": text(1, 40)},
        {"id": "b", "instruction": "describe THE river walk near my town", "response": text(2, 40)},
        {"id": "c", "instruction": "Name the town of this river.", "response": "I cannot. " + text(3, 40)},
        {"id": "d", "conversations": [{"from": "human", "value": "Quiet?"}, {"from": "gpt", "value": text(4, 40)}]},
        {"id": "e", "prompt": "Name one thing about light.", "response": "\ud800 no"},
        {"id": "f", "instruction": "What do people find in mornings?", "response": text(5, 40)},
    ]
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join([*map(json.dumps, rows), "{broken", ""]))
    return file


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_what_is_written(mine: Path, tmp_path: Path) -> None:
    out, seen = tmp_path / "out", Recorder()
    report = filter_files([mine], out, FilterConfig(keep=2), progress=seen)
    assert {p.name for p in out.iterdir()} == OURS
    assert seen.tasks == {"checking": (6, 6)} and seen.lines == [f"Checking {mine}"]
    assert [r["id"] for r in lines(out / "kept.jsonl")] == ["a", "d"]
    dropped = [(r["record"]["id"], r["rule"], r["matched"], r["value"]) for r in lines(out / "dropped.jsonl")]
    assert dropped == [
        ("b", "near_duplicates", "a", 1.0),
        ("c", "refusal", None, "I cannot @ 0"),
        ("e", "length", None, 2),
        ("f", "keep", None, None),
    ]
    assert [(r["file"], r["number"]) for r in lines(out / "malformed.jsonl")] == [("mine.jsonl", 7)]
    assert json.loads((out / "filter_report.json").read_text()) == json.loads(report.to_json())
    assert (report.records, report.kept, report.over, report.malformed) == (6, 2, 1, 1)
    assert "Input lines that are not records: 1 (mine.jsonl:7)." in report.summary()


def test_kept_records_can_be_read_again(mine: Path, tmp_path: Path) -> None:
    filter_files([mine], tmp_path / "out")
    kept = list(read_records([tmp_path / "out" / "kept.jsonl"], []))
    originals = {r.id: r for r in read_records([mine], [])}
    rules = {"filter_rules": QualityFilter().rule_set_hash}
    assert kept == [replace(originals[r.id], provenance=originals[r.id].provenance | rules) for r in kept]
    assert len(kept) == 3
    again = filter_files([tmp_path / "out" / "kept.jsonl"], tmp_path / "again")
    assert again.kept == again.records == 3
    assert (tmp_path / "again" / "kept.jsonl").read_bytes() == (tmp_path / "out" / "kept.jsonl").read_bytes()


def test_running_again_writes_the_same_bytes(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    filter_files([mine], out)
    first = {p.name: p.read_bytes() for p in out.iterdir()}
    (out / "filter_report.json").unlink()  # as after a crash
    filter_files([mine], out)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == first


def test_the_users_folder_is_left_alone(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "kept.jsonl").write_text("precious")
    with pytest.raises(UserError, match="not empty"):
        filter_files([mine], out)
    assert (out / "kept.jsonl").read_text() == "precious"


def test_inputs_in_the_output_are_refused(mine: Path, tmp_path: Path) -> None:
    filter_files([mine], tmp_path / "out")
    with pytest.raises(UserError, match="output folder"):
        filter_files([tmp_path / "out" / "kept.jsonl"], tmp_path / "out")


def test_wrong_places_are_the_users_mistake(mine: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing"):
        filter_files([], tmp_path / "out")
    with pytest.raises(UserError, match=r"none\.jsonl"):
        filter_files([tmp_path / "none.jsonl"], tmp_path / "out")
    with pytest.raises(UserError, match=r"mine\.jsonl"):
        filter_files([mine], mine)
    assert not (tmp_path / "out").exists()


def test_an_empty_file_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(UserError, match="an empty file"):
        filter_files([tmp_path / "empty.jsonl"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_of_wrong_lines_only(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_bytes(b"\xff\n[1]\n" + b"x" * 1_000_000 + b"\n" + b"{}\n" * 10_000)
    with pytest.raises(UserError, match="the first of 10,003 rows"):
        filter_files([tmp_path / "bad.jsonl"], tmp_path / "out")


def test_a_record_with_a_benchmark_item_names_it_whatever_else_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "exam.txt").write_text("Name the three longest rivers of the old kingdom and their sources.\n")
    asked = "Hello. Name the three longest rivers of the old kingdom and their sources. Thank you."
    (tmp_path / "mine.jsonl").write_text(json.dumps({"instruction": asked, "response": "Too short."}) + "\n")
    chosen = ContaminationConfig(files=(str(tmp_path / "exam.txt"),))
    report = filter_files([tmp_path / "mine.jsonl"], tmp_path / "out", FilterConfig(contamination=chosen))
    (row,) = lines(tmp_path / "out" / "dropped.jsonl")
    assert (row["rule"], row["also_failed"], row["benchmark_items"]) == ("length", ["contamination"], ["exam.txt/1"])
    assert [hit.record for hit in report.hits] == ["mine-000001"]
    assert str(tmp_path) not in (tmp_path / "out" / "filter_report.json").read_text()
