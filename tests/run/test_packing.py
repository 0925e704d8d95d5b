"""What is packed can be unpacked: names, links, and lists that no `sit pack` has written."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.errors import RunError, SitError, UserError
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.packing import pack as packing
from synthetic_instruction_tuner.run.packing import unpack as unpacking
from synthetic_instruction_tuner.run.packing.contents import LIST, Contents, fits_here
from synthetic_instruction_tuner.run.packing.unpack import unpack
from synthetic_instruction_tuner.run.store import Store

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
NAMES = st.one_of(
    st.sampled_from(["2026-11-28T20:10", "a\\b", "C:", LIST, " ", "-", "\n", "é", "e\u0301", "x" * 120]),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=20),
    st.binary(min_size=1, max_size=8).map(os.fsdecode),
).filter(lambda name: not {"/", "\0"} & set(name) and name not in (".", "..") and len(os.fsencode(name)) < 200)


def quiet(size: int) -> Callable[[int], None]:
    return lambda more: None


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes runs that have a store, and no stages to verify."""
    patch = pytest.MonkeyPatch()
    patch.setattr(packing, "preview", lambda *_: [])
    patch.setattr(RunFolder, "read_config", lambda self: None)

    def make(name: str = "run", recorded: tuple[str, ...] = ()) -> RunFolder:
        folder = RunFolder(tmp_path_factory.mktemp("packing") / name)
        folder.root.mkdir()
        folder.config.write_text("{}")
        store = Store.open(folder.store)
        store.set_fact("written_files", {"sft": {file: {} for file in recorded}})
        store.close()
        return folder

    yield make
    patch.undo()


@posix
@settings(max_examples=25, deadline=None)
@given(run=NAMES, name=NAMES)
def test_what_is_packed_can_be_unpacked(small_run: Any, run: str, name: str) -> None:
    folder = small_run(run)
    (folder.root / "data").mkdir()
    (folder.root / "data" / name).write_text("mine")
    archive, there = folder.root.parent / "run.tar.zst", folder.root.parent / "there"
    try:
        packing.pack(folder, archive, quiet)
    except UserError as error:
        assert "UTF-8" in error.cause and not archive.exists()
        assert any("\udc80" <= sign <= "\udcff" for sign in run + name)
        return
    contents, unpacked = unpack(archive, there, quiet)
    assert contents.name == run and set(contents.files) == {"config.json", "run.sqlite", f"data/{name}"}
    assert (unpacked.root / "data" / name).read_text() == "mine"


@posix
def test_a_link_to_what_a_stage_has_left_is_refused_and_others_are_named(small_run: Any, tmp_path: Path) -> None:
    folder = small_run(recorded=("models/sft/a/adapter.bin",))
    (tmp_path / "sft/a").mkdir(parents=True)
    (tmp_path / "sft/a/adapter.bin").touch()
    (folder.root / "models").symlink_to(tmp_path)
    archive = tmp_path / "run.tar.zst"
    with pytest.raises(UserError, match=r"models is a link, and models/sft/a/adapter\.bin lies behind it"):
        packing.pack(folder, archive, quiet)
    assert not archive.exists()
    other = small_run()
    (other.root / "notes").symlink_to(tmp_path)
    contents = packing.pack(other, archive, quiet)
    assert list(packing.links(other.root)) == ["notes"] and "notes" not in contents.files


def archive_of(folder: Path, files: Any, members: dict[str, bytes]) -> Path:
    listed = json.dumps({"format": 1, "name": "a", "sit": "0", "files": files}).encode()
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in {LIST: listed, **members}.items():
            member = tarfile.TarInfo(f"a/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with pyarrow.CompressedOutputStream(str(folder / "a.tar.zst"), "zstd") as stream:
        stream.write(plain.getvalue())
    return folder / "a.tar.zst"


WHOLE = {"size": 1, "hash": "0", "time": 0}
WRONG: list[Any] = [
    *({"x": {name: value for name, value in WHOLE.items() if name != left_out}} for left_out in WHOLE),
    *({"x": WHOLE | {"size": size}} for size in (-5, True, 1.0, "1", None)),
    *({"x": WHOLE | {"time": time}} for time in (1 << 63, -(1 << 70), 0.5, None)),
    *({"x": WHOLE | {"hash": found}} for found in (None, 1, "")),
    {"x": WHOLE, "x/y/z": WHOLE},
    *({name: WHOLE} for name in ("", ".", "..", "/x", "x/", "x//y", "../x", "x/../y", "x\0", "\ud800")),
    {"x": None},
    ["x"],
    None,
]


@pytest.mark.parametrize("files", WRONG, ids=ascii)
def test_a_list_that_was_not_packed_is_refused_before_anything_is_written(tmp_path: Path, files: Any) -> None:
    archive = archive_of(tmp_path, files, {"x": b"x"})
    with pytest.raises(RunError, match="is damaged"):
        unpack(archive, tmp_path / "there/run", lambda size: pytest.fail("it began"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.zst"]


KEYS = st.text() | st.sampled_from(["x", "x/y", "size", "time", "hash"])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@settings(max_examples=50)
@given(files=st.recursive(VALUES, lambda more: st.lists(more) | st.dictionaries(KEYS, more)))
def test_any_list_is_read_or_refused(files: Any) -> None:
    listed = json.dumps({"format": 1, "name": "a", "files": files}).encode()
    try:
        contents = Contents.from_json(Path("a"), listed)
    except SitError:
        return
    assert contents.size >= 0
    assert Contents.from_json(Path("a"), contents.to_json()) == contents


def test_what_a_system_says_of_the_place_is_not_said_of_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    archive = archive_of(tmp_path, {}, {})
    (tmp_path / "there").mkdir()
    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(UserError, match="there cannot be written") as error:
        unpack(archive, tmp_path / "there", quiet)
    assert "Permission denied" in error.value.cause


@pytest.mark.parametrize(("name", "fits"), [("a:b", False), ("a\\b", False), ("a/b", True), ("é", True)])
def test_windows_takes_no_disks_and_no_second_separator(name: str, fits: bool) -> None:
    assert fits_here(name, windows=True) is fits and fits_here(name, windows=False)


def test_a_name_that_windows_does_not_take_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "fits_here", lambda name: fits_here(name, windows=True))
    archive = archive_of(tmp_path, {"data/a:b": WHOLE}, {})
    with pytest.raises(UserError, match="cannot be unpacked here") as error:
        unpack(archive, tmp_path / "there", quiet)
    assert "data/a:b" in error.value.cause and not (tmp_path / "there").exists()
