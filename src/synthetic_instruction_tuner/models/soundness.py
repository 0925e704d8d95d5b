"""Whether a model's files can be what they say: read strictly, without loading the model.

Every fault names the file, what is wrong with it and what to do. Nothing is allocated and nothing waits, whatever a
file says of itself: only regular files are opened, and sizes are compared before they are believed.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

AGAIN = "Get this file again, such as from the model's page on the Hub."
_NEED = "A model's folder has config.json, a tokenizer and model.safetensors; give the path of such a folder."
_LONGEST_JSON = 256 << 20  # bytes; the largest tokenizer.json in use has some 40 MB
_INDEX = "model.safetensors.index.json"
_WHOLE = "model.safetensors"
_OBJECTS = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    _INDEX,
)
# The largest number that a configuration may hold, some hundred times what the models in use have.
_NUMBERS = {
    "vocab_size": 10**8,
    "hidden_size": 10**7,
    "intermediate_size": 10**8,
    "num_hidden_layers": 10**5,
    "num_attention_heads": 10**5,
    "num_key_value_heads": 10**5,
    "head_dim": 10**6,
    "max_position_embeddings": 10**10,
    "sliding_window": 10**10,
}
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "tok_embeddings.weight")
_HEADS = {
    "score", "classifier", "classification_head", "pre_classifier", "summary", "logits_proj", "v_head", "value_head",
    "reward_head", "rm_head", "regression_layer",
}  # fmt: skip
_NO_WRITERS = ("ForSequenceClassification", "ForTokenClassification", "ForMaskedLM", "ForQuestionAnswering")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a model.

    Attributes:
        reason: the file and its fault.
        fix: what to do.
        absent: whether there is no such folder.
    """

    reason: str
    fix: str
    absent: bool = False


class Unsound(ValueError):
    """A file that cannot be what it should be."""

    def __init__(self, file: object, reason: str, fix: str = AGAIN, absent: bool = False) -> None:
        super().__init__(f"{file} {reason}")
        self.fault = Fault(f"{file} {reason}", fix, absent)


def folder_fault(folder: Path, weights: bool = True, reward: bool | None = None) -> Fault | None:
    """Returns what is wrong with the files of a model's folder, or None.

    Args:
        folder: where the model is, or should be.
        weights: whether the weights and their configuration are needed, not only the tokenizer.
        reward: whether it must be a reward model, or must write text; None for either.
    """
    try:
        _require_folder(folder)
        documents = {name: read_object(folder / name) for name in _OBJECTS if _exists(folder / name)}
        if _exists(folder / "chat_template.jinja"):
            read_text(folder / "chat_template.jinja")
        _check_tokenizer(folder, documents)
        if weights:
            _check_model(folder, documents, reward)
    except Unsound as error:
        return error.fault
    except OSError as error:
        return Fault(f"{error.filename or folder}: {error.strerror or error}", "Correct the path or its permissions.")
    return None


def weight_files(folder: Path) -> list[Path]:
    """Returns the files that hold the weights: those of the index, or the only one, or all of them.

    Raises:
        Unsound, OSError: the index cannot be read.
    """
    if _exists(folder / _WHOLE):
        return [folder / _WHOLE]
    if _exists(folder / _INDEX):
        return [folder / name for name in _shards(folder / _INDEX, read_object(folder / _INDEX))]
    return sorted(folder.glob("*.safetensors"))


