"""Finds and loads models: embedded (``nano:NAME``), local folders and Hub ids; safetensors only.

Faults are reported before the weights are read: by `availability` when all models are checked at once, by a
`UserError` from the loaders.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import SitError, UserError
from synthetic_instruction_tuner.models.adapters import is_soft_prompt, merged
from synthetic_instruction_tuner.models.availability import availability, local_fault, shown_path, template_fault
from synthetic_instruction_tuner.models.files import expanded, local_folder
from synthetic_instruction_tuner.models.soundness import read_text


def resolve(model: ModelConfig, weights: bool = True, reward: bool | None = None) -> str:
    """Returns what `from_pretrained` takes: a folder's path or a Hub id.

    Args:
        model: where it is.
        weights: whether the weights are needed too; the tokenizer alone needs no config.json either.
        reward: whether it must be a reward model, or must not be one; None for any.

    Raises:
        UserError: the folder of an embedded or local model does not exist, or its files are missing or damaged.
    """
    folder = local_folder(model)
    if folder is None:
        return model.path
    if fault := local_fault(model, folder, weights, reward):
        raise UserError(f"The model {shown_path(model)} cannot be loaded.", fault.reason, fault.fix)
    return str(folder)


def load_tokenizer(model: ModelConfig) -> Any:
    """Returns the model's tokenizer, with the chat template that its `chat_template` setting names, if any.

    A tokenizer without a padding token pads with its end-of-text token.
    """
    from transformers import AutoTokenizer

    with _explained(model):
        tokenizer = AutoTokenizer.from_pretrained(resolve(model, weights=False), **_source(model))
        tokenizer.encode("a", add_special_tokens=False)  # some faults of its files show only when it is used
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if model.chat_template is not None:
        tokenizer.chat_template = _chat_template(model.chat_template)
    return tokenizer


def _chat_template(source: str) -> str:
    if fault := template_fault(source):
        raise UserError(f"The chat template {source} cannot be read.", fault.reason, fault.fix)
    if not source.endswith(".jinja"):
        return str(load_tokenizer(ModelConfig(path=source)).get_chat_template())
    return read_text(expanded(source))


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
        loaded, found = AutoModelForCausalLM.from_pretrained(
            resolve(model, reward=False), dtype=getattr(torch, dtype), use_safetensors=True, output_loading_info=True,
            **_source(model),
        )  # fmt: skip
        _require_text_config(loaded)
    if missing := sorted(found["missing_keys"]):
        raise UserError(
            f"The model {shown_path(model)} is not whole.",
            f"its files have no {', '.join(missing[:3])}{' and others' if len(missing) > 3 else ''}",
            "Get the model's files again: Transformers would put random numbers in the place of what is missing.",
        )
    if _reads_both_ways(loaded.config):
        raise UserError(
            f"The model {shown_path(model)} does not write text.",
            f"it is an encoder ({loaded.config.model_type}), which reads a text in both directions",
            "Name a causal language model for this role.",
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
        _require_text_config(loaded)
    base = f"{loaded.base_model_prefix}."
    if head := sorted(name for name in found["missing_keys"] if not name.startswith(base)):
        raise UserError(
            f"The model {model.path} is not a reward model.",
            f"its files have no {', '.join(head[:3])}: it was not trained to score",
            "Set models.reward to a sequence classifier that was trained as a reward model.",
        )
    return loaded.to(device).eval()


def _reads_both_ways(config: Any) -> bool:
    """Returns whether this is a model of masked text, which Transformers also loads as if it could go on with one."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

    one_way = any(getattr(config, name, False) for name in ("is_decoder", "causal", "is_encoder_decoder"))
    return config.model_type in MASKED and not one_way


def _require_text_config(loaded: Any) -> None:
    from transformers import PretrainedConfig

    if not isinstance(found := loaded.config.get_text_config(), PretrainedConfig):
        raise ValueError(f"config.json has a text_config that is a {type(found).__name__}")


def _source(model: ModelConfig) -> dict[str, Any]:
    return {"revision": model.revision or "main", "trust_remote_code": model.trust_remote_code}


@contextmanager
def _explained(model: ModelConfig) -> Iterator[None]:
    """Turns the errors of `from_pretrained` into a `UserError`; their own text is long and often misleading."""
    try:
        yield
    except (SitError, MemoryError):
        raise
    except Exception as error:  # readers in other languages have errors of their own
        if type(error).__name__ == "OutOfMemoryError":  # of a GPU
            raise
        text = str(error)
        problem = f"The model {shown_path(model)} cannot be loaded."
        first = text.strip().splitlines()[0][:300] if text.strip() else type(error).__name__
        if "trust_remote_code" in text:
            fix = "Set trust_remote_code: true for this model if you trust its authors; their code then runs here."
            raise UserError(problem, "its repository contains its own code", fix) from error
        if "gated" in text.lower():
            fix = f"Accept its terms at https://huggingface.co/{model.path}, then log in with `hf auth login`."
            raise UserError(problem, "its repository is gated", fix) from error
        if local_folder(model) is None and (fault := availability(model).fault):
            raise UserError(problem, fault.reason, fault.fix) from error
        fix = "Check that the folder contains a complete model that Transformers can read."
        raise UserError(problem, first, fix) from error
