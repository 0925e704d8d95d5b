"""The work folder: tokenizer, text and answers of one family of models, of one seed and one amount of text."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner import nano
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.nano.training import corpus
from synthetic_instruction_tuner.nano.training.recipes import RECIPES

TOKENIZER = "tokenizer.json"
_SETTINGS = "settings.json"


def claim(options: argparse.Namespace) -> str | None:
    """Records what the work folder is for; returns an error message if it was for something else."""
    work: Path = options.work
    wanted = {"seed": options.seed, "tokens_scale": options.tokens_scale}
    found = _settings(work)
    if not found:
        if work.is_dir() and any(work.iterdir()):
            return f"{work} contains something else: name another folder with --work, or empty it"
        _note(work, wanted)
        return None
    if any(found.get(name) != value for name, value in wanted.items()):
        there = ", ".join(f"{name} {found.get(name)}" for name in wanted)
        return f"{work} is for {there}: name another folder with --work, or empty it"
    if _learns(options, options.only) and found.get(TOKENIZER) == "copied":
        return f"{work} has the tokenizer of other models: name another folder with --work, or empty it"
    return None


def prepare(options: argparse.Namespace, names: Sequence[str]) -> None:
    """Writes the tokenizer and the token pools that these language models need, unless they exist."""
    file: Path = options.work / TOKENIZER
    if TOKENIZER not in _settings(options.work):
        if learns := _learns(options, names):
            count = int(60_000 * min(1.0, max(options.tokens_scale, 0.02)))
            tokenizer = corpus.learn_tokenizer(options.seed, count)
            tokenizer.save(str(file))
            print(f"[corpus] tokenizer of {tokenizer.get_vocab_size()}", flush=True)
        else:
            shutil.copyfile(_tokenizer_of_others(options), file)
        _note(options.work, _settings(options.work) | {TOKENIZER: "learned" if learns else "copied"})
    recipes = [RECIPES[name] for name in names]
    corpus.make_pools(options.work, recipes, file, options.tokens_scale, options.workers, options.seed)


def _learns(options: argparse.Namespace, names: Sequence[str]) -> bool:
    """Whether to train a tokenizer: only if all language models are trained from scratch. Others keep theirs."""
    return set(names) >= set(RECIPES) and not options.start


def _tokenizer_of_others(options: argparse.Namespace) -> Path:
    folders: list[Path] = [folder / name for folder in (options.start, options.out) if folder for name in RECIPES]
    found = [folder / TOKENIZER for folder in folders if (folder / TOKENIZER).exists()]
    return found[0] if found else nano.path("generator") / TOKENIZER


def _settings(work: Path) -> dict[str, Any]:
    file = work / _SETTINGS
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _note(work: Path, settings: dict[str, Any]) -> None:
    write_text(work / _SETTINGS, json.dumps(settings))
