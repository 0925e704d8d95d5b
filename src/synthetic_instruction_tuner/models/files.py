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
from synthetic_instruction_tuner.models.soundness import read_object, tensors, weight_files

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
    path = expanded(model.path)
    if path.is_absolute() or model.path.startswith((".", "~")) or "\0" in model.path:
        return path
    try:
        return path if path.is_dir() else None
    except OSError:  # such as a name that is too long for any file or Hub id
        return path


def expanded(path: str) -> Path:
    """Returns a path with the user's folder in place of ``~``, where there is such a user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def embedded_models() -> list[str]:
    """Returns the paths of the embedded models, such as ``nano:generator``."""
    return sorted(f"{EMBEDDED}{file.parent.name}" for file in _WEIGHTS.glob("*/config.json"))


def identity(model: ModelConfig) -> dict[str, Any]:
    """Returns what identifies the model's weights: part of the keys of the stages that use it."""
    folder = local_folder(model)
    try:
        content = _content_hash(folder) if folder and folder.is_dir() else None
    except OSError:  # the checks before a run say what is wrong with it
        content = None
    facts = model.model_dump(include={"path", "revision", "name", "chat_template"})
    return facts | {"content": content} | ({"served_as": model.served_as} if model.served_as else {})


def shape(model: ModelConfig) -> ModelShape | None:
    """Returns a local model's sizes, or a guess from its configured number of weights, or None."""
    folder = local_folder(model)
    if folder is not None:  # the checks before a run report broken files
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            found = _measured(folder)
            if min(found.layers, found.hidden, found.kv_width, found.vocabulary) > 0:
                return found
    return _guess(model.parameters) if model.parameters else None


def _measured(folder: Path) -> ModelShape:
    config = read_object(folder / "config.json")
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
        if file.suffix in {".safetensors", ".json", ".jinja"} and file.is_file():
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
    if length > size - 8:
        raise ValueError("it is truncated or not a safetensors file")
    try:
        header: dict[str, Any] = json.loads(stream.read(length))
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None
    return 8 + length, header


def _parameters(folder: Path) -> float:
    return float(sum(prod(shape) for file in weight_files(folder) for shape in tensors(file).values()))


def _guess(parameters: float) -> ModelShape:
    # A decoder's width and depth grow together: layers ~ hidden / 128, parameters ~ 12 layers hidden^2.
    hidden = round((parameters * 128 / 12) ** (1 / 3) / 128) * 128
    return ModelShape(parameters, max(1, hidden // 128), hidden, hidden // 2, 128_000)
