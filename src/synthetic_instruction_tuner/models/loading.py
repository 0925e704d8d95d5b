"""Finds and loads models: embedded (``nano:NAME``), local folders and Hub ids.

safetensors are preferred. PyTorch's own files are read by its ``weights_only`` loader, which takes nothing but tensors.
Faults are reported before the weights are read: by `availability` when all models are checked at once, by a
`UserError` from the loaders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import SitError, UserError
from synthetic_instruction_tuner.models.adapters import attached, is_soft_prompt, merged, require_base
from synthetic_instruction_tuner.models.availability import availability, local_fault, shown_path, template_fault
from synthetic_instruction_tuner.models.file_checks.checked_files import Fault, read_text
from synthetic_instruction_tuner.models.file_checks.weight_files import uses_safetensors
from synthetic_instruction_tuner.models.files import expanded, local_folder, stored_as
from synthetic_instruction_tuner.models.quantization.held import held_as
from synthetic_instruction_tuner.models.quantization.layers import compute_in, loading_arguments


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

    with explained(model, "config.json, tokenizer.json or tokenizer_config.json"):
        tokenizer = AutoTokenizer.from_pretrained(resolve(model, weights=False), **source(model))
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

    Beside quantized weights the adapter stays what it is: merging would round the weights that it was trained on again.

    Args:
        model: where it is, and whether it is held in 4 bits; see `quantization.held`.
        dtype: ``float32``, ``float16`` or ``bfloat16``; of a model in 4 bits the type that computes.
        device: ``cpu`` or ``cuda``.
        adapter: folder of a PEFT LoRA adapter; for prompt tuning see `load_soft_prompt`.
    """
    if adapter is not None:
        require_base(adapter, model)
    loaded = _loaded(model, dtype, device, reward=False)
    if _reads_both_ways(loaded.config):
        raise UserError(
            f"The model {shown_path(model)} does not write text.",
            f"it is an encoder ({loaded.config.model_type}), which reads a text in both directions",
            "Name a causal language model for this role.",
        )
    if adapter is not None and not is_soft_prompt(adapter):
        loaded = attached(loaded, adapter) if held_as(model) else merged(loaded, adapter)
    return _placed(model, loaded, device).eval()


def load_reward_model(model: ModelConfig, dtype: str, device: str) -> Any:
    """Returns a sequence-classification model in evaluation mode on the device.

    Raises:
        UserError: it cannot be loaded, or has no trained head, in whose place Transformers would put a random one.
    """
    return _placed(model, _loaded(model, dtype, device, reward=True), device).eval()


def weights_fault(model: ModelConfig, reward: bool) -> Fault | None:
    """Returns why a model's weights do not fit its configuration, or None; no weights are read, nothing is allocated.

    Transformers does what it does when it loads the model, on torch's device without memory.

    Args:
        model: where it is; its files must be on this machine.
        reward: whether it is a reward model; otherwise it writes text.
    """
    try:
        if stored_as(model):  # what is packed has other shapes, and is unpacked only with its numbers
            _require_reader(model)
        else:
            _loaded(model, "float32", "meta", reward)
    except UserError as error:
        if isinstance(error.__cause__, NotImplementedError):  # the model does something that needs the numbers
            return None
        return Fault(error.cause, error.fix)
    return None


def _require_reader(model: ModelConfig) -> None:
    """Stops where the library that reads a model's packed weights is not here, or does not know them.

    bitsandbytes, which the settings also ask for, has a check of its own.
    """
    from transformers import AutoConfig
    from transformers.quantizers import AutoHfQuantizer

    with explained(model):
        config = AutoConfig.from_pretrained(resolve(model, weights=False), **source(model))
        packed = AutoHfQuantizer.merge_quantization_configs(config.quantization_config, None)
        if not str(packed.quant_method).endswith("bitsandbytes"):
            quantizer = AutoHfQuantizer.from_config(packed, pre_quantized=True)
            quantizer.validate_environment(device_map=None, weights_only=True)


def _placed(model: ModelConfig, loaded: Any, device: str) -> Any:
    """Returns the model on the device; quantized weights are made there, and their types are not to be changed."""
    return loaded if held_as(model) else loaded.to(device)


def _loaded(model: ModelConfig, dtype: str, device: str, reward: bool) -> Any:
    """Returns the model as `from_pretrained` loads it, if its files have all weights in the shapes that it needs.

    Args:
        model: where it is.
        dtype: the name of the weights' type.
        device: ``meta`` reads and allocates no weights; plain weights come to the CPU for any other one.
        reward: whether to load a sequence classifier; otherwise a causal LM.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    kind = AutoModelForSequenceClassification if reward else AutoModelForCausalLM
    with explained(model, "config.json or generation_config.json"):
        heads = _heads(model) if reward and held_as(model) else []
        loaded, found = kind.from_pretrained(
            resolve(model, reward=None if reward else False),
            dtype=getattr(torch, dtype),
            weights_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are an error below, in plainer words
            **({"device_map": "meta"} if device == "meta" else {}),
            **loading_arguments(model, getattr(torch, dtype), device, heads),
            **_format(model),
            **source(model),
        )
        _require_text_config(loaded)
    _require_whole(model, found, f"{loaded.base_model_prefix}." if reward else None)
    if held_as(model) and device != "meta":
        compute_in(loaded, getattr(torch, dtype))
    return loaded


def _heads(model: ModelConfig) -> list[str]:
    """Returns the parts of a sequence classifier above its base model; a score of few bits would tell nothing apart."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.from_pretrained(resolve(model, reward=None), **source(model))
    with torch.device("meta"):
        empty = AutoModelForSequenceClassification.from_config(config, trust_remote_code=model.trust_remote_code)
    return [name for name, _ in empty.named_children() if name != empty.base_model_prefix]


