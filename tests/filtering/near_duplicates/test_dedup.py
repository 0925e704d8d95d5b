"""Removing near duplicates from files: what is written, what is refused, and that no row is lost or altered."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from all_pairs import brute, near_duplicates
from synthetic_instruction_tuner.cli import app
from synthetic_instruction_tuner.config import FilterConfig
from synthetic_instruction_tuner.data_files.reading import count_rows, read_records
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering import QualityFilter
from synthetic_instruction_tuner.filtering.near_duplicates import files as dedup
from synthetic_instruction_tuner.filtering.near_duplicates.files import dedup_files

DATA = Path(__file__).parents[4] / "shared" / "data"
OURS = {".sit-dedup", "kept.jsonl", "dropped.jsonl", "malformed.jsonl", "dedup_report.json"}
FIVE = "one two three four five"
Row = dict[str, Any]


def write(file: Path, rows: list[Any]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def lines(file: Path) -> list[Row]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def everything(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    rows = [
        {"id": "a", "instruction": FIVE, "response": "r", "score": 1.5, "extra": {"deep": [1, None]}},
        {"prompt": "😀 !!!", "completion": "no word"},
        {"conversations": [{"from": "human", "value": FIVE + " six!"}, {"from": "gpt", "value": "r"}]},
        {"instruction": "something else", "input": "of its own", "output": "r"},
        {"id": "a", "instruction": "FIVE four; three, two. one", "response": "again"},
        {"question": "something of its own \ud800 else", "answer": "r"},
    ]
    file = write(tmp_path / "mine.jsonl", rows)
    file.write_text("{broken\n\n" + file.read_text() + "[1]\n")
    return file


def test_what_is_written(mine: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    out = tmp_path / "out"
    report = dedup_files([mine], out, progress=seen.append)
    assert {p.name for p in out.iterdir()} == OURS
    rows = [json.loads(line) for line in mine.read_text().splitlines()[2:-1]]
    assert lines(out / "kept.jsonl") == [rows[0], rows[3]]
    dropped = lines(out / "dropped.jsonl")
    assert [row["record"] for row in dropped] == [rows[1], rows[2], rows[4], rows[5]]
    assert [(r["number"], r["rule"], r["value"], r["matched"], r.get("matched_number")) for r in dropped] == [
        (4, "length", 0, None, None),
        (5, "near_duplicates", 0.833333, "a", 3),
        (7, "near_duplicates", 1.0, "a", 3),
        (8, "near_duplicates", 1.0, "mine-000006", 6),
    ]
    assert dropped[1]["reason"] == "the instruction shares 5 of 6 words with 'a' (mine.jsonl, 3) (similarity 0.833)"
    assert all(r["file"] == "mine.jsonl" and r["limit"] in (0.8, 1) and not r["passed"] for r in dropped)
    assert [(r["number"], r["problem"][:8]) for r in lines(out / "malformed.jsonl")] == [
        (1, "not JSON"),
        (9, "a row mu"),
    ]
    assert json.loads((out / "dedup_report.json").read_text()) == json.loads(report.to_json())
    assert (report.records, report.kept, report.duplicates, report.without_words, report.malformed) == (6, 2, 3, 1, 2)
    assert "Input lines that are not records: 2 (mine.jsonl:1, mine.jsonl:9)." in report.summary()
    assert sum(seen) == 6


def test_against_files_count_as_earlier(mine: Path, tmp_path: Path) -> None:
    chain = [
        {"instruction": "alpha beta gamma delta"},
        {"id": "x", "instruction": FIVE},
        {"instruction": FIVE + " six"},
    ]
    other = write(tmp_path / "other.jsonl", [*chain, 5, chain[1]])
    report = dedup_files([mine], tmp_path / "out", against=[other])
    dropped = lines(tmp_path / "out" / "dropped.jsonl")
    partners = [(r["number"], r["matched"], r["matched_file"], r["matched_number"]) for r in dropped if r["matched"]]
    assert partners == [
        (3, "x", "other.jsonl", 2),
        (5, "other-000003", "other.jsonl", 3),  # the others are compared with, also where they resemble each other
        (7, "x", "other.jsonl", 2),
        (8, "mine-000006", "mine.jsonl", 6),
    ]
    assert len(lines(tmp_path / "out" / "kept.jsonl")) == report.kept == 1
    assert (report.against_records, report.against_duplicates, report.malformed) == (4, 3, 3)


@pytest.mark.parametrize(("field", "kept"), [("instruction", "a"), ("response", "ab"), ("both", "abc")])
def test_what_is_compared(tmp_path: Path, field: Any, kept: str) -> None:
    rows = [
        {"id": "a", "instruction": FIVE, "response": "red green blue"},
        {"id": "b", "instruction": FIVE, "response": "sea sun sky"},
        {"id": "c", "instruction": "five four three two one six", "response": "sea sun sky cloud"[:11]},
    ]
    rows[2]["system"] = "you are " + "kind " * 9  # is not compared
    rows[2]["instruction"] += "" if field != "both" else " seven eight nine ten"
    dedup_files([write(tmp_path / "in.jsonl", rows)], tmp_path / "out", field=field)
    assert "".join(r["id"] for r in lines(tmp_path / "out" / "kept.jsonl")) == kept


def test_all_turns_of_a_conversation_are_compared(tmp_path: Path) -> None:
    def talk(first: str) -> Row:
        turns = [("user", first), ("assistant", "gladly"), ("user", "thanks, go on please")]
        return {"messages": [{"role": role, "content": text} for role, text in turns]}

    file = write(
        tmp_path / "in.jsonl", [talk("tell me of rivers"), talk("bake some bread"), talk("tell me of rivers!")]
    )
    assert dedup_files([file], tmp_path / "out").kept == 2
    assert dedup_files([file], tmp_path / "answers", field="response").kept == 1


def test_json_and_parquet_give_the_same(mine: Path, tmp_path: Path) -> None:
    rows = [{"instruction": FIVE, "response": "r"}, {"instruction": FIVE + "!", "response": "s"}, {"instruction": "x"}]
    (tmp_path / "m.json").write_text(json.dumps(rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "m.parquet")
    write(tmp_path / "m.jsonl", rows)
    (tmp_path / "m.jsonl.gz").write_bytes(gzip.compress((tmp_path / "m.jsonl").read_bytes()))
    assert count_rows([tmp_path / "m.jsonl.gz"]) == 0  # nobody knows before it is read
    for kind in ("json", "parquet", "jsonl", "jsonl.gz"):
        dedup_files([tmp_path / f"m.{kind}"], tmp_path / kind)
        dropped = lines(tmp_path / kind / "dropped.jsonl")
        assert [(r["number"], r["matched"], r["matched_number"]) for r in dropped] == [(2, "m-000001", 1)]
        kept = [{k: v for k, v in row.items() if v is not None} for row in lines(tmp_path / kind / "kept.jsonl")]
        assert kept == [rows[0], rows[2]]


def test_files_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "x.jsonl", [{"instruction": FIVE}])
    dedup_files([tmp_path / "a" / "x.jsonl", tmp_path / "b" / "x.jsonl"], tmp_path / "out")
    (row,) = lines(tmp_path / "out" / "dropped.jsonl")
    assert (row["file"], row["matched_file"]) == (str(tmp_path / "b" / "x.jsonl"), str(tmp_path / "a" / "x.jsonl"))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.8, 0.5, 1.0]), st.integers(1, 9))
def test_equals_brute_force_and_two_steps_equal_one(
    tmp_path_factory: pytest.TempPathFactory, seed: int, threshold: float, batch: int
) -> None:
    """What is kept of a first file and then, compared with it, of a second is what is kept of both at once."""
    tmp = tmp_path_factory.mktemp("dedup")
    texts = near_duplicates(random.Random(seed), 60, 30)
    rows = [{"id": str(i), "instruction": text} for i, text in enumerate(texts)]
    first, second = write(tmp / "1.jsonl", rows[:25]), write(tmp / "2.jsonl", rows[25:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dedup, "BATCH", batch)
        dedup_files([first, second], tmp / "both", threshold)
        dedup_files([first], tmp / "first", threshold)
    dedup_files([second], tmp / "second", threshold, against=[tmp / "first" / "kept.jsonl"])
    both, steps = lines(tmp / "both" / "kept.jsonl"), lines(tmp / "first" / "kept.jsonl")
    assert steps + lines(tmp / "second" / "kept.jsonl") == both
    expected = brute(texts, Fraction(str(threshold)))
    assert [int(row["id"]) for row in both] == [i for i, d in enumerate(expected) if d is None and texts[i]]
    partners = {
        int(r["record"]["id"]): (int(r["matched"]), r["value"])
        for r in lines(tmp / "both" / "dropped.jsonl")
        if r["matched"] is not None
    }
    assert partners == {i: (d[0], round(float(d[1]), 6)) for i, d in enumerate(expected) if d}


def test_the_same_as_the_filter_drops(tmp_path: Path) -> None:
    file = DATA / "gpteacher" / "codegen-instruct.json"
    if not file.exists():
        pytest.skip(f"{file} is not here")
    dedup_files([file], tmp_path / "out")
    easy = FilterConfig(
        min_words=0,
        max_words=10**6,
        max_word_repeats=10**6,
        max_line_repeats=10**6,
        refusal_phrases=("zxqj",),
        language="",
    )
    judged = list(QualityFilter(easy).check(read_records([file], [])))
    theirs = [
        (j.record_id, v.matched, v.value)
        for j in judged
        for v in j.verdicts
        if v.rule == "near_duplicates" and v.matched
    ]
    ours = [
        (f"codegen-instruct-{r['number']:06d}", r["matched"], r["value"])
        for r in lines(tmp_path / "out" / "dropped.jsonl")
    ]
    assert len(ours) > 100 and ours == [t for t in theirs if t[0] in {o[0] for o in ours}]


def test_nothing_does_harm(tmp_path: Path) -> None:
    texts = ["", " ", "\0", "\ud800", "<|im_end|>", "x" * 10**6, "line\n" * 10_000, "w " * 10**5, "١٢٣", "你好 世界"]
    rows = [{"instruction": text, "response": ""} for text in texts] + [{"instruction": 5}, {}, None, "text", [[]]]
    report = dedup_files([write(tmp_path / "in.jsonl", rows)], tmp_path / "out")
    assert (report.records, report.malformed) == (10, 5)
    assert report.kept + report.duplicates + report.without_words == 10
    assert len(lines(tmp_path / "out" / "kept.jsonl")) == report.kept


def test_an_empty_file_is_the_users_mistake_but_may_be_compared_with(tmp_path: Path, mine: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(UserError, match="an empty file"):
        dedup_files([empty], tmp_path / "out", against=[mine])
    assert not (tmp_path / "out" / "kept.jsonl").exists()
    assert dedup_files([mine, empty], tmp_path / "out", against=[empty]).records


def test_running_again_writes_the_same_bytes(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    dedup_files([mine], out)
    first = everything(out)
    (out / "dedup_report.json").unlink()  # as after a crash
    dedup_files([mine], out)
    assert everything(out) == first


def test_the_users_folder_is_left_alone_unless_forced(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "kept.jsonl").write_text("precious")
    (out / "notes").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        dedup_files([mine], out)
    assert everything(out) == {"kept.jsonl": b"precious", "notes": b"mine"}
    dedup_files([mine], out, force=True)
    assert len(lines(out / "kept.jsonl")) == 2 and (out / "notes").read_text() == "mine"


def test_wrong_places_and_values_are_the_users_mistake(mine: Path, tmp_path: Path) -> None:
    cases: list[tuple[Any, str]] = [
        ({"inputs": []}, "nothing"),
        ({"inputs": [tmp_path / "none.jsonl"]}, r"none\.jsonl"),
        ({"inputs": [tmp_path]}, "not a file"),
        ({"against": [tmp_path / "none.jsonl"]}, r"none\.jsonl"),
        ({"output": mine}, r"mine\.jsonl"),
        ({"output": tmp_path, "force": True}, "output folder"),
        ({"threshold": 0}, "not possible"),
        ({"threshold": 1.01}, "not possible"),
        ({"threshold": float("nan")}, "not possible"),
    ]
    for change, message in cases:
        with pytest.raises(UserError, match=message):
            dedup_files(**({"inputs": [mine], "output": tmp_path / "out"} | change))
    assert not (tmp_path / "out").exists()


def test_a_file_that_breaks_off_leaves_the_earlier_result(mine: Path, tmp_path: Path) -> None:
    dedup_files([mine], tmp_path / "out")
    before = everything(tmp_path / "out")
    (tmp_path / "bad.json").write_text('[{"instruction": "x"}')
    with pytest.raises(UserError, match="not valid JSON"):
        dedup_files([mine, tmp_path / "bad.json"], tmp_path / "out")
    assert everything(tmp_path / "out") == {n: b for n, b in before.items() if n != "dedup_report.json"}


def test_a_killed_job_does_no_harm(tmp_path: Path) -> None:
    texts = near_duplicates(random.Random(1), 6000, 3000)
    file = write(tmp_path / "in.jsonl", [{"instruction": text} for text in texts])
    command = [sys.executable, "-m", "synthetic_instruction_tuner", "dedup", str(file), "-o", str(tmp_path / "out")]
    job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    waited = time.monotonic()
    while not list(tmp_path.glob("out/.kept.jsonl.*.tmp")) and time.monotonic() - waited < 30:
        time.sleep(0.01)
    assert list(tmp_path.glob("out/.kept.jsonl.*.tmp")), "it was not begun"
    job.send_signal(signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    assert not (tmp_path / "out" / "dedup_report.json").exists()
    dedup_files([file], tmp_path / "out")
    dedup_files([file], tmp_path / "whole")
    assert everything(tmp_path / "out") == everything(tmp_path / "whole")


def test_every_process_writes_the_same_bytes(tmp_path: Path) -> None:
    texts = near_duplicates(random.Random(2), 600, 300)
    file = write(tmp_path / "in.jsonl", [{"instruction": text} for text in texts])
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "synthetic_instruction_tuner", "dedup", str(file), "-o", str(tmp_path / seed)]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": seed})
    assert everything(tmp_path / "1") == everything(tmp_path / "2")


def test_the_command(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["dedup", str(mine), "-o", str(tmp_path / "out"), "--field", "both", "--threshold", "0.9"]
    assert app._exit_code(arguments) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[:2] == [
        "Of 6 records, 5 were kept (83.3%).",
        "Near duplicates dropped (similarity 0.9 or more): 1.",
    ]
    assert app._exit_code([*arguments, "--against", str(mine), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["against_duplicates"] == 6 - json.loads(shown.out)["without_words"]
    assert shown.err == ""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "x").write_text("")
    assert app._exit_code(["dedup", str(mine), "-o", str(tmp_path / "theirs")]) == 2
    assert "--force" in capsys.readouterr().err
    assert app._exit_code(["dedup", str(mine), "-o", str(tmp_path / "theirs"), "--force"]) == 0


def test_rows_are_counted_for_progress(mine: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"instruction": ["a", "b"]}), tmp_path / "m.parquet")
    (tmp_path / "m.json").write_text("[]")
    assert count_rows([mine, tmp_path / "m.parquet"]) == 9 + 2
    (tmp_path / "bad.parquet").write_text("")
    for unknown in ("m.json", "none.jsonl", "bad.parquet"):
        assert count_rows([mine, tmp_path / unknown]) == 0
