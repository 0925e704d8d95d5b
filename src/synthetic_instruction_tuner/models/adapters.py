"""Reads adapters: LoRA matrices to merge into a model, and soft prompts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.errors import SitError, UserError
from synthetic_instruction_tuner.models.file_checks.checked_files import Unsound, read_object
from synthetic_instruction_tuner.models.file_checks.weight_files import tensors
from synthetic_instruction_tuner.models.files import EMBEDDED, local_folder, weights_hash

if TYPE_CHECKING:
    import torch

_ADAPTER = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
BASE = "base_model.json"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_log = logging.getLogger(__name__)
_AGAIN = "Train it again: run `sit run` with the same folder."


def is_soft_prompt(adapter: Path) -> bool:
    """Returns whether the folder holds a prompt-tuning adapter; otherwise it is LoRA."""
    return bool(adapter_config(adapter).get("peft_type") == "PROMPT_TUNING")


def adapter_digest(folder: Path, base: ModelConfig) -> str:
    """Returns a hash of an adapter's configuration and weights, which does not depend on where its base model is.

    Args:
        folder: the adapter.
        base: its base model; the hash has its path as the user gave it, in place of this machine's.
    """
    config = (folder / _ADAPTER).read_bytes()
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        named = dict(json.loads(config)) | {"base_model_name_or_path": base.path}
        config = json.dumps(named, indent=2, sort_keys=True).encode()
    digest = hashlib.sha256()
    for content in (config, (folder / _WEIGHTS).read_bytes()):
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def write_base(folder: Path, base: ModelConfig) -> None:
    """Notes beside an adapter which model it was trained on: its name, and a hash of its weights."""
    name = base.path if local_folder(base) is None or base.path.startswith(EMBEDDED) else base.name
    facts = {"model": name, "revision": base.revision, "weights": weights_hash(base)}
    write_text(folder / BASE, json.dumps(facts, ensure_ascii=False, indent=2) + "\n")


def require_base(adapter: Path, base: ModelConfig) -> None:
    """Raises UserError if an adapter was surely trained on other weights; logs a warning if that is only likely.

    The weights decide, where they are known: a model may be moved or copied. Names of the Hub may differ for copies of
    one model, so they only warn; folders of other machines say nothing.

    Args:
        adapter: the adapter.
        base: the model that it is to be used with.
    """
    noted = _noted(adapter)
    known, found = noted.get("weights"), weights_hash(base)
    if known and found:
        if known != found:
            raise UserError(
                f"The adapter {adapter} does not fit its base model.",
                f"it was trained on {noted.get('model')}, and {base.path} has other weights ({found}, not {known})",
                f"Give the model that it was trained on, or train it again. To use it anyway, remove its {BASE}.",
            )
        return
    config = adapter_config(adapter)
    named, revision = str(config.get("base_model_name_or_path") or ""), config.get("revision")
    trained = ModelConfig(path=named) if _HUB_ID.fullmatch(named) or named.startswith(EMBEDDED) else None
    if trained is None or (trained.path == base.path and revision in (None, base.revision)):
        return
    if trained.path.startswith(EMBEDDED) and base.path.startswith(EMBEDDED) and trained.path != base.path:
        fix = "Give the model that it was trained on, or train it again."
        raise UserError(
            f"The adapter {adapter} does not fit its base model.", f"it was trained on {named}, not {base.path}", fix
        )
    if local_folder(trained) is None and local_folder(base) is None:
        at = [
            f"{path}@{commit}" if commit else path for path, commit in ((named, revision), (base.path, base.revision))
        ]
        if trained.path.lower() != base.path.lower() or (revision and base.revision):
            _log.warning("The adapter %s was trained on %s, and is used with %s.", adapter, *at)


def _noted(adapter: Path) -> dict[str, Any]:
    try:
        return dict(read_object(adapter / BASE)) if (adapter / BASE).is_file() else {}
    except Unsound:
        return {}


def load_soft_prompt(adapter: Path) -> torch.Tensor:
    """Returns the virtual tokens of a prompt-tuning adapter, [virtual tokens, hidden].

    Raises:
        UserError: the file holds none.
    """
    from safetensors.torch import load_file

    if "prompt_embeddings" not in tensors(adapter / _WEIGHTS):
        raise UserError(f"The adapter {adapter} cannot be used.", f"{_WEIGHTS} holds no virtual tokens", _AGAIN)
    return load_file(adapter / _WEIGHTS)["prompt_embeddings"]


def merged(model: Any, adapter: Path) -> Any:
    """Returns the model with a LoRA adapter merged into its weights.

    Raises:
        UserError: the adapter is of another type, or does not fit the model.
    """
    tuned = with_lora(model, adapter)
    try:
        return tuned.merge_and_unload(safe_merge=True)
    except ValueError as error:  # numbers that are none
        raise _no_numbers(adapter, error) from error


def attached(model: Any, adapter: Path) -> Any:
    """Returns a quantized model with a LoRA adapter beside its weights, which computes in the model's own type.

    Raises:
        UserError: the adapter is of another type, or does not fit the model.
    """
    tuned = with_lora(model, adapter)
    _compute_in(tuned, model.dtype)
    return tuned.get_base_model()


@contextmanager
def swapped_in(model: Any, adapter: Path, device: str, *, beside: bool) -> Iterator[Any]:
    """Within this context the model has a LoRA adapter; afterwards its weights are its own again, to the last bit.

    The layers' own weights are kept in main memory meanwhile: to subtract what was added would leave rounding errors.
    Merging is done on the CPU, layer by layer, so that the numbers are those of `merged` on every device.

    Args:
        model: the base model, on the device.
        adapter: the folder.
        device: ``cpu`` or ``cuda``.
        beside: whether the adapter stays beside the weights, as in `attached`, instead of being merged into them.

    Raises:
        UserError: as `merged`.
    """
    tuned = with_lora(model, adapter)
    if beside:
        _compute_in(tuned, model.dtype)
    own = [] if beside else _merge_by_layer(tuned, adapter, device)
    changed = tuned.get_base_model() if beside else tuned.unload()
    try:
        yield changed
    finally:
        if beside:
            tuned.unload()
        for parameter, data in own:
            parameter.data = data.to(device)


def _merge_by_layer(tuned: Any, adapter: Path, device: str) -> list[tuple[Any, torch.Tensor]]:
    """Merges a LoRA adapter; returns the layers' parameters with what they held before, on the CPU."""
    own: dict[int, tuple[Any, torch.Tensor]] = {}
    for layer in _lora_layers(tuned):
        layer.to("cpu")
        for parameter in layer.get_base_layer().parameters():
            own.setdefault(id(parameter), (parameter, parameter.data))
        try:
            layer.merge(safe_merge=True)
        except ValueError as error:  # numbers that are none
            raise _no_numbers(adapter, error) from error
        layer.to(device)
    return list(own.values())


