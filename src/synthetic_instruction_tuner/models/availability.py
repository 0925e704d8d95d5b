"""Whether a model can be loaded here: its files are sound, or it can be downloaded, and how much that is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.config.messages import nearest
from synthetic_instruction_tuner.models.file_checks.checked_files import Fault, Unsound, read_text
from synthetic_instruction_tuner.models.file_checks.soundness import folder_fault
from synthetic_instruction_tuner.models.file_checks.weight_files import (
    PICKLED,
    SAFETENSORS,
    wanted_weights,
    weight_files,
)
from synthetic_instruction_tuner.models.files import EMBEDDED, cached_folder, embedded_models, expanded, local_folder

DOWNLOAD = "Connect to the Hub, or download it before: hf download NAME. Or name a local folder."
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


@dataclass(frozen=True, slots=True)
class Availability:
    """Where a model is.

    Attributes:
        fault: why it cannot be loaded, or None.
        folder: where its files are; None if they have to be downloaded.
        download_gb: how much has to be downloaded, in GB of 1e9 bytes; None where it is not known.
    """

    fault: Fault | None
    folder: Path | None
    download_gb: float | None = 0.0


def availability(model: ModelConfig, reward: bool | None = None, weights: bool = True) -> Availability:
    """Returns whether a model can be loaded; reads no weights. Hub ids: first the cache, then online.

    Args:
        model: where it is.
        reward: whether it must be a reward model, or must not be one; None for any.
        weights: whether more than its tokenizer is needed.
    """
    folder = local_folder(model) or _cached(model, weights)
    if folder is None and (fault := id_fault(model)):
        return Availability(fault, None, None)
    if folder is not None:
        return Availability(local_fault(model, folder, weights, reward), folder)
    return _on_the_hub(model)


def local_fault(model: ModelConfig, folder: Path, weights: bool = True, reward: bool | None = None) -> Fault | None:
    """Returns what is wrong with the files of an embedded, local or cached model, or None."""
    if model.path.startswith(EMBEDDED) and model.path not in embedded_models():
        near = nearest(model.path, embedded_models())
        fix = f"Did you mean {near}?" if near else f"The package has: {', '.join(embedded_models())}."
        return Fault(f"the package has no model {shown_path(model)}", fix, absent=True)
    if model.chat_template and (fault := template_fault(model.chat_template)):
        return fault
    return folder_fault(folder, weights, reward)


def template_fault(source: str) -> Fault | None:
    """Returns what is wrong with the file that a ``chat_template`` setting names, or None; a Hub id is no file."""
    path, fix = Path(expanded(source)), "Name a .jinja file, or a model that has a chat template."
    if source.endswith(".jinja"):
        try:
            read_text(path)
        except Unsound as error:
            return Fault(error.fault.reason, fix)
    elif os.path.lexists(path) and not path.is_dir():
        return Fault(f"the chat_template {source} is neither a .jinja file nor a model's folder", fix)
    return None


def shown_path(model: ModelConfig) -> str:
    """Returns a model's path as it can be shown: of a readable length, without control characters."""
    path = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in model.path)
    return path if len(path) <= 120 else f"{path[:60]}... ({len(path):,} characters)"


def _cached(model: ModelConfig, weights: bool) -> Path | None:
    """The folder of a model in the Hub's cache, if its weights are there too."""
    folder = cached_folder(model)
    if folder is None:
        return None
    return folder if not weights or _has_weights(folder) else None


def _has_weights(folder: Path) -> bool:
    """Returns whether a cached model's weights are all there; what is missing can still be downloaded."""
    try:
        files = weight_files(folder)
    except (Unsound, OSError):  # the index is damaged; the checks of the folder say so
        return True
    return bool(files) and all(file.exists() for file in files)


def id_fault(model: ModelConfig) -> Fault | None:
    """Returns why a path that is no folder here cannot be the id of a model on the Hub, or None."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public, but not marked so

    try:
        validate_repo_id(model.path)
    except HFValidationError:
        fix = "Name an existing folder, a Hub id such as Qwen/Qwen2.5-1.5B, or nano:NAME."
        return Fault("it is neither a folder nor a valid Hub id", fix)
    return None


def _on_the_hub(model: ModelConfig) -> Availability:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    # Half precision, as nearly all are published; a model's files say more once they can be read.
    about = model.parameters * 2 / 1e9 if model.parameters else None
    name = shown_path(model)
    try:
        if any(os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"} for name in _OFFLINE):
            fault = Fault("it is not in the local cache, and HF_HUB_OFFLINE is set", DOWNLOAD)
            return Availability(fault, None, about)
        HfApi().auth_check(model.path)
        files = HfApi().model_info(model.path, revision=model.revision, timeout=10, files_metadata=True).siblings or []
    except GatedRepoError:
        fix = f"Accept its terms at https://huggingface.co/{name}, then log in with 'hf auth login'."
        return Availability(Fault("its repository is gated, and this machine's login has no access", fix), None, about)
    except RepositoryNotFoundError:
        fix = "Check the id or the path; a private repository needs 'hf auth login'."
        return Availability(Fault("there is no such folder and no such repository on the Hub", fix), None, None)
    except Exception as error:  # network libraries raise many kinds; the doctor shows all of them this way
        reason = f"it is not in the local cache, and the Hub cannot be reached ({type(error).__name__})"
        return Availability(Fault(reason, DOWNLOAD), None, about)
    wanted = set(wanted_weights(file.rfilename for file in files))
    sizes = [file.size for file in files if file.rfilename in wanted]
    if not sizes:
        fix = f"Use a model with weights for Transformers: {SAFETENSORS} or {PICKLED}, or parts of them."
        return Availability(Fault("its repository has no weights that Transformers reads", fix), None, None)
    return Availability(None, None, sum(size or 0 for size in sizes) / 1e9 or about)
