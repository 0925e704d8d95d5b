"""A local model's identity: any other weights are another model, and finding out takes no time."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.models import files as modelfiles
from synthetic_instruction_tuner.models.files import identity


def content(folder: Path) -> str:
    modelfiles._content_hash.cache_clear()
    return str(identity(ModelConfig(path=str(folder)))["content"])


def weights(file: Path, sizes: dict[str, int], changed: str = "") -> None:
    """Writes a safetensors file of zeros, with one tensor of ones."""
    ends = [sum(list(sizes.values())[: n + 1]) for n in range(len(sizes))]
    spans = {name: [end - size, end] for (name, size), end in zip(sizes.items(), ends, strict=True)}
    header = {name: {"dtype": "U8", "shape": [b - a], "data_offsets": [a, b]} for name, (a, b) in spans.items()}
    text = json.dumps({"__metadata__": {"format": "pt"}} | header).encode()
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + ends[-1])  # what is not written is zeros, and takes no room
        if changed:
            start, end = spans[changed]
            stream.seek(8 + len(text) + start)
            stream.write(b"\1" * (end - start))


SIZES = {"embed": 3 << 20, "norm": 8, "q_proj": 300_000, "bias": 1, "empty": 0, "head": 3 << 20}


@pytest.mark.parametrize("whole", [64 << 20, 1 << 20])
def test_other_weights_are_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: int) -> None:
    """Whatever the tensor, and whether the file is read whole or in samples."""
    monkeypatch.setattr(modelfiles, "WHOLE_BYTES", whole)
    file = tmp_path / "model.safetensors"
    seen = []
    for changed in ("", *(name for name, size in SIZES.items() if size)):
        weights(file, SIZES, changed)
        seen.append(content(tmp_path))
        weights(file, SIZES, changed)
        assert content(tmp_path) == seen[-1]
    assert len(set(seen)) == len(seen)


def test_any_byte_of_a_small_file_counts(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(b"a" * (3 << 20))
    before = content(tmp_path)
    file.write_bytes(b"a" * ((3 << 20) - 1) + b"b")
    assert content(tmp_path) != before


def test_large_files_are_sampled(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    weights(file, {f"layer.{n}": 50 << 20 for n in range(320)})  # 16 GB
    with file.open("rb") as stream:
        read = sum(length for _, length in modelfiles._looked_at(stream, file.stat().st_size))
    assert read < 8 << 20
    assert len(content(tmp_path)) == 16


@pytest.mark.parametrize("start", [b"", struct.pack("<Q", 5) + b"[1,2]", struct.pack("<Q", 1 << 60)])
def test_a_large_file_that_is_broken_still_has_an_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    monkeypatch.setattr(modelfiles, "WHOLE_BYTES", 100)
    (tmp_path / "model.safetensors").write_bytes(start + b"\xff" * 200)
    before = content(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(start + b"\xfe" * 200)
    assert content(tmp_path) != before