def _compute_in(tuned: Any, dtype: torch.dtype) -> None:
    for layer in _lora_layers(tuned):
        for part in (layer.lora_A, layer.lora_B, layer.lora_embedding_A, layer.lora_embedding_B):
            part.to(dtype)


def _lora_layers(tuned: Any) -> list[Any]:
    from peft.tuners.lora import LoraLayer

    return [layer for layer in tuned.modules() if isinstance(layer, LoraLayer)]


def _no_numbers(adapter: Path, error: ValueError) -> UserError:
    return UserError(f"The adapter {adapter} cannot be used.", " ".join(str(error).split())[:200], _AGAIN)


def with_lora(model: Any, adapter: Path) -> Any:
    """Returns the model with a LoRA adapter beside its weights, as PEFT's own model.

    Raises:
        UserError: the adapter is of another type, or does not fit the model.
    """
    from peft import PeftModel

    kind = adapter_config(adapter).get("peft_type")
    if kind != "LORA":
        fix = "Use a LoRA or prompt-tuning adapter."
        raise UserError(f"The adapter {adapter} cannot be merged.", f"its type is {kind}", fix)
    _require_rank(adapter)
    try:
        tuned = PeftModel.from_pretrained(model, str(adapter))
        _require_same_layers(tuned, adapter)
        return tuned
    except (SitError, MemoryError):
        raise
    except Exception as error:  # a configuration can be wrong in many ways, each with an error of its own
        if type(error).__name__ == "OutOfMemoryError":  # of a GPU
            raise
        if "size mismatch" in str(error):
            raise _misfit(
                adapter, "it was trained on a model of another shape: the base model has changed since"
            ) from error
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"The adapter {adapter} cannot be used.", f"its {_ADAPTER}: {said}", _AGAIN) from error


def _require_rank(adapter: Path) -> None:
    """Raises UserError if the stated rank is larger than every matrix: PEFT would make matrices of that size."""
    stated = adapter_config(adapter).get("r")
    found = [shape[0] for name, shape in tensors(adapter / _WEIGHTS).items() if ".lora_A." in name and shape]
    if found and isinstance(stated, int) and stated > max(found):
        said = f"another shape: its {_ADAPTER} says r {stated:,}, and its matrices have at most {max(found):,}"
        raise _misfit(adapter, said)


def _require_same_layers(tuned: Any, adapter: Path) -> None:
    """Raises UserError unless each matrix in the file has its place in the model, and each place its matrix."""
    from peft import get_peft_model_state_dict

    given = set(tensors(adapter / _WEIGHTS))
    places = set(get_peft_model_state_dict(tuned, save_embedding_layers=False))
    if given not in (places, set(get_peft_model_state_dict(tuned))):  # some files also hold the embeddings themselves
        shown = sorted(places ^ given)[0]
        what = "the model has no such layer" if shown in given else "the file has no matrix for this layer"
        raise _misfit(adapter, f"{what}: {shown}")


def _misfit(adapter: Path, cause: str) -> UserError:
    return UserError(f"The adapter {adapter} does not fit its base model.", cause, _AGAIN)


def adapter_config(adapter: Path) -> dict[str, Any]:
    """Returns the adapter's own configuration.

    Raises:
        UserError: the folder holds no adapter, or a damaged one.
    """
    for name in (_ADAPTER, _WEIGHTS):
        if not (adapter / name).exists():
            fix = f"Give a folder that contains {_ADAPTER} and {_WEIGHTS}."
            raise UserError(f"There is no adapter in {adapter}.", f"{name} is missing", fix)
    try:
        config = dict(read_object(adapter / _ADAPTER))
        tensors(adapter / _WEIGHTS)
    except Unsound as error:
        raise UserError(f"The adapter in {adapter} cannot be used.", error.fault.reason, _AGAIN) from error
    return config