def _require_whole(model: ModelConfig, found: Any, base: str | None) -> None:
    """Stops where Transformers has put random numbers in the place of weights.

    Args:
        model: for the message.
        found: what `from_pretrained` reports.
        base: of a reward model, what the names of the weights that are not of its head begin with.
    """
    missing = sorted(found["missing_keys"])
    if base and (head := [name for name in missing if not name.startswith(base)]):
        raise UserError(
            f"The model {shown_path(model)} is not a reward model.",
            f"its files have no {_some(head)}: it was not trained to score",
            "Set models.reward to a sequence classifier that was trained as a reward model.",
        )
    fix = "Get the model's files again: Transformers would put random numbers in the place of what is missing."
    if missing:
        raise UserError(f"The model {shown_path(model)} is not whole.", f"its files have no {_some(missing)}", fix)
    if wrong := sorted(found["mismatched_keys"]):
        name, has, needs = wrong[0]
        raise UserError(
            f"The weights of {shown_path(model)} do not fit its config.json.",
            f"{name} has the shape {_sizes(has)} in the files, and by config.json it has {_sizes(needs)}",
            "Get config.json and the weights of the same model again.",
        )


def _reads_both_ways(config: Any) -> bool:
    """Returns whether this is a model of masked text, which Transformers also loads as if it could go on with one."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

    one_way = any(getattr(config, name, False) for name in ("is_decoder", "causal", "is_encoder_decoder"))
    return config.model_type in MASKED and not one_way


def _require_text_config(loaded: Any) -> None:
    from transformers import PretrainedConfig

    if not isinstance(found := loaded.config.get_text_config(), PretrainedConfig):
        raise ValueError(f"config.json has a text_config that is a {type(found).__name__}")


def _some(names: list[str]) -> str:
    return f"{', '.join(names[:3])}{' and others' if len(names) > 3 else ''}"


def _sizes(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))


def _format(model: ModelConfig) -> dict[str, bool]:
    """Returns in which format the weights are read; of a Hub id that is not decided here, safetensors come first."""
    folder = local_folder(model)
    return {"use_safetensors": uses_safetensors(folder)} if folder else {}


def source(model: ModelConfig) -> dict[str, Any]:
    """Returns what `from_pretrained` is told of a repository: which version, and whether its code may run."""
    return {"revision": model.revision or "main", "trust_remote_code": model.trust_remote_code}


@contextmanager
def explained(model: ModelConfig, files: str = "config.json") -> Iterator[None]:
    """Turns the errors of `from_pretrained` into a `UserError`; their own text is long and often misleading.

    Args:
        model: the model.
        files: what is read, named where the error does not say it.
    """
    try:
        yield
    except (SitError, MemoryError):
        raise
    except Exception as error:  # readers in other languages have errors of their own
        if type(error).__name__ == "OutOfMemoryError":  # of a GPU
            raise
        text = str(error)
        problem = f"The model {shown_path(model)} cannot be loaded."
        first = _said(error)
        if "trust_remote_code" in text:
            fix = "Set trust_remote_code: true for this model if you trust its authors; their code then runs here."
            raise UserError(problem, "its repository contains its own code", fix) from error
        if "gated" in text.lower():
            fix = f"Accept its terms at https://huggingface.co/{model.path}, then log in with `hf auth login`."
            raise UserError(problem, "its repository is gated", fix) from error
        if local_folder(model) is None and (fault := availability(model).fault):
            raise UserError(problem, fault.reason, fault.fix) from error
        if isinstance(error, ImportError) and (stored := stored_as(model)):
            fix = "Install what it asks for, or name a model whose files are not quantized."
            raise UserError(problem, f"its files hold {stored} weights: {first}", fix) from error
        if not isinstance(error, (ImportError, OSError)) and ".json" not in first:
            first = f"{files}: {first}"
        fix = "Check that the folder contains a complete model that Transformers can read."
        raise UserError(problem, first, fix) from error


def _said(error: Exception) -> str:
    """What an error says, in one line: a name that is missing says nothing alone, and a heading goes on below."""
    if isinstance(error, KeyError) and error.args:
        return f"it has no {str(error.args[0])[:80]!r}, or a value of that name that is not known"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return (" ".join(lines[:2]) if lines[0].endswith(":") else lines[0])[:300]
