"""Files are made anew under names nobody can know, follow no link out of the folder, and have the user's umask."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from synthetic_instruction_tuner.data_files.atomic_writing import (
    TEMPORARY,
    apply_umask,
    atomic_file,
    new_file,
    write_json,
    write_jsonl,
    write_text,
)
from synthetic_instruction_tuner.data_files.exports import export_rows
from synthetic_instruction_tuner.data_files.own_data.output_folder import OutputFolder
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering.near_duplicates.files import dedup_files
from synthetic_instruction_tuner.run.store import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and modes are POSIX's")
ROWS = [{"instruction": "a", "response": "b"}]
WRITERS: list[Callable[[Path], object]] = [
    lambda path: write_text(path, "new"),
    lambda path: write_json(path, ROWS),
    lambda path: write_jsonl(path, ROWS),
    lambda path: export_rows(ROWS, path),
]


@pytest.mark.parametrize("write", WRITERS)
def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path, write: Callable[[Path], object]) -> None:
    (tmp_path / "mine").write_text("mine")
    for name in ("out.json", ".out.json.tmp", "out.parquet", ".out.parquet.tmp"):
        (tmp_path / name).symlink_to(tmp_path / "mine")
    write(tmp_path / "out.json")
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "out.json").is_symlink()


def test_a_temporary_file_is_never_an_existing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(["0" * 16, "1" * 16, "2" * 16])
    monkeypatch.setattr("secrets.token_hex", lambda size: next(names))
    (tmp_path / "mine").write_text("mine")
    (tmp_path / f".out.{'0' * 16}.tmp").symlink_to(tmp_path / "mine")
    (tmp_path / f".out.{'1' * 16}.tmp").symlink_to(tmp_path / "absent")
    write_text(tmp_path / "out", "new")
    assert (tmp_path / "mine").read_text() == "mine" and not (tmp_path / "absent").exists()
    assert (tmp_path / "out").read_text() == "new"


@pytest.mark.parametrize("name", ["n" * 255, "語" * 85, ".", "a\nb"])
def test_a_name_may_be_as_long_as_any(tmp_path: Path, name: str) -> None:
    path = tmp_path / (name if name != "." else ".hidden")
    write_text(path, "new")
    assert path.read_text() == "new" and os.listdir(tmp_path) == [path.name]


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_stays(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from synthetic_instruction_tuner.data_files import atomic_writing\n"
        "with atomic_writing.atomic_file(Path(sys.argv[1])) as stream: stream.write(b'half'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")]).returncode == 9
    (left,) = os.listdir(tmp_path)
    used, handle = new_file(tmp_path / "out")
    write_text(tmp_path / "another", "new")
    assert sorted(os.listdir(tmp_path)) == sorted([used.name, "another"]) and TEMPORARY.fullmatch(left)
    os.close(handle)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_every_file_has_the_users_umask(tmp_path: Path, umask: int, mode: int) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    before = os.umask(umask)
    try:
        for number, write in enumerate(WRITERS):
            write(tmp_path / f"{number}.json")
        Store.open(tmp_path / "run.sqlite").close()
        (tmp_path / "final").mkdir()
        save_file({"a": np.zeros(2)}, str(tmp_path / "final" / "adapter_model.safetensors"))
        apply_umask(tmp_path / "final")
        dedup_files([tmp_path / "2.json"], tmp_path / "dedup")
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert {
        path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in files if stat.S_IMODE(path.stat().st_mode) != mode
    } == {}


def test_of_two_jobs_in_one_folder_the_second_says_so(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    command = [sys.executable, "-m", "synthetic_instruction_tuner"]
    for first in ("filter", "dedup"):
        out = tmp_path / f"out-{first}"
        with OutputFolder(out, first).claimed("report.json"):
            (out / "kept.jsonl").write_text("half")
            before = sorted(os.listdir(out))
            done = subprocess.run([*command, first, str(tmp_path / "in.jsonl"), "-o", str(out)], capture_output=True)
            assert done.returncode == 2 and b"is in use." in b" ".join(done.stderr.split()), done.stderr
            assert sorted(os.listdir(out)) == before and (out / "kept.jsonl").read_text() == "half"
            with pytest.raises(UserError, match="is in use"):
                dedup_files([tmp_path / "in.jsonl"], out, force=True)
        assert subprocess.run([*command, first, str(tmp_path / "in.jsonl"), "-o", str(out)]).returncode == 0


def _many(folder: Path, number: int) -> None:
    for turn in range(60):
        with atomic_file(folder / "shared") as stream:
            stream.write(f"{number}".encode() * 1000)
        write_text(folder / f"{number}-{turn}", "own")


def test_processes_that_write_into_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    jobs = [context.Process(target=_many, args=(tmp_path, number)) for number in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0] * 4
    assert len(set((tmp_path / "shared").read_text())) == 1 and len(os.listdir(tmp_path)) == 241