def tensors(file: Path) -> dict[str, tuple[int, ...]]:
    """Returns the tensors of a safetensors file with their shapes; reads its header only.

    Raises:
        Unsound, OSError: it is none, or it is damaged.
    """
    status = _regular(file)
    return dict(_tensors(file, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=256)
def _tensors(file: Path, size: int, changed: int) -> Mapping[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="numpy") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        reason = " ".join(str(error).split())[:120]
        raise Unsound(file, f"is cut off or no safetensors file ({size:,} bytes; {reason})") from None


def _require_folder(folder: Path) -> None:
    if "\0" in str(folder):
        raise Unsound(str(folder).replace("\0", "\\0"), "has a NUL character in its name", "Correct the path.")
    try:
        mode = folder.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise Unsound("there is no folder", str(folder), _NEED, absent=True) from None
    except OSError as error:
        shown = str(folder) if len(str(folder)) < 100 else f"{str(folder)[:60]}... ({len(str(folder)):,} characters)"
        raise Unsound(shown, f"cannot be opened: {error.strerror}", "Correct the path.") from None
    if not stat.S_ISDIR(mode):
        raise Unsound(folder, "is a file", "Give the folder that holds the model's files.")


def _exists(file: Path) -> bool:
    return file.exists() or file.is_symlink()


def _regular(file: Path) -> os.stat_result:
    """Returns a file's status; one that is no regular file would keep a reader waiting, or read something else."""
    if "\0" in str(file):
        raise Unsound(str(file).replace("\0", "\\0"), "has a NUL character in its name", "Correct the path.")
    try:
        status = file.stat()
    except FileNotFoundError:
        kind = "is a link to a file that is not there" if file.is_symlink() else "is not there"
        raise Unsound(file, kind) from None
    except OSError as error:
        raise Unsound(f"{str(file)[:60]}...", f"cannot be opened: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise Unsound(file, f"is a {'folder' if stat.S_ISDIR(status.st_mode) else 'pipe or device'}, not a file")
    if status.st_size == 0:
        raise Unsound(file, "is empty")
    return status


def read_text(file: Path) -> str:
    """Returns a text file's content.

    Raises:
        Unsound: it is not there, no regular file, empty, too long or not UTF-8.
    """
    if _regular(file).st_size > _LONGEST_JSON:
        raise Unsound(file, f"has more than {_LONGEST_JSON / 1e6:.0f} MB")
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unsound(file, f"is not UTF-8 text (byte {error.start:,})") from None


def read_object(file: Path) -> Mapping[str, Any]:
    """Returns what a JSON file holds; of tokenizer.json, which is large, nothing.

    Raises:
        Unsound, OSError: it cannot be read, or holds no object.
    """
    status = _regular(file)
    return _parsed(file, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _parsed(file: Path, size: int, changed: int) -> Mapping[str, Any]:
    text = read_text(file)
    if text.startswith("\ufeff"):
        raise Unsound(file, "begins with a byte order mark", "Save it as UTF-8 without one.")
    try:
        data = json.loads(text)
    except RecursionError:
        raise Unsound(file, "is nested too deeply") from None
    except ValueError as error:
        raise Unsound(file, f"is not valid JSON ({' '.join(str(error).split())[:100]})") from None
    if _deeper_than(data, 100):
        raise Unsound(file, "is nested too deeply")
    if not isinstance(data, dict):
        raise Unsound(file, f"holds a {type(data).__name__}, not an object with keys")
    return {} if file.name == "tokenizer.json" else data  # the largest; its content is the library's business


def _deeper_than(data: object, most: int) -> bool:
    level = [data]
    for _ in range(most):
        level = [v for x in level if isinstance(x, (dict, list)) for v in (x.values() if isinstance(x, dict) else x)]
        level = [v for v in level if isinstance(v, (dict, list))]
        if not level:
            return False
    return True


def _check_tokenizer(folder: Path, documents: Mapping[str, Mapping[str, Any]]) -> None:
    template = documents.get("tokenizer_config.json", {}).get("chat_template")
    named = isinstance(template, list) and all(isinstance(t, dict) for t in template)
    if template is not None and not isinstance(template, str) and not named:
        raise Unsound(folder / "tokenizer_config.json", f"has a chat_template that is a {type(template).__name__}")
    ends = documents.get("generation_config.json", {}).get("eos_token_id")
    for end in ends if isinstance(ends, list) else [ends]:
        if end is not None and not _is_number(end, 0, _NUMBERS["vocab_size"]):
            raise Unsound(folder / "generation_config.json", f"has an eos_token_id of {_short(end)}, which is no token")


def _check_model(folder: Path, documents: Mapping[str, Mapping[str, Any]], reward: bool | None) -> None:
    if "config.json" not in documents:
        if _exists(folder / "adapter_config.json"):
            fix = "Name the model that it was trained on; 'sit chat' talks to the adapters of a run."
            raise Unsound(folder, "holds an adapter and no model", fix)
        raise Unsound(folder, "has no config.json", _NEED)
    files = weight_files(folder)
    if not files:
        raise Unsound(folder, "has no *.safetensors weights", "Get or save the model with safetensors weights.")
    config = documents["config.json"]
    _check_numbers(folder / "config.json", config)
    shapes = {name: shape for file in files for name, shape in tensors(file).items()}
    if not shapes:
        raise Unsound(files[0], "holds no tensors")
    _check_vocabulary(folder / "config.json", config, shapes)
    _check_head(folder, config, shapes, reward)


def _check_numbers(file: Path, config: Mapping[str, Any]) -> None:
    kind = config.get("model_type")
    if not isinstance(kind, str) or not kind:
        raise Unsound(file, "has no model_type: it does not say what kind of model this is")
    inner = config.get("text_config", {})  # of models that also see or hear
    for part in (config, inner if isinstance(inner, Mapping) else {}):
        for name, most in _NUMBERS.items():
            value = part.get(name)
            optional = name not in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
            if name in part and not (value is None and optional) and not _is_number(value, 1, most):
                shown = _short(value)
                raise Unsound(file, f"has {name} {shown}, where a whole number from 1 to {most:,} belongs")


def _check_vocabulary(file: Path, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    stated = config.get("vocab_size")
    for name, shape in shapes.items():
        if stated is not None and name.endswith(_EMBEDDINGS) and len(shape) == 2 and shape[0] != stated:
            raise Unsound(file, f"has a vocabulary of {stated:,}, and the weights have {shape[0]:,} ({name})")


def _check_head(folder: Path, config: Mapping[str, Any], shapes: Iterable[str], reward: bool | None) -> None:
    """Checks for the head that turns a text into a score, or that there is none in its place."""
    named = config.get("architectures")
    kinds = [str(kind) for kind in named] if isinstance(named, list) else []
    if reward and not any(not _HEADS.isdisjoint(name.split(".")) for name in shapes):
        fix = "Set models.reward to a sequence classifier that was trained as a reward model."
        raise Unsound(folder, "is not a reward model: its weights have no head that gives a score", fix)
    if reward is False and kinds and all(kind.endswith(_NO_WRITERS) for kind in kinds):
        raise Unsound(folder, f"does not write text: it is a {kinds[0]}", "Name a causal language model for this role.")


def _shards(file: Path, index: Mapping[str, Any]) -> list[str]:
    places = index.get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise Unsound(file, "has no weight_map from tensors to files")
    names = sorted(set(places.values()))
    if outside := [name for name in names if name != Path(name).name or "\0" in name]:
        raise Unsound(file, f"names a file outside of its folder: {_short(outside[0])}")
    return names


def _is_number(value: object, least: int, most: int) -> bool:
    whole = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value) and value == int(value))
    return whole and not isinstance(value, bool) and least <= value <= most  # type: ignore[operator]


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 40 else f"{text[:37]}..."
