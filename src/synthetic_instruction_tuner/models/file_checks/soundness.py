"""Whether a model's files can be what they say: read strictly, without loading the model.

Every fault names the file, what is wrong with it and what to do. Nothing is allocated and nothing waits, whatever a
file says of itself: only regular files are opened, and sizes are compared before they are believed.
"""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.models.file_checks.checked_files import (
    Fault,
    Unsound,
    exists,
    read_object,
    read_text,
    shortened,
)
from synthetic_instruction_tuner.models.file_checks.tokenizer_files import check_tokenizer
from synthetic_instruction_tuner.models.file_checks.weight_files import INDEXES, tensors, unread_weights, weight_files

_NEED = "A model's folder has config.json, a tokenizer and model.safetensors; give the path of such a folder."
_OBJECTS = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    *INDEXES,
)
# The sizes in a configuration: the names that architectures have for each, and the largest number that may stand there,
# some hundred times what the models in use have.
SIZES: dict[str, tuple[tuple[str, ...], int]] = {
    "vocabulary": (("vocab_size", "n_vocab", "padded_vocab_size"), 10**8),
    "hidden": (("hidden_size", "n_embd", "d_model", "emb_dim", "dim", "model_dim"), 10**7),
    "inner": (("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "decoder_ffn_dim", "d_ff"), 10**8),
    "layers": (("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers",
                "num_decoder_layers"), 10**5),
    "heads": (("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads", "decoder_attention_heads"),
              10**5),
    "kv_heads": (("num_key_value_heads", "n_head_kv", "num_kv_heads", "kv_n_heads", "multi_query_group_num"), 10**5),
    "head_width": (("head_dim", "attention_head_dim", "kv_channels"), 10**6),
    "positions": (("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length"), 10**10),
}  # fmt: skip
_NUMBERS = {name: most for names, most in SIZES.values() for name in names} | {"sliding_window": 10**10}
_NEEDED = {name for size in ("vocabulary", "hidden", "layers", "heads") for name in SIZES[size][0]}
_TEXT_PARTS = ("text_config", "llm_config", "language_config", "decoder")  # of models that also see or hear
_BY_LAYER = {*SIZES["inner"][0], *SIZES["kv_heads"][0]}  # may be a list, with one number for each layer
_KINDS_OF_LAYERS = ("layers_block_type", "layer_types", "hybrid_override_pattern")  # one for each layer
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "tok_embeddings.weight")
_HEADS = {
    "score", "classifier", "classification_head", "pre_classifier", "summary", "logits_proj", "v_head", "value_head",
    "reward_head", "rm_head", "regression_layer",
}  # fmt: skip
# Architectures whose texts are read in both directions, unless their configuration makes them decoders.
_ENCODERS = {
    "albert", "bert", "bert-generation", "big_bird", "camembert", "canine", "convbert", "data2vec-text", "deberta",
    "deberta-v2", "distilbert", "electra", "ernie", "ernie_m", "esm", "eurobert", "fnet", "funnel", "ibert",
    "layoutlm", "longformer", "luke", "megatron-bert", "mobilebert", "modernbert", "mpnet", "mra", "nezha",
    "nomic_bert", "nystromformer", "qdqbert", "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer",
    "reformer", "squeezebert", "tapas", "xlm-roberta", "xlm-roberta-xl", "xlnet", "xmod", "yoso",
}  # fmt: skip
_TRANSLATORS = {"t5", "mt5", "umt5", "longt5", "switch_transformers", "t5gemma"}  # an encoder and a decoder
_FORMATS = re.compile(
    r"auto|(torch\.)?(bfloat16|float(16|32|64)?|float[48]_\w+|half|double|u?int(4|8|16|32|64)?|long|bool|complex(64|128))"
)
_PACKED = {"quant_method", "load_in_4bit", "load_in_8bit", "_load_in_4bit", "_load_in_8bit"}
_NO_WRITERS = ("ForSequenceClassification", "ForTokenClassification", "ForMaskedLM", "ForQuestionAnswering")


def folder_fault(folder: Path, weights: bool = True, reward: bool | None = None) -> Fault | None:
    """Returns what is wrong with the files of a model's folder, or None.

    Args:
        folder: where the model is, or should be.
        weights: whether the weights and their configuration are needed, not only the tokenizer.
        reward: whether it must be a reward model, or must write text; None for either.
    """
    try:
        _require_folder(folder)
        documents = {name: read_object(folder / name) for name in _OBJECTS if exists(folder / name)}
        if exists(folder / "chat_template.jinja"):
            read_text(folder / "chat_template.jinja")
        check_tokenizer(folder, documents)
        _check_ends(folder, documents)
        if weights:
            _check_model(folder, documents, reward)
    except Unsound as error:
        return error.fault
    except OSError as error:
        return Fault(f"{error.filename or folder}: {error.strerror or error}", "Correct the path or its permissions.")
    return None


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


def _check_ends(folder: Path, documents: Mapping[str, Mapping[str, Any]]) -> None:
    ends = documents.get("generation_config.json", {}).get("eos_token_id")
    for end in ends if isinstance(ends, list) else [ends]:
        if end is not None and not _is_number(end, 0, _NUMBERS["vocab_size"]):
            raise Unsound(
                folder / "generation_config.json", f"has an eos_token_id of {shortened(end)}, which is no token"
            )


def _check_model(folder: Path, documents: Mapping[str, Mapping[str, Any]], reward: bool | None) -> None:
    if "config.json" not in documents:
        if exists(folder / "adapter_config.json"):
            fix = "Name the model that it was trained on; 'sit chat' talks to the adapters of a run."
            raise Unsound(folder, "holds an adapter and no model", fix)
        raise Unsound(folder, "has no config.json", _NEED)
    files = weight_files(folder)
    if not files:
        raise unread_weights(folder)
    config = documents["config.json"]
    _check_numbers(folder / "config.json", config)
    _check_formats(folder / "config.json", config)
    shapes = {name: shape for file in files for name, shape in tensors(file).items()}
    if not shapes:
        raise Unsound(files[0], "holds no tensors")
    for name in INDEXES:
        used = name in documents and files[0].name in dict(documents[name].get("weight_map") or {}).values()
        if used and not isinstance(documents[name].get("metadata"), dict):
            fix = 'Add "metadata": {} to it, or get it again.'
            raise Unsound(folder / name, "has no metadata, which Transformers asks for", fix)
        places = documents[name]["weight_map"] if used else {}
        if lost := next((tensor for tensor in places if tensor not in shapes), None):
            raise Unsound(folder / places[lost], f"has no {lost}, which {name} says to be in it")
    _check_vocabulary(folder / "config.json", config, shapes)
    _check_head(folder, config, shapes, reward)


def _check_numbers(file: Path, config: Mapping[str, Any]) -> None:
    kind = config.get("model_type")
    if not isinstance(kind, str) or not kind:
        raise Unsound(file, "has no model_type: it does not say what kind of model this is")
    for part in (config, text_part(config)):
        for name, most in _NUMBERS.items():
            value = part.get(name)
            each = value if isinstance(value, list) and value and name in _BY_LAYER else [value]
            absent = value is None and name not in _NEEDED
            if name in part and not absent and not all(_is_number(one, _least(name), most) for one in each):
                shown = shortened(value)
                raise Unsound(file, f"has {name} {shown}, where a whole number from 1 to {most:,} belongs")


def _least(name: str) -> int:
    return 0 if name == "sliding_window" else 1  # Qwen2-MoE is saved with 0 where it has no window


def _check_formats(file: Path, config: Mapping[str, Any]) -> None:
    """Checks what a configuration says of the numbers' format."""
    for name in ("dtype", "torch_dtype"):
        kind = config.get(name)
        if isinstance(kind, str) and not _FORMATS.fullmatch(kind):
            raise Unsound(file, f"has a {name} of {shortened(kind)}, which is no type of torch's")
    packed = config.get("quantization_config")
    if packed is not None and not (isinstance(packed, Mapping) and not _PACKED.isdisjoint(packed)):
        raise Unsound(file, f"has a quantization_config of {shortened(packed)}, which names no method")


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the part of a configuration that describes the language model: the whole of it, where it has no parts."""
    return next((config[name] for name in _TEXT_PARTS if isinstance(config.get(name), Mapping)), config)


def stated_size(config: Mapping[str, Any], what: str) -> int | None:
    """Returns a size that a configuration states, by whichever name; None where it states none.

    Args:
        config: what config.json holds.
        what: a key of `SIZES`.
    """
    for part in (text_part(config), config):
        for name in SIZES[what][0]:
            value = part.get(name)
            each = value if isinstance(value, list) and value else [value]  # one for each layer
            if all(_is_number(one, 1, SIZES[what][1]) for one in each):
                return max(map(int, each))
        if what == "layers":
            stated = (part.get(name) for name in _KINDS_OF_LAYERS)
            kinds: Sequence[Any] = next((one for one in stated if isinstance(one, (list, str))), [])
            if kinds:
                return len(kinds)
    return None


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
    if reward is False and (what := _no_writer(config, kinds)):
        raise Unsound(folder, what, "Name a causal language model for this role.")


def _no_writer(config: Mapping[str, Any], kinds: Sequence[str]) -> str:
    """Why a model cannot write a text word by word; empty where nothing speaks against it."""
    kind = text_part(config).get("model_type")
    if kinds and all(name.endswith(_NO_WRITERS) for name in kinds):
        return f"does not write text: it is a {kinds[0]}"
    if kind in _ENCODERS and text_part(config).get("is_decoder") is not True:
        return f"does not write text: it is an encoder ({kind}), which reads a text in both directions"
    if kind in ("xlm", "flaubert") and config.get("causal") is not True:
        return f"does not write text: it is not causal ({kind}), and reads a text in both directions"
    if kind in _TRANSLATORS:
        return f"does not write text alone: it has an encoder and a decoder ({kind})"
    return ""


def _is_number(value: object, least: int, most: int) -> bool:
    whole = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value) and value == int(value))
    return whole and not isinstance(value, bool) and least <= value <= most  # type: ignore[operator]
