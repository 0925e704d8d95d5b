"""What tells a model's weights from others of the same name, for the records that it writes."""

from __future__ import annotations

from pathlib import Path

from ..modelfiles import identity, local_folder
from ..settings import ModelConfig


def model_revision(model: ModelConfig) -> str | None:
    """Returns the Hub commit of a cached model, or a hash of a local one's files; None when it is not here."""
    if local_folder(model) is not None:
        content = identity(model)["content"]
        return f"files:{content}" if content else None
    from huggingface_hub import try_to_load_from_cache

    file = try_to_load_from_cache(model.path, "config.json", revision=model.revision)
    return Path(file).parent.name if isinstance(file, str) else model.revision
