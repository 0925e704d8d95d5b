"""The record of the stages' files: what is damaged is found, once, and within the limit on what is read."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.run import written_files
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.store import Store
from synthetic_instruction_tuner.run.written_files import WrittenFiles, keep_damaged, one_line, require_whole


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    for name in ("one", "two", "models/sft/s/final/adapter_model.safetensors", "models/sft/s/final/README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"content of {name}")
    return RunFolder(tmp_path)


@pytest.fixture
def store(folder: RunFolder) -> Iterator[Store]:
    opened = Store.open(folder.store)
    yield opened
    opened.close()


def flip(path: Path) -> None:
    """Changes one bit, and neither size nor time."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_is_recorded_is_verified_and_what_is_not_only_has_to_be_there(folder: RunFolder, store: Store) -> None:
    one, two = folder.root / "one", folder.root / "two"
    files = WrittenFiles(folder)
    assert files.damage(store, "filter", [one, two]) == []
    files.record(store, "filter", [one, folder.root / "absent"])
    assert files.damage(store, "filter", [one, two]) == []
    flip(one)
    two.unlink()
    assert one_line(files.damage(store, "filter", [one, two])) == "two is missing; one was changed"
    assert one_line(WrittenFiles(folder).damage(store, "filter")) == "one was changed"


def test_a_file_of_two_stages_is_what_the_last_one_wrote(folder: RunFolder, store: Store) -> None:
    card, files = folder.root / "one", WrittenFiles(folder)
    files.record(store, "prefer", [card])
    card.write_text("written again")
    assert one_line(files.damage(store, "prefer")) == "one is cut off"
    files.record(store, "report", [card])
    assert files.damage(store, "prefer") == files.damage(store, "report") == []
    assert files.forget(store, "prefer") == [card]


def test_beyond_the_limit_a_file_of_the_same_time_is_believed_until_something_is_made_from_it(
    folder: RunFolder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = folder.root / "one", folder.root / "two"
    monkeypatch.setattr(written_files, "READ_AT_ONCE", one.stat().st_size)
    WrittenFiles(folder).record(store, "filter", [one, two])
    files = WrittenFiles(folder)
    flip(two)
    assert files.damage(store, "filter") == []
    files.read_all()
    assert one_line(files.damage(store, "filter")) == "two was changed"
    os.utime(two)  # another time: it is read in any case
    assert one_line(WrittenFiles(folder).damage(store, "filter")) == "two was changed"


def test_a_damaged_record_makes_every_stage_look_again(folder: RunFolder, store: Store) -> None:
    files = WrittenFiles(folder)
    for stage in ("generate", "filter"):
        files.record(store, stage, [folder.root / "one"])
    with sqlite3.connect(folder.store) as db:
        db.execute("UPDATE facts SET value = replace(value, 'one', 'two')")
    db.close()
    files = WrittenFiles(folder)
    assert one_line(files.damage(store, "generate")) == "the record of its files is damaged"
    files.record(store, "generate", [folder.root / "one"])
    assert files.damage(store, "filter")  # nobody knows whether this stage's files are whole


def test_what_is_left_of_a_damaged_file_is_kept_an_adapter_as_a_whole(folder: RunFolder, store: Store) -> None:
    files, final = WrittenFiles(folder), folder.adapter("sft", "s")
    files.record(store, "sft", [folder.root / "one", folder.root / "two", final / "adapter_model.safetensors"])
    flip(folder.root / "one")
    (folder.root / "two").write_text("")
    flip(final / "adapter_model.safetensors")
    with pytest.raises(RunError, match=r"adapter_model\.safetensors was changed"):
        require_whole(folder, "sft", final)
    kept = {keep_damaged(one) for one in files.damage(store, "sft")}
    assert kept == {folder.root / "one.damaged-1", None, final.with_name("final.damaged-1")}
    assert not final.exists() and (final.with_name("final.damaged-1") / "README.md").is_file()


def test_whole_files_may_be_used(folder: RunFolder, store: Store) -> None:
    final = folder.adapter("sft", "s")
    WrittenFiles(folder).record(store, "sft", [folder.root / "one", final / "README.md"])
    flip(folder.root / "one")
    require_whole(folder, "sft", final)
    require_whole(RunFolder(folder.root / "elsewhere"), "sft", final)
