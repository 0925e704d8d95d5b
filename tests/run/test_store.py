"""The store: whole batches or none, whatever happens to the process, the disk or the file."""

from __future__ import annotations

import errno
import inspect
import json
import mmap
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_disk import small_disk
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.run.store import Store
from synthetic_instruction_tuner.run.store.file import set_aside, shares_memory

ROWS = 40  # per batch
PAGE = 4096  # bytes; a file that lacks less is caught by the digests of its batches


def batch(number: int) -> list[dict[str, object]]:
    return [{"n": number, "i": i, "text": f"{number}-{i} " * (1 + (number * 7 + i) % 30)} for i in range(ROWS)]


COMMITTER = f"""
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from synthetic_instruction_tuner.run.store import Store
ROWS = {ROWS}
{inspect.getsource(batch).replace("dict[str, object]", "dict")}
print("ready", flush=True)
store = Store.open(Path(sys.argv[1]))
for number in range(10_000):
    if number not in store.batch_numbers("unit"):
        store.commit_batch("unit", number, batch(number), 0.1)
        print(number, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.sqlite"


def filled(path: Path, batches: int = 5) -> Store:
    store = Store.open(path)
    for number in range(batches):
        store.commit_batch("unit", number, batch(number))
    return store


def expected(batches: int) -> list[dict[str, object]]:
    return [row for number in range(batches) for row in batch(number)]


def edit(path: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(path) as db:
        db.execute(statement, values)
    db.close()


# Batches


def test_rows_come_back_in_order_whatever_order_they_went_in(path: Path) -> None:
    store = Store.open(path)
    for number in (3, 0, 4, 1, 2):
        store.commit_batch("unit", number, batch(number))
    store.commit_batch("unit:other", 0, [{"x": 1}])
    assert list(store.rows("unit")) == expected(5)
    assert store.batch_numbers("unit") == {0, 1, 2, 3, 4}
    assert store.row_count("unit") == 5 * ROWS and store.row_count("none") == 0
    store.close()


def test_the_digest_knows_rows_and_not_batches(path: Path) -> None:
    store = filled(path)
    store.commit_batch("one", 0, expected(5))
    store.commit_batch("swapped", 0, expected(5)[::-1])
    assert store.unit_digest("unit") == store.unit_digest("one") != store.unit_digest("swapped")
    assert store.unit_digest("empty") == store.unit_digest("empty too")


def test_a_batch_without_rows_is_done_too(path: Path) -> None:
    store = Store.open(path)
    store.commit_batch("unit", 0, [])
    assert store.batch_numbers("unit") == {0} and list(store.rows("unit")) == []
    assert store.drop_damaged() == []


def test_a_batch_is_taken_over_as_it_is(path: Path) -> None:
    store = filled(path)
    store.adopt_batch("unit", "other:key", 2)
    assert store.batch_rows("other:key", 2) == store.batch_rows("unit", 2) == batch(2)
    assert store.batch_sizes("other:key") == {2: len(batch(2))} and store.batch_sizes("unit").keys() == set(range(5))
    store.drop_unit("unit")
    assert list(store.rows("other:key")) == batch(2)
    with pytest.raises(RunError):
        store.batch_rows("other:key", 3)
    store.close()
    edit(path, "UPDATE rows SET payload = '{}' WHERE unit = 'other:key' AND position = 0")
    store = Store.open(path)
    with pytest.raises(RunError):
        store.batch_rows("other:key", 2)
    store.close()


def test_units_are_dropped_by_prefix(path: Path) -> None:
    store = Store.open(path)
    for unit in ("sft:a", "sft:b:c", "sft_:a", "dpo:sft:a", "s%t:x"):
        store.commit_batch(unit, 0, [{"u": unit}])
    store.drop_units("sft:")
    assert [u for u in ("sft:a", "sft:b:c", "sft_:a", "dpo:sft:a", "s%t:x") if store.row_count(u)] == [
        "sft_:a",
        "dpo:sft:a",
        "s%t:x",
    ]
    store.drop_unit("sft_:a")
    store.commit_batch("sft_:a", 0, [{"u": 2}])
    assert list(store.rows("sft_:a")) == [{"u": 2}]


def test_a_failed_commit_leaves_nothing(path: Path) -> None:
    store = Store.open(path)
    with pytest.raises(TypeError):
        store.commit_batch("unit", 0, [{"a": 1}, {"b": object()}])
    assert store.batch_numbers("unit") == set()
    store.commit_batch("unit", 0, [{"a": 1}])
    with pytest.raises(RunError):
        store.commit_batch("unit", 0, [{"a": 2}])
    assert list(store.rows("unit")) == [{"a": 1}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.text(st.characters()), JSON, max_size=4), max_size=5))
def test_any_json_comes_back(rows: list[dict[str, object]]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        store = Store.open(Path(folder) / "s")
        store.commit_batch("unit", 0, rows)
        assert list(store.rows("unit")) == rows
        assert store.drop_damaged() == []
        store.close()


@pytest.mark.parametrize(
    "text",
    ["\ud800 alone", "a\udcff", "null \x00 inside", "\x00", "x" * 1_000_000, "𝔘" * 250_000, "\n\r\u2028\x85", "'; --"],
    ids=["high", "low", "nul", "only nul", "1 MB", "1 MB astral", "line ends", "quote"],
)
def test_hard_texts_come_back(path: Path, text: str) -> None:
    store = Store.open(path)
    store.commit_batch("unit", 0, [{"text": text, text[:50]: 1}])
    store.set_fact("m", {"text": text})
    store.close()
    store = Store.open(path)
    assert list(store.rows("unit")) == [{"text": text, text[:50]: 1}]
    assert store.fact("m") == {"text": text}
    assert len(store.unit_digest("unit")) == 64


# Killed


def test_killed_at_any_moment_every_batch_is_whole_or_absent(path: Path) -> None:
    chance = random.Random(5)
    for _ in range(20):
        seen = _kill_while_committing(path, chance.uniform(0, 0.06))
        assert not path.exists() or path.stat().st_size > 0
        store = Store.open(path)
        numbers = store.batch_numbers("unit")
        assert numbers == set(range(len(numbers)))
        assert seen <= numbers, "a batch that was reported as committed is gone"
        assert list(store.rows("unit")) == expected(len(numbers))
        assert store.row_count("unit") == len(numbers) * ROWS
        assert store.drop_damaged() == []
        store.close()
    assert numbers, "no child lived long enough to commit anything"


def _kill_while_committing(path: Path, after: float) -> set[int]:
    child = subprocess.Popen([sys.executable, "-c", COMMITTER, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout and child.stdout.readline() == "ready\n"
    time.sleep(after)
    child.kill()
    said = child.communicate()[0]
    return {int(line) for line in said.splitlines(keepends=True) if line.endswith("\n")}


def test_a_crash_while_the_store_is_made_leaves_no_half_store(path: Path) -> None:
    path.with_name(".run.sqlite.0123456789abcdef.tmp").write_bytes(b"half a header")
    path.with_name(".run.sqlite.0123456789abcdef.tmp-journal").write_bytes(b"rest")
    filled(path, 1).close()
    assert [p.name for p in path.parent.iterdir()] == ["run.sqlite"]


def test_the_log_of_a_store_that_was_deleted_is_not_read(path: Path) -> None:
    store = filled(path)
    log = path.with_name("run.sqlite-wal").read_bytes()
    assert log
    store.close()
    path.unlink()
    path.with_name("run.sqlite-wal").write_bytes(log)
    assert Store.open(path).batch_numbers("unit") == set()


# Damaged


@pytest.mark.parametrize("share", (0.04, 0.1, 0.5, 0.9, 0.9999))
def test_a_cut_off_file_is_an_error_that_names_repair(path: Path, share: float) -> None:
    filled(path).close()
    os.truncate(path, int(path.stat().st_size * share) // PAGE * PAGE)
    for readonly in (False, True):
        with pytest.raises(RunError, match="--repair") as caught:
            Store.open(path, readonly=readonly)
        assert len(caught.value.lines()) == 3 and str(path) in caught.value.problem


@pytest.mark.parametrize("content", (b"", b"not a database at all", b"\0" * 8192), ids=["empty", "text", "zeros"])
def test_a_file_that_is_no_store(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for readonly in (False, True):
        with pytest.raises(RunError, match="--repair"):
            Store.open(path, readonly=readonly)
    assert path.read_bytes() == content


def test_somebody_else_s_database_is_left_alone(path: Path) -> None:
    edit(path, "CREATE TABLE photos (name TEXT)")
    with pytest.raises(RunError, match="--repair"):
        Store.open(path)
    with sqlite3.connect(path) as db:
        assert [n for (n,) in db.execute("SELECT name FROM sqlite_master")] == ["photos"]


def test_random_bytes_over_the_file_never_give_wrong_rows(path: Path) -> None:
    """Whatever is overwritten: the store says so, or every row is right."""
    filled(path).close()
    whole = path.read_bytes()
    chance = random.Random(3)
    noticed, right = 0, expected(5)
    for _ in range(60):
        at = chance.randrange(len(whole) - 16)
        path.write_bytes(whole[:at] + chance.randbytes(16) + whole[at + 16 :])
        path.with_name("run.sqlite-wal").unlink(missing_ok=True)
        path.with_name("run.sqlite-shm").unlink(missing_ok=True)
        store = None
        try:
            store = Store.open(path)
            assert [row for row in store.rows("unit") if row not in right] == []
        except RunError as error:
            assert "--repair" in str(error)
            noticed += 1
        except UserError as error:
            assert "version of sit" in str(error)
        finally:
            if store:
                store.close()
    assert noticed > 10


def test_an_edited_row_is_named_and_only_its_batch_is_made_again(path: Path) -> None:
    filled(path).close()
    edit(path, "UPDATE rows SET payload = replace(payload, '2-7 ', '2-8 ') WHERE batch = 2 AND position = 7")
    store = Store.open(path)
    with pytest.raises(RunError, match="batch 2 of unit") as caught:
        list(store.rows("unit"))
    assert "--repair" in str(caught.value)
    with pytest.raises(RunError, match="batch 2 of unit"):
        store.unit_digest("unit")
    assert store.drop_damaged() == ["unit batch 2"]
    assert store.batch_numbers("unit") == {0, 1, 3, 4}
    store.commit_batch("unit", 2, batch(2))
    assert list(store.rows("unit")) == expected(5)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM rows WHERE batch = 2 AND position = 3",
        "DELETE FROM rows WHERE batch = 2",
        "INSERT INTO rows VALUES ('unit', 2, 99, '{}')",
        "UPDATE rows SET position = position + 100 WHERE batch = 2 AND position = 0",
        "UPDATE rows SET payload = CAST(x'ff00fe' AS TEXT) WHERE batch = 2 AND position = 3",
        "UPDATE rows SET payload = x'ff00fe' WHERE batch = 2 AND position = 3",
        "UPDATE batches SET digest = 'x' WHERE number = 2",
        "DELETE FROM batches WHERE number = 2",
    ],
)
def test_every_kind_of_edit_is_repaired(path: Path, statement: str) -> None:
    filled(path).close()
    edit(path, statement)
    store = Store.open(path)
    assert store.drop_damaged() == ["unit batch 2"]
    store.commit_batch("unit", 2, batch(2))
    assert list(store.rows("unit")) == expected(5)
    assert store.drop_damaged() == []


def test_a_damaged_store_is_set_aside_with_its_log(path: Path) -> None:
    store = filled(path, 1)
    whole = {p.name: p.read_bytes() for p in path.parent.iterdir()}
    store.close()
    for round_ in (1, 2):
        for name, content in whole.items():
            path.with_name(name).write_bytes(content)
        aside = set_aside(path)
        assert aside == path.with_name(f"run.sqlite.damaged-{round_}")
        assert Store.open(aside, readonly=True).row_count("unit") == ROWS
        assert not list(path.parent.glob("run.sqlite-*"))
    assert set_aside(path) is None
    assert filled(path).row_count("unit") == 5 * ROWS


# Opening


def test_another_format_is_left_alone(path: Path) -> None:
    filled(path).close()
    edit(path, "UPDATE meta SET value = '999' WHERE name = 'schema'")
    for readonly in (False, True):
        with pytest.raises(UserError, match="a later version of sit") as caught:
            Store.open(path, readonly=readonly)
        assert "999" in caught.value.cause
    edit(path, "UPDATE meta SET value = '3' WHERE name = 'schema'")
    assert Store.open(path).row_count("unit") == 5 * ROWS


def test_reading_a_run_that_is_not_there_makes_nothing(path: Path) -> None:
    with pytest.raises(UserError, match="There is no run"):
        Store.open(path, readonly=True)
    assert list(path.parent.iterdir()) == []


def test_a_reader_sees_what_a_writer_has_committed_and_cannot_write(path: Path) -> None:
    store = filled(path)
    reader = Store.open(path, readonly=True)
    store.commit_batch("unit", 5, batch(5))
    assert reader.row_count("unit") == 6 * ROWS
    with pytest.raises(UserError, match="cannot be opened"):
        reader.commit_batch("unit", 6, batch(6))
    reader.close()


@pytest.mark.parametrize("begun_elsewhere", (False, True))
def test_a_drive_without_shared_memory(path: Path, begun_elsewhere: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mounted drives often lack it; the log beside the store, which needs it, is then not used."""
    done = 2 if begun_elsewhere else 0
    filled(path, done).close()

    def refused(*_: object) -> None:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(mmap, "mmap", refused)
    assert not shares_memory(path.parent)
    store = Store.open(path)
    for number in range(done, 4):
        store.commit_batch("unit", number, batch(number))
    assert not path.with_name("run.sqlite-wal").exists() and not path.with_name("run.sqlite-shm").exists()
    reader = Store.open(path, readonly=True)  # as `sit status` beside a run
    assert list(reader.rows("unit")) == expected(4)
    store.commit_batch("unit", 4, batch(4))
    assert list(reader.rows("unit")) == expected(5)
    reader.close()
    store.close()
    monkeypatch.undo()
    assert shares_memory(path.parent)
    assert sorted(os.listdir(path.parent)) == ["run.sqlite", "run.sqlite-journal"]  # which is empty, and no leftovers
    assert path.with_name("run.sqlite-journal").stat().st_size == 0
    assert list(Store.open(path).rows("unit")) == expected(5)


