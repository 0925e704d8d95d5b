"""An export's folder: there whole or not at all, and never in place of something of the user's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.exporting import folder as folders
from synthetic_instruction_tuner.exporting.folder import check_place, is_whole, new_folder, require_room, write_record

FACTS = {"student": "a", "variant": "sft"}
OTHER = FACTS | {"variant": "dpo"}


def written(output: Path, text: str = "weights", facts: dict[str, str] = FACTS) -> Path:
    with new_folder(output) as work:
        (work / "model").write_text(text)
        write_record(work, facts)
    return output


def names(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_a_finished_export_is_recognized_and_a_changed_one_is_made_again(tmp_path: Path) -> None:
    output = written(tmp_path / "out")
    assert is_whole(output, FACTS) and not is_whole(output, OTHER)
    (output / "model").write_text("changed")
    assert not is_whole(output, FACTS)
    check_place(output, FACTS, force=False)
    written(output)
    assert is_whole(output, FACTS)
    assert names(tmp_path) == ["out", "out.before-1"]  # the user's change is kept
    assert (tmp_path / "out.before-1/model").read_text() == "changed"


def test_another_export_or_other_files_are_refused_without_force(tmp_path: Path) -> None:
    output = written(tmp_path / "out")
    with pytest.raises(UserError, match="another export: a, sft"):
        check_place(output, OTHER, force=False)
    check_place(output, OTHER, force=True)
    written(output, "new", OTHER)
    assert names(tmp_path) == ["out"]  # an export with nothing of the user's in it is not kept
    (output / "mine.txt").write_text("notes")
    written(output, "newer", FACTS)
    assert (tmp_path / "out.before-1/mine.txt").read_text() == "notes"
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.txt").write_text("words")
    with pytest.raises(UserError, match=r"contains thesis\.txt"):
        check_place(own, FACTS, force=False)
    written(own)
    assert (tmp_path / "own.before-1/thesis.txt").read_text() == "words"


def test_an_empty_folder_and_a_file_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty", FACTS, force=False)
    assert is_whole(written(tmp_path / "empty"), FACTS)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="not a folder"):
        check_place(tmp_path / "file", FACTS, force=True)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_failure_leaves_nothing_and_what_was_there_stays(tmp_path: Path, error: BaseException) -> None:
    output = written(tmp_path / "out")
    kind = RunError if isinstance(error, OSError) else type(error)
    with pytest.raises(kind), new_folder(output) as work:
        (work / "half").write_text("half")
        raise error
    assert names(tmp_path) == ["out"] and is_whole(output, FACTS)


def test_what_a_killed_process_has_left_is_removed_and_what_runs_is_not(tmp_path: Path) -> None:
    left = tmp_path / f".out.{'0' * 16}.export"
    left.mkdir()
    (left / "model").write_text("half")
    others = tmp_path / f".outer.{'0' * 16}.export"
    others.mkdir()
    written(tmp_path / "out")
    assert names(tmp_path) == [others.name, "out"]
    with new_folder(tmp_path / "out") as work:
        with pytest.raises(UserError, match="in use"), new_folder(tmp_path / "out"):
            pass
        assert work.is_dir()


@pytest.mark.parametrize("other", ["out.v2", "OUT", "out" * 20 + "1", "out" * 20 + "2"])
@pytest.mark.parametrize("name", ["out", "out" * 20])
def test_a_folder_is_not_in_use_because_another_is(tmp_path: Path, name: str, other: str) -> None:
    with new_folder(tmp_path / other) as work:
        written(tmp_path / name)
        assert work.is_dir()
    assert names(tmp_path) == sorted({name, other})


def test_who_is_at_work_in_a_folder_is_said(tmp_path: Path) -> None:
    with (
        new_folder(tmp_path / "out"),
        pytest.raises(UserError, match="Another process is unpacking a run"),
        new_folder(tmp_path / "out", "unpacking a run into it"),
    ):
        pass


def test_the_same_export_with_another_card_is_made_again_without_force(tmp_path: Path) -> None:
    output = written(tmp_path / "out", facts=FACTS | {"card": "before"})
    after = FACTS | {"card": "after"}
    assert not is_whole(output, after)
    check_place(output, after, force=False)
    check_place(output, FACTS, force=False)  # as an earlier version wrote it
    with pytest.raises(UserError, match="another export"):
        check_place(output, OTHER | {"card": "before"}, force=False)


@settings(max_examples=25)
@given(name=st.text(alphabet="a*?[]. -é", min_size=1, max_size=50).filter(lambda n: n.strip(". ") == n))
def test_any_name_works(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    place = tmp_path_factory.mktemp("names")
    (place / f"{folders._stem(place / name)}{'0' * 16}.export").mkdir()
    written(place / name)
    assert names(place) == [name]


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 20_000_000})())
    yield


@pytest.mark.usefixtures("little_room")
def test_room_is_looked_for_before_anything_is_written(tmp_path: Path) -> None:
    require_room(tmp_path / "new/deep", 1e6)
    with pytest.raises(RunError, match=r"takes 14\.0 GB, and 20 MB are free"):
        require_room(tmp_path / "new/deep", 14e9)
    assert names(tmp_path) == []
