"""Finds and loads models: embedded (``nano:NAME``), local folders and Hub ids; safetensors only.

Faults are reported before the weights are read: by `missing_reason` when all models are checked at once, by a
`UserError` from the loaders.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.adapters import is_soft_prompt, merged
from synthetic_instruction_tuner.models.files import EMBEDDED, embedded_models, local_folder

_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def resolve(model: ModelConfig, weights: bool = True) -> str:
    """Returns what `from_pretrained` takes: a folder's path or a Hub id.

    Args:
        model: where it is.
        weights: whether the weights are needed too; the tokenizer alone needs no config.json either.

    Raises:
        UserError: the folder of an embedded or local model does not exist, or lacks its configuration or weights.
    """
    folder = local_folder(model)
    if folder is None:
        return model.path
    if reason := _folder_fault(folder, weights):
        embedded = model.path.startswith(EMBEDDED)
        there = f"The package has: {', '.join(embedded_models()) or 'none'}."
        fix = there if embedded else "Check the path; a model's folder has config.json, a tokenizer and *.safetensors."
        raise UserError(f"The model {model.path} cannot be loaded.", reason, fix)
    return str(folder)


def missing_reason(model: ModelConfig) -> str | None:
    """Returns why the model cannot be loaded, or None; reads no weights. Hub ids: first the cache, then online."""
    folder = local_folder(model)
    if folder is not None:
        return _folder_fault(folder)
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    try:
        if isinstance(try_to_load_from_cache(model.path, "config.json", revision=model.revision), str):
            return None
        if _offline():
            return "it is not in the local cache, and HF_HUB_OFFLINE is set"
        HfApi().auth_check(model.path)
        files = HfApi().model_info(model.path, revision=model.revision, timeout=10).siblings or []
    except HFValidationError:
        return "it is neither a folder nor a valid Hub id"
    except GatedRepoError:
        return "its repository is gated, and this machine's login has no access"
    except RepositoryNotFoundError:
        return "there is no such folder and no such repository on the Hub"
    except Exception as error:  # network libraries raise many kinds; the doctor shows all of them this way
        return f"it is not in the local cache, and the Hub cannot be reached ({type(error).__name__})"
    safe = any(f.rfilename.endswith(".safetensors") for f in files)
    return None if safe else "its repository has no safetensors weights"


def load_tokenizer(model: ModelConfig) -> Any:
    """Returns the model's tokenizer, with the chat template that its `chat_template` setting names, if any.

    A tokenizer without a padding token pads with its end-of-text token.
    """
    from transformers import AutoTokenizer

    with _explained(model):
        tokenizer = AutoTokenizer.from_pretrained(resolve(model, weights=False), **_source(model))
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if model.chat_template is not None:
        tokenizer.chat_template = _chat_template(model.chat_template)
    return tokenizer


def _chat_template(source: str) -> str:
    if not source.endswith(".jinja"):
        return str(load_tokenizer(ModelConfig(path=source)).get_chat_template())
    try:
        return Path(source).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"The chat template {source} cannot be read.", str(error), "Correct the model's chat_template."
        ) from None


def load_causal_lm(model: ModelConfig, dtype: str, device: str, adapter: Path | None = None) -> Any:
    """Returns the causal LM in evaluation mode on the device, with a LoRA adapter merged into its weights.

    Args:
        model: where it is.
        dtype: ``float32``, ``float16`` or ``bfloat16``.
        device: ``cpu`` or ``cuda``.
        adapter: folder of a PEFT LoRA adapter; for prompt tuning see `load_soft_prompt`.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with _explained(model):
        loaded = AutoModelForCausalLM.from_pretrained(
            resolve(model), dtype=getattr(torch, dtype), use_safetensors=True, **_source(model)
        )
    if adapter is not None and not is_soft_prompt(adapter):
        loaded = merged(loaded, adapter)
    return loaded.to(device).eval()


def load_reward_model(model: ModelConfig, dtype: str, device: str) -> Any:
    """Returns a sequence-classification model in evaluation mode on the device.

    Raises:
        UserError: it cannot be loaded, or has no trained head, in whose place Transformers would put a random one.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    with _explained(model):
        loaded, found = AutoModelForSequenceClassification.from_pretrained(
            resolve(model),
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            output_loading_info=True,
            **_source(model),
        )
    base = f"{loaded.base_model_prefix}."
    if head := sorted(name for name in found["missing_keys"] if not name.startswith(base)):
        raise UserError(
            f"The model {model.path} is not a reward model.",
            f"its files have no {', '.join(head[:3])}: it was not trained to score",
            "Set models.reward to a sequence classifier that was trained as a reward model.",
        )
    return loaded.to(device).eval()


def _folder_fault(folder: Path, weights: bool = True) -> str | None:
    if not folder.is_dir():
        return f"there is no folder {folder}"
    if not weights:
        return None
    if not (folder / "config.json").is_file():
        return f"{folder} has no config.json"
    return None if any(folder.glob("*.safetensors")) else f"{folder} has no *.safetensors weights"


def _source(model: ModelConfig) -> dict[str, Any]:
    return {"revision": model.revision or "main", "trust_remote_code": model.trust_remote_code}


def _offline() -> bool:
    return any(os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"} for name in _OFFLINE)


@contextmanager
def _explained(model: ModelConfig) -> Iterator[None]:
    """Turns the errors of `from_pretrained` into a `UserError`; their own text is long and often misleading."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        text = str(error)
        problem = f"The model {model.path} cannot be loaded."
        first = text.strip().splitlines()[0] if text.strip() else type(error).__name__
        if "trust_remote_code" in text:
            fix = "Set trust_remote_code: true for this model if you trust its authors; their code then runs here."
            raise UserError(problem, "its repository contains its own code", fix) from error
        if "gated" in text.lower():
            fix = f"Accept its terms at https://huggingface.co/{model.path}, then log in with `hf auth login`."
            raise UserError(problem, "its repository is gated", fix) from error
        if local_folder(model) is None and (reason := missing_reason(model)):
            fix = "Check the id; download it once with network access, or give the path of a local folder."
            raise UserError(problem, reason, fix) from error
        fix = "Check that the folder contains a complete model that Transformers can read."
        raise UserError(problem, first, fix) from error
