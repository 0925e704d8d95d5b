"""What a model's files say about it, without loading it: where it is, its identity, its sizes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from synthetic_instruction_tuner.config import ModelConfig

EMBEDDED = "nano:"
_WEIGHTS = Path(__file__).parents[1] / "nano" / "weights"
WHOLE_BYTES = 64 << 20  # files up to this size are hashed whole for a local model's identity
SAMPLE_BYTES = 4 << 10  # bytes hashed of a larger file, at each of three places in every tensor


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The sizes that determine memory and time.

    Attributes:
        parameters: all weights.
        layers, hidden: depth and width.
        kv_width: key and value numbers per token and layer.
        vocabulary: rows of the output projection.
    """

    parameters: float
    layers: int
    hidden: int
    kv_width: int
    vocabulary: int


def local_folder(model: ModelConfig) -> Path | None:
    """Returns the folder of an embedded or local model, whether it exists or not; None for a Hub id."""
    if model.path.startswith(EMBEDDED):
        return _WEIGHTS / model.path.removeprefix(EMBEDDED)
    path = Path(model.path).expanduser()
    looks_local = path.is_absolute() or model.path.startswith((".", "~")) or path.is_dir()
    return path if looks_local else None


def embedded_models() -> list[str]:
    """Returns the paths of the embedded models, such as ``nano:generator``."""
    return sorted(f"{EMBEDDED}{file.parent.name}" for file in _WEIGHTS.glob("*/config.json"))


def identity(model: ModelConfig) -> dict[str, Any]:
    """Returns what identifies the model's weights: part of the keys of the stages that use it."""
    folder = local_folder(model)
    content = _content_hash(folder) if folder and folder.is_dir() else None
    facts = model.model_dump(include={"path", "revision", "name", "chat_template"})
    return facts | {"content": content} | ({"served_as": model.served_as} if model.served_as else {})


def shape(model: ModelConfig) -> ModelShape | None:
    """Returns a local model's sizes, or a guess from its configured number of weights, or None."""
    folder = local_folder(model)
    if folder is not None:
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError, struct.error):
            return _measured(folder)  # the doctor reports broken files, not the plan
    return _guess(model.parameters) if model.parameters else None


def _measured(folder: Path) -> ModelShape:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = config.get("text_config", config)  # of models that also see or hear
    layers, hidden = int(config["num_hidden_layers"]), int(config["hidden_size"])
    heads = int(config.get("num_attention_heads", 1))
    kv_heads = int(config.get("num_key_value_heads") or heads)
    kv_width = 2 * kv_heads * int(config.get("head_dim") or hidden // heads)
    return ModelShape(_parameters(folder), layers, hidden, kv_width, int(config["vocab_size"]))


@lru_cache(maxsize=64)
def _content_hash(folder: Path) -> str:
    """Returns a hash of a model's files: of small files whole, of larger ones samples of every tensor.

    A merged adapter changes whole matrices, which the samples show; they miss single changed numbers between them.
    16 GB take well under a second.
    """
    whole = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in {".safetensors", ".json", ".jinja"}:
            size = file.stat().st_size
            whole.update(f"{file.name}:{size}:".encode())
            with file.open("rb") as stream:
                for start, length in _looked_at(stream, size):
                    stream.seek(start)
                    whole.update(stream.read(length))
    return whole.hexdigest()[:16]


def _looked_at(stream: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Yields the start and length of the parts of a file that go into its hash."""
    if size <= WHOLE_BYTES:
        yield 0, size
        return
    try:
        begin, header = _header(stream, size)
        spans = [t["data_offsets"] for name, t in header.items() if name != "__metadata__"]
        tensors = sorted((int(start), int(end)) for start, end in spans)
    except (ValueError, LookupError, TypeError, AttributeError, struct.error):  # no weights that can be read
        begin, tensors = 0, []
    yield 0, begin or WHOLE_BYTES
    for start, end in tensors:
        for place in (start, (start + end) // 2, max(start, end - SAMPLE_BYTES)):
            yield begin + place, min(SAMPLE_BYTES, end - place)


def _header(stream: BinaryIO, size: int) -> tuple[int, dict[str, Any]]:
    """Returns where the tensors of a safetensors file begin, and its header.

    Raises:
        ValueError, struct.error: the file is truncated, or not a safetensors file.
    """
    (length,) = struct.unpack("<Q", stream.read(8))
    if length > size:
        raise ValueError("it is truncated or not a safetensors file")
    header: dict[str, Any] = json.loads(stream.read(length))
    return 8 + length, header


def _parameters(folder: Path) -> float:
    total = 0
    for file in folder.glob("*.safetensors"):
        with file.open("rb") as stream:
            header = _header(stream, file.stat().st_size)[1]
        total += sum(prod(t["shape"]) for name, t in header.items() if name != "__metadata__")
    return float(total)


def _guess(parameters: float) -> ModelShape:
    # A decoder's width and depth grow together: layers ~ hidden / 128, parameters ~ 12 layers hidden^2.
    hidden = round((parameters * 128 / 12) ** (1 / 3) / 128) * 128
    return ModelShape(parameters, max(1, hidden // 128), hidden, hidden // 2, 128_000)
