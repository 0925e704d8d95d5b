"""The verbs export, pack and unpack on a finished run, and a chat with what they have written."""

from __future__ import annotations

import gc
import io
import json
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from synthetic_instruction_tuner.run.folder import RunFolder
from whole_runs import Sit

pytestmark = pytest.mark.xdist_group("pipeline")  # with the other tests of the finished run


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module", autouse=True)
def libraries_are_set_apart() -> None:
    """Loads what all tests here load, and keeps it out of the searches for cycles: each model's release makes some."""
    import peft  # noqa: F401
    import transformers  # noqa: F401

    gc.collect()
    gc.freeze()


@pytest.mark.parametrize("variant", ["prompt_tuning", "dpo"])
def test_a_variant_is_exported_and_talks(
    sit: Sit, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    before = files(finished / "models")
    output = tmp_path / "out"
    code, out, err = sit("export", "student-llama", variant, "-o", output, "-d", finished)
    assert code == 0 and "Largest difference" in out and "Exporting" in err
    text = (output / "README.md").read_text(encoding="utf-8")
    assert "nano_mmlu" in text and "untuned" in text and "| seed | 17 |" in text
    assert all(str(finished).encode() not in content for content in files(output).values())
    assert files(finished / "models") == before
    code, out, _ = sit("export", "student-llama", variant, "-o", output, "-d", finished, "--json")
    assert code == 0 and json.loads(out)["already"] is True
    answers = []
    exact = variant == "prompt_tuning"  # nothing is rounded
    for words in ([str(output)], *([["student-llama", variant, "-d", finished]] if exact else [])):
        monkeypatch.setattr(sys, "stdin", io.StringIO("What is the sea?\n"))
        code, out, err = sit("chat", *words, "--temperature", "0", "--max-new-tokens", "12")
        assert code == 0, err
        answers.append(out)
    assert answers[0].strip() and len(set(answers)) == 1


def test_an_adapter_alone_talks_beside_its_base_model(
    sit: Sit, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("export", "sft", "-o", tmp_path / "out", "-d", finished, "--adapter", "--json")
    code, out, _ = sit(*words)
    assert code == 0 and json.loads(out)["dtype"] == "float32"
    weights = "adapter_model.safetensors"
    original = finished / "models/sft/student-llama/final" / weights
    assert (tmp_path / "out" / weights).read_bytes() == original.read_bytes()
    answers = []
    for words in ([tmp_path / "out"], ["student-llama", "sft", "-d", finished]):
        monkeypatch.setattr(sys, "stdin", io.StringIO("Name a color.\n"))
        answers.append(sit("chat", *words, "--temperature", "0", "--max-new-tokens", "12")[:2])
    assert answers[0] == answers[1]
    named = json.loads((tmp_path / "out/adapter_config.json").read_text())
    (tmp_path / "out/adapter_config.json").write_text(json.dumps(named | {"base_model_name_or_path": "mine"}))
    code, _, err = sit("chat", tmp_path / "out")
    assert code == 2 and "--base FOLDER" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["student-lama", "sft", "-o", "OUT"], "Did you mean student-llama"),
        (["base", "-o", "OUT"], "The base model is not exported"),
        (["sft"], "No output folder was given"),
        (["student-qwen2", "prompt_tuning", "-o", "OUT"], "has no variant prompt_tuning yet"),
        (["sft", "-o", "OUT", "--adapter", "--gguf", "f16"], "An adapter alone is not converted"),
        (["sft", "-o", "OUT", "--adapter", "--dtype", "float16"], "An adapter alone has no other type"),
        (["sft", "-o", "FULL"], "is not empty"),
    ],
)
def test_mistakes_change_nothing(sit: Sit, finished: Path, tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    places = {"OUT": str(tmp_path / "out"), "FULL": str(tmp_path / "full")}
    code, _, err = sit("export", *(places.get(word, word) for word in words), "-d", finished)
    assert code == 2 and said in err, err
    assert files(tmp_path) == {"full/mine.txt": b"mine"}


@pytest.mark.parametrize(("words", "said"), [(["./nope"], "no such folder"), (["x.gguf"], "a file for llama.cpp")])
def test_what_is_no_export_is_said(sit: Sit, words: list[str], said: str) -> None:
    code, _, err = sit("chat", *words)
    assert code == 2 and said in err


@pytest.fixture
def packed(sit: Sit, finished: Path, tmp_path: Path) -> tuple[Path, Path]:
    run = tmp_path / "mine"
    shutil.copytree(finished, run)
    (run / "link").symlink_to(finished / "config.json")
    code, out, err = sit("pack", run, "-o", tmp_path / "run.tar.zst")
    assert code == 0 and "packed into" in out and "Links are not in it: link." in out, err
    return run, tmp_path / "run.tar.zst"


def test_a_packed_run_goes_on_elsewhere(sit: Sit, packed: tuple[Path, Path], tmp_path: Path) -> None:
    run, archive = packed
    code, _, err = sit("unpack", archive, "-o", tmp_path / "there/run")
    assert code == 0, err
    left_out = {".lock", "link", "progress.json", "run.sqlite", "run.sqlite-wal", "run.sqlite-shm"}
    ours, theirs = files(run), files(tmp_path / "there/run")
    assert {name: ours[name] for name in ours if name not in left_out} == {
        name: theirs[name] for name in theirs if name not in left_out
    }
    code, _, err = sit("run", "-d", tmp_path / "there/run")
    assert code == 0 and "Nothing to do" in err
    code, _, err = sit("unpack", archive, "-o", tmp_path / "there/run")
    assert code == 2 and "exists" in err
    code, _, err = sit("pack", run, "-o", archive)
    assert code == 2 and "--force" in err
    with RunFolder(run).hold():
        code, _, err = sit("pack", run, "-o", tmp_path / "second.tar.zst")
    assert code == 2 and "in use" in err and not (tmp_path / "second.tar.zst").exists()


def test_a_damaged_archive_leaves_nothing(sit: Sit, packed: tuple[Path, Path], tmp_path: Path) -> None:
    _, archive = packed
    content = archive.read_bytes()
    plain = pyarrow.CompressedInputStream(pyarrow.BufferReader(content), "zstd").read()
    wrong = {
        "cut": content[: len(content) // 2],
        "other": b"no archive",
        "changed": zstd(plain[:-20_000] + bytes([plain[-20_000] ^ 1]) + plain[-19_999:]),
        "short": zstd(plain[: len(plain) // 2]),
        "outside": zstd(tar({"a/sit_pack.json": listed("../evil"), "a/../evil": b"x"})),
        "extra": zstd(tar({"a/sit_pack.json": listed("x"), "a/x": b"x", "a/y": b"x"})),
        "later": zstd(tar({"a/sit_pack.json": json.dumps({"format": 2, "sit": "9"}).encode()})),
    }
    for name, damaged in wrong.items():
        (tmp_path / f"{name}.tar.zst").write_bytes(damaged)
        code, _, err = sit("unpack", tmp_path / f"{name}.tar.zst", "-o", tmp_path / "there" / name)
        assert code in (1, 2) and "why:" in err and "Something unexpected" not in err, (name, err)
        assert not (tmp_path / "there" / name).exists() and not (tmp_path / "evil").exists()
        assert list((tmp_path / "there").glob(".*")) == [] if (tmp_path / "there").exists() else True


def test_a_damaged_run_is_not_packed(sit: Sit, packed: tuple[Path, Path], tmp_path: Path) -> None:
    run, _ = packed
    (run / "models/sft/student-llama/final/adapter_model.safetensors").write_bytes(b"x")
    code, _, err = sit("pack", run, "-o", tmp_path / "second.tar.zst")
    assert code == 1 and "adapter_model.safetensors" in err and not (tmp_path / "second.tar.zst").exists()


def listed(name: str) -> bytes:
    entry = {"size": 1, "hash": "0", "time": 0}
    return json.dumps({"format": 1, "name": "a", "sit": "0", "files": {name: entry}}).encode()


def tar(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def zstd(content: Any) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())
