"""What a model's files say about it, without loading it: where it is, its identity, its sizes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Literal

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.models.file_checks.checked_files import read_object
from synthetic_instruction_tuner.models.file_checks.soundness import stated_size, text_part
from synthetic_instruction_tuner.models.file_checks.weight_files import tensors, uses_safetensors, weight_files
from synthetic_instruction_tuner.models.sizes.counted import counted
from synthetic_instruction_tuner.models.sizes.known_shapes import KNOWN, KnownSizes

EMBEDDED = "nano:"
_WEIGHTS = Path(__file__).parents[1] / "nano" / "weights"
WHOLE_BYTES = 64 << 20  # files up to this size are hashed whole for a local model's identity
SAMPLE_BYTES = 4 << 10  # bytes hashed of a larger file, at each of three places in every tensor
_SAMPLES, _ENDS = 4096, 4 << 20  # samples of a large file in PyTorch's format, and bytes read at each of its ends


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The sizes that determine memory and time.

    Attributes:
        parameters: all weights.
        layers, hidden: depth and width.
        kv_width: key and value numbers per token and layer.
        vocabulary: rows of the output projection.
        unquantized: weights outside of linear layers, and those of the output layer, which 4 bits leave alone.
        inner: width of the layers between, of the MLP; 0 where it is not known.
        query_width: numbers of all query heads of a token; 0 where it is not known.
        origin: whether the model's own files say so, the table of `known_shapes`, or a guess.
    """

    parameters: float
    layers: int
    hidden: int
    kv_width: int
    vocabulary: int
    unquantized: float = 0.0
    inner: int = 0
    query_width: int = 0
    origin: Literal["files", "known", "guess"] = "files"


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
    facts = model.model_dump(include={"path", "revision", "name", "chat_template", "load_in_4bit"})
    return facts | {"content": content} | ({"served_as": model.served_as} if model.served_as else {})


def shape(model: ModelConfig) -> ModelShape | None:
    """Returns a model's sizes from the headers of its weights and its configuration, wherever both are on this machine.

    Of a Hub model whose weights are not here, the table of `known_shapes` says them, without torch. Otherwise the
    configuration alone does, and without one the configured number of weights gives a guess; without that, None.
    """
    own = local_folder(model)
    folder, known = own or cached_folder(model), None if own else KNOWN.get(model.path)
    if known and (folder is None or not _weights(folder)):
        return _known(known)
    found = _measured(folder) if folder else None
    return found or (guessed_shape(model.parameters) if model.parameters else None)


def stored_format(config: Mapping[str, Any]) -> str | None:
    """Returns how a model's weights are quantized in its files, such as ``nf4`` or ``gptq``; None where they are not.

    Args:
        config: its config.json.
    """
    stored = config.get("quantization_config")
    if stored is None:
        return None
    if not isinstance(stored, Mapping):
        return "unknown"
    if stored.get("load_in_4bit") or stored.get("_load_in_4bit"):
        return str(stored.get("bnb_4bit_quant_type") or "fp4")
    if stored.get("load_in_8bit") or stored.get("_load_in_8bit"):
        return "int8"
    return str(stored.get("quant_method") or "unknown")


def stored_as(model: ModelConfig) -> str | None:
    """Returns `stored_format` of a model whose configuration is on this machine; None where it is not."""
    folder = local_folder(model) or cached_folder(model)
    try:
        return stored_format(read_object(folder / "config.json")) if folder else None
    except (OSError, ValueError):
        return None


