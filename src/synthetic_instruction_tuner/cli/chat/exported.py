"""A chat with an export: a folder with an ordinary model, or with an adapter and what belongs beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from synthetic_instruction_tuner.cli.options import run_folder
from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import SitError, UserError
from synthetic_instruction_tuner.methods import METHODS, VARIANTS
from synthetic_instruction_tuner.models.adapters import adapter_config
from synthetic_instruction_tuner.models.files import EMBEDDED, local_folder
from synthetic_instruction_tuner.run.folder import shown

_MODEL, _ADAPTER, _TEMPLATE = "config.json", "adapter_config.json", "chat_template.jinja"


def exported_model(
    words: Sequence[str], variant: str | None, run_dir: Path | None, base: str | None
) -> tuple[ModelConfig, Path | None] | None:
    """Returns the model, and the adapter, of the folder that the words name; None where they name no folder.

    A student of the run, or a variant, comes before a folder of that name in the working folder.

    Args:
        words: what the user wrote.
        variant: what the user wants of a run.
        run_dir: the run's folder.
        base: the base model of an adapter.

    Raises:
        UserError: it holds no model, or what it needs is missing.
    """
    found = [word for word in words if _is_path(word) or (_holds_model(Path(word)) and not _is_student(word, run_dir))]
    if not found:
        if base is not None:
            raise UserError(
                "--base belongs to the folder of an adapter.", "", "Name the folder: sit chat FOLDER --base MODEL"
            )
        return None
    if len(words) > 1 or variant or run_dir:
        raise UserError(
            "An export is one variant of one student.",
            f"You named {found[0]}, and something else.",
            f"Write: sit chat {shown(Path(found[0]))}",
        )
    folder = Path(found[0]).expanduser()
    if folder.suffix == ".gguf":
        fix = "Talk to it with llama.cpp or Ollama, or name the folder of the export."
        raise UserError(f"{folder.name} is a file for llama.cpp.", "", fix)
    if (folder / _ADAPTER).is_file():
        return _base_of(folder, base), folder
    if not (folder / _MODEL).is_file():
        cause = f"It has neither {_MODEL} nor {_ADAPTER}." if folder.is_dir() else "There is no such folder."
        raise UserError(
            f"There is no export in {shown(folder)}.", cause, "Name the folder that 'sit export' has written."
        )
    return ModelConfig(path=str(folder.absolute()), name=folder.absolute().name), None


def _base_of(folder: Path, base: str | None) -> ModelConfig:
    named = base or str(adapter_config(folder).get("base_model_name_or_path") or "")
    template = folder / _TEMPLATE
    own = {"chat_template": str(template.absolute())} if template.is_file() else {}
    model = ModelConfig(path=named or "unknown", **own)
    place = local_folder(model)
    known = named.startswith(EMBEDDED) or (place is None and "/" in named) or (place is not None and place.is_dir())
    if not known:
        cause = f"It was trained on {named!r}, which was a folder, and is no name on the Hub."
        raise UserError(f"The base model of {shown(folder)} is not here.", cause, "Say where it is: --base FOLDER")
    return model


def _is_path(word: str) -> bool:
    """Returns whether a word can be nothing but a path; a student may have been named by its Hub id."""
    if word.startswith((".", "~", "/")) or word.endswith((os.sep, ".gguf")):
        return True
    return os.sep in word and _holds_model(Path(word))


def _holds_model(folder: Path) -> bool:
    return ((folder / _MODEL).is_file() and not (folder / "run.sqlite").exists()) or (folder / _ADAPTER).is_file()


def _is_student(word: str, run_dir: Path | None) -> bool:
    """Returns whether a word is a student of the run, or one of the variants."""
    if word in VARIANTS or word in {method.verb for method in METHODS}:
        return True
    try:
        students = run_folder(None, run_dir).read_config().models.students
    except SitError:
        return False
    return word in {model.name for model in students}
