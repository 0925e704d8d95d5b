"""Whatever happens to a file, it is noticed and named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.data_files.file_hashes import clear_way, fault, file_hash, first_fault, hashes


@given(content=st.binary(min_size=1, max_size=300), place=st.integers(0), bit=st.integers(0, 7))
def test_every_flipped_bit_is_found(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, place: int, bit: int
) -> None:
    file = tmp_path_factory.mktemp("bits") / "file"
    file.write_bytes(content)
    written, before = file_hash(file), file.stat()
    assert fault(file, written) is None
    changed = bytearray(content)
    changed[place % len(content)] ^= 1 << bit
    file.write_bytes(changed)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a faulty disk does it
    assert fault(file, written) == "was changed"


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "is missing": Path.unlink,
    "is empty": lambda path: path.write_bytes(b""),
    "is cut off": lambda path: path.write_bytes(path.read_bytes()[:3]),
    "has another length": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "was changed": lambda path: path.write_bytes(path.read_bytes()[::-1]),
    "is a folder": _folder,
    "is a link to elsewhere": _link,
    "is not a file": _pipe,
}


@pytest.mark.parametrize("reason", DAMAGE)
def test_each_kind_of_damage_has_its_name(tmp_path: Path, reason: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"what was written")
    written = hashes(tmp_path)
    assert first_fault(tmp_path, written) is None
    DAMAGE[reason](file)
    assert fault(file, written["file"]) == reason
    assert first_fault(tmp_path, written) == f"file {reason}"


@pytest.mark.parametrize("stands", ["nothing", "a folder", "a file above", "a dangling link above", "a link"])
def test_whatever_stands_in_the_way_is_put_aside(tmp_path: Path, stands: str) -> None:
    file = tmp_path / "a" / "b" / "file"
    if stands == "a file above":
        file.parents[1].write_text("kept")
    elif stands == "a dangling link above":
        file.parents[1].symlink_to("nowhere")
    elif stands != "nothing":
        file.parent.mkdir(parents=True)
        file.mkdir() if stands == "a folder" else file.symlink_to("nowhere")
    moved = clear_way(file, tmp_path)
    assert (moved is None) == (stands == "nothing")
    assert moved is None or os.path.lexists(moved)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("written")
    assert not file.is_symlink()
