"""What a record's provenance says: the model's weights, the engine, and why a request failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.engines.base import Completion
from synthetic_instruction_tuner.models.files import identity, local_folder


def model_revision(model: ModelConfig) -> str | None:
    """Returns the Hub commit of a cached model, or a hash of a local one's files; None when it is not here."""
    if local_folder(model) is not None:
        content = identity(model)["content"]
        return f"files:{content}" if content else None
    from huggingface_hub import try_to_load_from_cache

    file = try_to_load_from_cache(model.path, "config.json", revision=model.revision)
    return Path(file).parent.name if isinstance(file, str) else model.revision


def engine_facts(kind: str, model: ModelConfig) -> dict[str, str]:
    """Returns which engine writes, and the model's name on its server, whose weights may differ from the local ones."""
    named = {"served_as": model.served_as} if kind == "server" and model.served_as else {}
    return {"engine": kind} | named


def failure(step: str, completion: Completion) -> dict[str, str]:
    """Returns why the engine failed on a step's request; nothing where it did not fail."""
    given_up = completion.finish_reason == "error"
    return {f"{step}_error": completion.error or "no reason is known"} if given_up else {}


def failures(provenance: dict[str, Any]) -> list[str]:
    """Returns why the engine failed on requests of a record."""
    return [str(why) for name, why in provenance.items() if name.endswith("_error")]
