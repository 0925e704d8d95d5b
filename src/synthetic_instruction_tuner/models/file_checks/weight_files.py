"""Which files hold a model's weights, and the tensors in them, from headers alone.

safetensors are preferred; PyTorch's own format (``.bin``) is read where there is nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.models.file_checks.checked_files import (
    Unsound,
    exists,
    impostor,
    read_object,
    regular,
    shortened,
)
from synthetic_instruction_tuner.models.file_checks.pickled_weights import OLD, ZIP, pickled_tensors

SAFETENSORS, PICKLED = "model.safetensors", "pytorch_model.bin"
INDEXES = (f"{SAFETENSORS}.index.json", f"{PICKLED}.index.json")
_PREFERRED = ((SAFETENSORS, INDEXES[0]), (PICKLED, INDEXES[1]))  # the order in which Transformers looks for them
_OTHER_FORMATS = (".safetensors", ".gguf", ".h5", ".msgpack", ".pth", ".pt", ".onnx", ".ckpt", ".bin")
_NUMBERS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_TEXT_BYTES = set(range(32, 127)) | {9, 10, 13}


def weight_files(folder: Path) -> list[Path]:
    """Returns the files that hold the weights: the only one, or those that an index names; none if there are none.

    Raises:
        Unsound, OSError: the index cannot be read.
    """
    for whole, index in _PREFERRED:
        if exists(folder / whole):
            return [folder / whole]
        if exists(folder / index):
            return [folder / name for name in _shards(folder / index, read_object(folder / index))]
    return []


def uses_safetensors(folder: Path) -> bool:
    """Returns whether a model's weights are read from safetensors, rather than from PyTorch's own format."""
    return any(exists(folder / name) for name in _PREFERRED[0])


def unread_weights(folder: Path) -> Unsound:
    """Returns why a folder in which no weights are found has none."""
    names = sorted(file.name for file in folder.iterdir() if file.suffix in _OTHER_FORMATS)
    if parts := [name for name in names if "-of-" in name]:
        index = INDEXES[0] if parts[0].endswith(".safetensors") else INDEXES[1]
        return Unsound(folder, f"has parts of the weights ({parts[0]}) and no {index}, which says what is in them")
    found = f"; {names[0]} is not read" if names else ""
    return Unsound(
        folder,
        f"has no weights: no {SAFETENSORS}, no {PICKLED} and no index of several such files{found}",
        "Get the whole model, or save it with save_pretrained(), which writes safetensors weights.",
    )


def wanted_weights(names: Iterable[str]) -> list[str]:
    """Returns which of a repository's files are downloaded as weights, safetensors preferred."""
    present = set(names)
    for whole, index in _PREFERRED:
        if whole in present:
            return [whole]
        if index in present:
            stem, _, suffix = whole.rpartition(".")
            return sorted(n for n in present if n.startswith(f"{stem}-") and n.endswith(f".{suffix}"))
    return []


def tensors(file: Path) -> dict[str, tuple[int, ...]]:
    """Returns the tensors of a file of weights with their shapes; reads its header only.

    Raises:
        Unsound, OSError: it is none, or it is damaged.
    """
    status = regular(file)
    return dict(_tensors(file, status.st_size, status.st_mtime_ns))


def number_types(file: Path) -> dict[str, int]:
    """Returns how many numbers of each type a safetensors file holds, such as ``float32``; reads its header only.

    Raises:
        Unsound, OSError: it is none, or it is damaged.
    """
    from safetensors import safe_open

    shapes, found = tensors(file), dict[str, int]()
    with safe_open(str(file), framework="numpy") as opened:
        for name, shape in shapes.items():
            kind = str(opened.get_slice(name).get_dtype())
            kind = _NUMBERS.get(kind, kind)
            found[kind] = found.get(kind, 0) + prod(shape)
    return found


@lru_cache(maxsize=256)
def _tensors(file: Path, size: int, changed: int) -> Mapping[str, tuple[int, ...]]:
    if fault := impostor(file) or _other_format(file, size):
        raise fault
    if file.suffix == ".bin":
        return pickled_tensors(file, size)
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="numpy") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        reason = " ".join(str(error).split())[:120]
        raise Unsound(file, f"is cut off or no safetensors file ({size:,} bytes; {reason})") from None


def _other_format(file: Path, size: int) -> Unsound | None:
    """Returns what a file of weights is, where its beginning shows that it is something else."""
    with file.open("rb") as stream:
        start = stream.read(64)
    pickled = start.startswith((ZIP, OLD))
    if pickled and file.suffix != ".bin":
        return Unsound(file, "is a PyTorch checkpoint under the name of a safetensors file", f"Name it {PICKLED}.")
    if file.suffix == ".bin" and start[8:10] == b'{"' and not pickled:
        return Unsound(file, "is a safetensors file under the name of a PyTorch checkpoint", f"Name it {SAFETENSORS}.")
    if start.startswith(b"GGUF"):
        return Unsound(file, "is a GGUF file, which is not read", "Get the model's safetensors weights.")
    if len(start) > 8 and set(start) <= _TEXT_BYTES:
        shown = " ".join(start.decode("ascii").split())[:30]
        return Unsound(file, f"is text, not weights ({size:,} bytes, beginning {shortened(shown)})")
    return None


def _shards(file: Path, index: Mapping[str, Any]) -> list[str]:
    places = index.get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise Unsound(file, "has no weight_map from tensors to files")
    names = sorted(set(places.values()))
    if outside := [name for name in names if name != Path(name).name or "\0" in name]:
        raise Unsound(file, f"names a file outside of its folder: {shortened(outside[0])}")
    return names