def cached_folder(model: ModelConfig) -> Path | None:
    """Returns the folder of a Hub model's configuration in the Hub's cache, if it is there."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(model.path, "config.json", revision=model.revision)
    except (HFValidationError, OSError):
        return None
    return Path(config).parent if isinstance(config, str) else None


def _measured(folder: Path) -> ModelShape | None:
    """Returns the sizes as the files have them; None of broken files, which the checks before a run report."""
    try:
        config = read_object(folder / "config.json")
        found = {name: one for file in weight_files(folder) for name, one in tensors(file).items()}
    except (OSError, ValueError):
        return None
    found = found if found and stored_format(config) is None else counted(folder, config)  # or packed numbers count
    depths = [int(number) + 1 for name in found for number in re.findall(r"\.(\d{1,5})\.", f".{name}")[:1]]
    table = max((one for one in found.values() if len(one) == 2), key=max, default=(0, 0))  # that of the words
    layers = stated_size(config, "layers") or max(depths, default=0)
    hidden, words = stated_size(config, "hidden") or min(table), stated_size(config, "vocabulary") or max(table)
    parameters = float(sum(map(prod, found.values()))) or _by_config(config, layers, hidden, words)
    stated = all(stated_size(config, what) for what in ("layers", "hidden", "vocabulary"))
    if not parameters or not (stated or isinstance(config.get("model_type"), str)):
        return None
    if min(layers, hidden, words) < 1:
        return guessed_shape(parameters)
    kept = float(sum(prod(one) for name, one in found.items() if not _is_linear(name, one, words)))
    kept = kept or 2.0 * words * hidden
    inner, queries = stated_size(config, "inner") or 0, query_width_of(config, hidden)
    return ModelShape(parameters, layers, hidden, key_value_width(config, hidden), words, kept, inner, queries)


def _known(sizes: KnownSizes) -> ModelShape:
    kept = float(sizes.parameters - sizes.linear)
    widths = (sizes.hidden, sizes.kv_width, sizes.vocabulary, kept, sizes.inner, sizes.query_width)
    return ModelShape(float(sizes.parameters), sizes.layers, *widths, "known")


def query_width_of(config: Mapping[str, Any], hidden: int) -> int:
    """Returns the numbers of all query heads of a token."""
    heads, width = stated_size(config, "heads") or 0, stated_size(config, "head_width")
    return heads * width if width else hidden


def _is_linear(name: str, shape: Sequence[int], words: int) -> bool:
    """Returns whether a tensor is the matrix of a linear layer between two others; experts that lie together are not.

    Transformers holds the experts of a layer in one tensor, which 4 bits leave alone.
    """
    return len(shape) == 2 and words not in shape and "experts" not in name.split(".")


def key_value_width(config: Mapping[str, Any], hidden: int) -> int:
    """Returns the numbers of keys and values of a token and layer."""
    heads = stated_size(config, "heads") or 1
    own = config.get("attn_config")  # MPT, DBRX
    kv_heads = stated_size(config, "kv_heads") or (stated_size(own, "kv_heads") if isinstance(own, Mapping) else None)
    if kv_heads is None:
        kv_heads = 1 if text_part(config).get("multi_query") is True else heads
    return max(1, 2 * kv_heads * (stated_size(config, "head_width") or hidden // heads))


def _by_config(config: Mapping[str, Any], layers: int, hidden: int, words: int) -> float:
    """Returns about how many weights a decoder of these sizes has: attention, a gated inner layer, words twice."""
    if min(layers, hidden, words) < 1:
        return 0.0
    inner = stated_size(config, "inner") or 4 * hidden
    attention = 2 * hidden * hidden + hidden * key_value_width(config, hidden)
    return float(layers * (attention + 3 * hidden * inner) + 2 * words * hidden)


@lru_cache(maxsize=64)
def _content_hash(folder: Path) -> str:
    """Returns a hash of a model's files: of small files whole, of larger ones samples of every tensor.

    A merged adapter changes whole matrices, which the samples show; they miss single changed numbers between them.
    16 GB take well under a second.
    """
    whole = hashlib.sha256()
    pickled = [] if uses_safetensors(folder) else _weights(folder)
    for file in sorted(folder.iterdir()):
        if (file.suffix in {".safetensors", ".json", ".jinja"} or file in pickled) and file.is_file():
            size = file.stat().st_size
            whole.update(f"{file.name}:{size}:".encode())
            _add(whole, file, size)
    return whole.hexdigest()[:16]


def weights_hash(model: ModelConfig) -> str | None:
    """Returns a hash of a model's weights alone, wherever they lie and whatever they are called; None if not here."""
    folder = local_folder(model) or cached_folder(model)
    try:
        return _weights_hash(folder) if folder and folder.is_dir() else None
    except (OSError, ValueError):  # the checks before a run say what is wrong with it
        return None


@lru_cache(maxsize=64)
def _weights_hash(folder: Path) -> str | None:
    whole, files = hashlib.sha256(), weight_files(folder)
    for file in files:
        _add(whole, file, file.stat().st_size)
    return whole.hexdigest()[:16] if files else None


def _add(whole: hashlib._Hash, file: Path, size: int) -> None:
    with file.open("rb") as stream:
        for start, length in _looked_at(stream, size):
            stream.seek(start)
            whole.update(stream.read(length))


def _weights(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError, ValueError):  # the checks before a run report a broken index
        return weight_files(folder)
    return []


def _looked_at(stream: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Yields the start and length of the parts of a file that go into its hash."""
    if size <= WHOLE_BYTES:
        yield 0, size
        return
    if Path(stream.name).suffix == ".bin":  # the table of its tensors, samples, and the checksums at its end
        yield from ((start, SAMPLE_BYTES) for start in range(0, size - _ENDS, max(SAMPLE_BYTES, size // _SAMPLES)))
        yield 0, _ENDS
        yield size - _ENDS, _ENDS
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


def guessed_shape(parameters: float) -> ModelShape:
    """Returns a decoder's usual sizes: layers ~ hidden / 128, parameters ~ 12 layers hidden^2."""
    hidden = max(128, round((parameters * 128 / 12) ** (1 / 3) / 128) * 128)
    kept = min(parameters / 2, 2.0 * 128_000 * hidden)
    layers = max(1, hidden // 128)
    return ModelShape(parameters, layers, hidden, hidden // 2, 128_000, kept, 7 * hidden // 2, hidden, "guess")