def test_a_store_with_a_log_is_read_on_a_drive_without_shared_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `sit status` does in a run that was copied to such a drive, before anything writes there."""
    filled(path, 2).close()
    real = sqlite3.connect

    def on_a_drive(target: str, **more: Any) -> sqlite3.Connection:
        return real(f"{target}&vfs=unix-none", **more)

    def refused(*_: object) -> None:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(mmap, "mmap", refused)
    monkeypatch.setattr(sqlite3, "connect", on_a_drive)
    for _ in range(2):
        reader = Store.open(path, readonly=True)
        assert list(reader.rows("unit")) == expected(2)
        reader.close()


def test_odd_names(tmp_path: Path) -> None:
    for name in ("a b?mode=ro#x", "100%41", "ünï", "a'b"):
        (tmp_path / name).mkdir()
        store = filled(tmp_path / name / "run.sqlite", 1)
        store.close()
        assert Store.open(tmp_path / name / "run.sqlite", readonly=True).row_count("unit") == ROWS


def test_no_place_for_a_store(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "run.sqlite"):
        with pytest.raises(UserError, match="cannot be opened"):
            Store.open(path)


def test_a_locked_store_is_the_other_process_s(path: Path) -> None:
    store = filled(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store._db.execute("PRAGMA busy_timeout = 20")
    with pytest.raises(UserError, match="in use"):
        store.commit_batch("unit", 5, batch(5))
    other.execute("ROLLBACK")
    store.commit_batch("unit", 5, batch(5))
    assert list(store.rows("unit")) == expected(6)


def test_threads_may_share_a_store(path: Path) -> None:
    store = Store.open(path)
    done = threading.Thread(target=lambda: store.commit_batch("unit", 0, batch(0)))
    done.start()
    done.join()
    assert list(store.rows("unit")) == expected(1)


# A full disk


def fill_until_full(store: Store) -> int:
    number = 0
    with pytest.raises(RunError, match="The disk is full"):
        while number < 2000:
            store.commit_batch("unit", number, batch(number))
            number += 1
    return number


def test_a_full_disk_loses_nothing(path: Path) -> None:
    store = Store.open(path)
    store._db.execute("PRAGMA max_page_count = 60")
    done = fill_until_full(store)
    assert done > 3
    assert list(store.rows("unit")) == expected(done)
    store._db.execute("PRAGMA max_page_count = 100000")
    store.commit_batch("unit", done, batch(done))
    store.close()
    assert list(Store.open(path).rows("unit")) == expected(done + 1)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "1m") as place:
        yield place


def test_a_really_full_disk_loses_nothing(tiny_disk: Path) -> None:
    store = Store.open(tiny_disk / "run.sqlite")
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(b"x" * 300_000)
    done = fill_until_full(store)
    assert done > 3
    with pytest.raises(RunError, match="The disk is full"):
        store.commit_batch("unit", done, batch(done) * 20)
    store.close()
    ballast.unlink()
    store = Store.open(tiny_disk / "run.sqlite")
    assert list(store.rows("unit")) == expected(done)
    store.commit_batch("unit", done, batch(done))
    assert list(store.rows("unit")) == expected(done + 1)
    store.close()


def test_no_room_for_a_store_at_all(tiny_disk: Path) -> None:
    (tiny_disk / "ballast").write_bytes(b"x" * 1_044_480)
    with pytest.raises(RunError, match="The disk is full"):
        Store.open(tiny_disk / "run.sqlite")
    (tiny_disk / "ballast").unlink()
    filled(tiny_disk / "run.sqlite", 1).close()


def test_a_run_on_a_read_only_disk_can_be_read(tiny_disk: Path) -> None:
    filled(tiny_disk / "run.sqlite", 1).close()
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    reader = Store.open(tiny_disk / "run.sqlite", readonly=True)
    assert list(reader.rows("unit")) == expected(1)
    reader.close()
    with pytest.raises(UserError, match="cannot be opened"):
        Store.open(tiny_disk / "run.sqlite")


# Stages and facts


def test_a_stage_keeps_its_time_under_the_same_key_only(path: Path) -> None:
    store = Store.open(path)
    assert store.stage("sft") is None
    store.begin_stage("sft", "k1", {"a": {"b": 1}})
    store.add_time("sft", 2.5, 1.5)
    store.add_time("sft", 1.0, 0.5)
    store.fail_stage("sft", "lost")
    state = store.stage("sft")
    assert state and (state.status, state.seconds, state.peak_memory_gb, state.note) == ("failed", 3.5, 1.5, "lost")
    store.begin_stage("sft", "k1", {"a": {"b": 1}})
    store.add_time("sft", 1.0)
    store.finish_stage("sft", "digest", 10, 8, "fine")
    state = store.stage("sft")
    assert state and (state.status, state.seconds, state.peak_memory_gb) == ("done", 4.5, 1.5)
    assert (state.digest, state.rows_in, state.rows_out, state.note) == ("digest", 10, 8, "fine")
    assert state.part == {"a": {"b": 1}}
    store.begin_stage("sft", "k2", {})
    state = store.stage("sft")
    assert state and (state.key, state.status, state.seconds, state.digest) == ("k2", "running", 0.0, None)
    assert state.peak_memory_gb is None
    store.forget_stage("sft")
    assert store.stage("sft") is None


def test_a_fact_replaces_the_earlier_one(path: Path) -> None:
    store = Store.open(path)
    assert store.fact("x") is None
    store.set_fact("x", [1, {"y": 2.5}])
    store.set_fact("x", 7)
    assert store.fact("x") == 7
    assert json.dumps(store.fact("x")) == "7"


@pytest.mark.parametrize(
    ("change", "dropped"),
    [
        ("UPDATE stages SET value = substr(value, 2)", "stage sft"),
        ("UPDATE stages SET value = replace(value, 'running', 'done')", "stage sft"),
        ("UPDATE stages SET value = '[1]'", "stage sft"),
        ("UPDATE stages SET digest = 'x'", "stage sft"),
        ("UPDATE facts SET value = '[1,3]'", "fact losses"),
        ("UPDATE facts SET value = X'ff'", "fact losses"),
        ("UPDATE facts SET value = 7", "fact losses"),
    ],
)
def test_a_state_or_fact_that_was_changed_is_damage_and_is_dropped(tmp_path: Path, change: str, dropped: str) -> None:
    store = Store.open(tmp_path / "run.sqlite")
    store.begin_stage("sft", "key", {"a": 1})
    store.set_fact("losses", [1, 2])
    with sqlite3.connect(tmp_path / "run.sqlite") as db:
        db.execute(change)
    db.close()
    with pytest.raises(RunError, match="damaged"):
        store.stage("sft") if dropped.startswith("stage") else store.fact("losses")
    assert store.drop_damaged() == [dropped]
    assert (store.stage("sft") is None) == dropped.startswith("stage")
    assert (store.fact("losses") is None) == dropped.startswith("fact")
    store.close()
