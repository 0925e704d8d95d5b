"""Of which family a model is, as far as its name and its files tell.

A model of the same family was trained on much the same data and prefers its own style (Panickssery et al. 2024,
arXiv:2404.13076), so it is no impartial judge of its relatives. A model may be of several families: a distilled or
further trained one is of its teacher's and its base model's too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from synthetic_instruction_tuner.config import ModelConfig, TrainConfig
from synthetic_instruction_tuner.models.file_checks.checked_files import read_object
from synthetic_instruction_tuner.models.files import EMBEDDED, cached_folder, local_folder

# What names contain, as whole parts of words, by family. Descendants whose names do not say it are with their ancestor.
_NAMES: dict[str, tuple[str, ...]] = {
    "llama": ("llama", "codellama", "tinyllama", "vicuna", "alpaca", "nemotron", "selene", "tulu", "hermes"),
    "qwen": ("qwen", "qwq", "qvq", "compassjudger", "skywork-critic"),
    "mistral": ("mistral", "mixtral", "ministral", "mathstral", "codestral", "pixtral", "magistral", "devstral",
                "zephyr", "prometheus"),
    "gemma": ("gemma", "gemini", "shieldgemma", "medgemma"),
    "phi": ("phi",),
    "gpt": ("gpt", "chatgpt", "davinci", "o1", "o3", "o4"),
    "claude": ("claude",),
    "deepseek": ("deepseek",),
    "olmo": ("olmo", "olmoe"),
    "smollm": ("smollm",),
    "yi": ("yi",),
    "glm": ("glm", "chatglm"),
    "internlm": ("internlm", "interns"),
    "falcon": ("falcon",),
    "cohere": ("command", "aya", "c4ai", "cohere"),
    "granite": ("granite",),
    "exaone": ("exaone",),
    "minicpm": ("minicpm",),
    "stablelm": ("stablelm",),
    "pythia": ("pythia", "neox", "dolly", "oasst"),
    "bloom": ("bloom", "bloomz"),
    "mpt": ("mpt",),
    "rwkv": ("rwkv", "raven"),
    "deberta": ("deberta",),
    "kimi": ("kimi", "moonlight"),
    "jamba": ("jamba",),
}  # fmt: skip
_OTHER_GPTS = re.compile(r"gpt[-_]?(?:2|neo|j|neox)(?![0-9])|(?:mini|dialo|nano|bio)gpt")
_ARCHITECTURES = {"phi3": "phi", "phimoe": "phi", "gpt_oss": "gpt", "cohere2": "cohere"}
_CHAINED = ("llama", "qwen", "mistral", "gemma", "phi")  # names often written together with others: Qwen2.5, Qwen3


def families(model: ModelConfig) -> frozenset[str]:
    """Returns the families that a model is of; never empty.

    The names decide: that of the model, its path, its name on a server, and the one in its own configuration. Without
    a known name the architecture does, and without files the path, as a family of its own.
    """
    if model.path.startswith(EMBEDDED):
        return frozenset({"nano"})
    config = _configuration(model)
    own = config.get("_name_or_path")
    names = [_last_parts(model.path), model.name, model.served_as or "", own if isinstance(own, str) else ""]
    if known := _named(names):
        return known
    kind = config.get("model_type")
    if isinstance(kind, str) and kind:
        return _named([kind]) or frozenset({_ARCHITECTURES.get(kind, kind)})
    return frozenset({(model.served_as or model.path).rstrip("/").casefold()})


PLAIN_DECODERS = ("llama", "mistral", "qwen2", "qwen3")
"""Architectures of rotary positions and gated MLPs, whose logits are the output layer's, unscaled and uncapped.

Named as in config.json. Their texts are trained packed, and on a CPU their logits are computed for answers alone.
"""


def may_be_packed(model: ModelConfig, train: TrainConfig, method: str, device: str) -> bool:
    """Returns whether a model's texts will be trained packed, as far as its name or its files say.

    Args:
        model: a student.
        train: the settings of all trainings.
        method: the training's name.
        device: where it is trained.
    """
    packing, weights = train.packing, method != "prompt_tuning"
    if packing == "off" or (weights and train.sft.lora.use_dora) or (packing == "auto" and device != "cuda"):
        return False
    kind = _configuration(model).get("model_type")
    return kind in PLAIN_DECODERS if kind else bool(families(model) & {"llama", "mistral", "qwen"})


def _named(names: Iterable[str]) -> frozenset[str]:
    """Returns the families whose names occur."""
    found: set[str] = set()
    for name in names:
        text = _OTHER_GPTS.sub(" ", name.casefold())
        parts = {part.strip("0123456789.") or part for part in re.split(r"[^a-z0-9.]+", text)} | set(
            re.findall(r"[a-z]+[0-9]?", text)
        )
        for family, marks in _NAMES.items():
            if any(mark in parts or ("-" in mark and mark in text) for mark in marks):
                found.add(family)
        found |= {family for family in _CHAINED[:4] if family in text}
    return frozenset(found)


def _last_parts(path: str) -> str:
    """Returns the part of a path that names a model: owner and name on the Hub, the folder's name on a disk."""
    parts = [part for part in re.split(r"[/\\]", path) if part]
    if path.startswith(("/", "~", ".")) or len(parts) > 2:  # folders above it may be called anything
        cached = next((part for part in parts if part.startswith("models--")), "")
        return cached or (parts[-1] if parts else "")
    return "/".join(parts)


def _configuration(model: ModelConfig) -> dict[str, object]:
    folder = local_folder(model) or cached_folder(model)
    if folder is None:
        return {}
    try:
        return dict(read_object(folder / "config.json"))
    except (OSError, ValueError):
        return {}
