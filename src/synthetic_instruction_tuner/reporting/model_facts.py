"""What a data card says about a model: where it is from, which revision, under which license. Nothing is downloaded."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from synthetic_instruction_tuner import __version__
from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.models.files import EMBEDDED, identity, local_folder

EMBEDDED_LICENSE = "apache-2.0"  # the package's own


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model of a run.

    Attributes:
        role: what it did.
        name: its name; of a local folder only the short one, since a path may tell private things.
        source: where it is from.
        revision: the commit, or a hash of the files' beginnings.
        license: as the Hub names it; None when it is not known.
        held: how its weights were held where they were quantized, such as ``nf4, computed in float16``; else "".
    """

    role: str
    name: str
    source: str
    revision: str
    license: str | None
    held: str = ""


def model_facts(role: str, model: ModelConfig) -> ModelFacts:
    """Returns the facts that this machine has about a model."""
    if model.path.startswith(EMBEDDED):
        version = f"{__version__}, {identity(model)['content']}"
        return ModelFacts(role, model.path, "inside the package", version, model.license or EMBEDDED_LICENSE)
    folder = local_folder(model)
    if folder is not None:
        content = str(identity(model)["content"] or "unknown")
        return ModelFacts(role, model.name, "a local folder", content, model.license or _license(folder / "README.md"))
    card = _cached(model, "README.md")
    revision = _commit(_cached(model, "config.json")) or model.revision or "unknown"
    return ModelFacts(
        role, model.path, "Hugging Face Hub", revision, model.license or (_license(card) if card else None)
    )


def _license(card: Path) -> str | None:
    """Returns the license that a model card's metadata names."""
    with suppress(OSError, UnicodeDecodeError, yaml.YAMLError):
        found = re.match(r"\A---\r?\n(.*?)\r?\n---", card.read_text(encoding="utf-8-sig"), re.DOTALL)
        data: Any = yaml.safe_load(found[1]) if found else None
        if isinstance(data, dict):
            name = data.get("license_name") if data.get("license") == "other" else data.get("license")
            return str(name) if isinstance(name, str) else None
    return None


def _cached(model: ModelConfig, name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    with suppress(HFValidationError):
        found = try_to_load_from_cache(model.path, name, revision=model.revision)
        return Path(found) if isinstance(found, str) else None
    return None


def _commit(file: Path | None) -> str | None:
    """Returns the commit that a cached file belongs to, from its path ``snapshots/COMMIT``."""
    parts = file.parts if file else ()
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts else None
