"""Trains the nano models: ``python -m synthetic_instruction_tuner.nano.training.train --out DIR``.

The seven language models train side by side, each in its own process, on one GPU or spread over several (one after the
other on a CPU). The reward model follows (``--only reward``), since it learns from their answers. A model that fails
does not stop the others; every phase keeps to its ``--minutes`` by lowering the learning rate early. The same command
continues an interrupted run: it keeps existing models, text and answers. A work folder belongs to the models of one
OUT, one seed and one amount of text.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import tarfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthetic_instruction_tuner import nano
from synthetic_instruction_tuner.nano.training import workfolder
from synthetic_instruction_tuner.nano.training.jobs import run_jobs
from synthetic_instruction_tuner.nano.training.recipes import RECIPES

if TYPE_CHECKING:
    from synthetic_instruction_tuner.nano.training.language import Making

PACK_LIMIT = 15_000_000  # bytes per archive
GPU_MINUTES = 20.0  # for each phase


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 1 when any model failed."""
    options = _options(argv)
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    if options.job:
        return _job(options)
    names = options.only
    options.out.mkdir(parents=True, exist_ok=True)
    began, failed = time.perf_counter(), list[str]()
    if language := [name for name in names if name in RECIPES]:
        failed += _language_models(options, language)
    if "reward" in names:
        failed += _reward(options, failed)
    if options.pack:
        pack(options.out, [name for name in names if (options.out / name).is_dir()], options.pack)
    print(f"[train] all done in {time.perf_counter() - began:.0f} s; failed: {failed or 'none'}", flush=True)
    return 1 if failed else 0


def pack(out: Path, names: Sequence[str], folder: Path) -> list[Path]:
    """Writes the models into as few archives below `PACK_LIMIT` as possible, and returns them."""
    folder.mkdir(parents=True, exist_ok=True)
    groups: list[list[str]] = [[]]
    size = 0
    for name in names:
        more = sum(file.stat().st_size for file in (out / name).iterdir())
        if groups[-1] and size + more > PACK_LIMIT:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += more
    archives = [folder / f"models-{group[0]}.tar" for group in groups if group]
    for archive, group in zip(archives, groups, strict=False):
        with tarfile.open(archive, "w") as tar:
            for name in group:
                tar.add(out / name, arcname=name)
    return archives


def _language_models(options: argparse.Namespace, names: Sequence[str]) -> list[str]:
    from synthetic_instruction_tuner.nano.training.language import is_trained
    from synthetic_instruction_tuner.nano.training.reward import phase as reward_phase

    workfolder.prepare(options, names)
    missing = [name for name in names if not is_trained(options.out / name, options.minutes, _making(options, name))]
    for name in names:
        if name not in missing:
            print(f"[{name}] exists already", flush=True)
    reward_phase.forget(options.work, missing)
    return run_jobs(options, [f"lm:{name}" for name in missing], options.minutes)


def _making(options: argparse.Namespace, name: str) -> Making:
    from synthetic_instruction_tuner.nano.training.language import Making

    seed = options.seed + list(RECIPES).index(name)
    start = options.start / name if options.start else None
    return Making(RECIPES[name], options.work, options.tokens_scale, seed, start)


def _reward(options: argparse.Namespace, failed: Sequence[str]) -> list[str]:
    try:
        from synthetic_instruction_tuner.nano.training.reward import phase as reward_phase

        if needed := {f"lm:{name}" for name in reward_phase.MODELS} & {*failed}:
            raise RuntimeError(f"no reward model without the answers of {', '.join(sorted(needed))}")
        reward_phase.run(options, run_jobs)
    except Exception:  # the language models are done and must still be packed
        traceback.print_exc()
        return ["reward"]
    return []


def _job(options: argparse.Namespace) -> int:
    kind, name = options.job.split(":")
    if kind != "lm":
        from synthetic_instruction_tuner.nano.training.reward import phase as reward_phase

        work = {"answer": reward_phase.answer, "pretrain": reward_phase.pretrain, "label": reward_phase.make_groups}
        work[kind](options, name)
        return 0
    from synthetic_instruction_tuner.nano.training.language import train_language_model

    making = _making(options, name)
    train_language_model(name, making, options.out / name, device=options.device, minutes=options.minutes)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    """Returns the options with their defaults, `only` as a list; invalid options end the program (code 2)."""
    import torch

    parser = _parser()
    options = parser.parse_args(argv)
    options.only = list(dict.fromkeys(name.strip() for name in options.only.split(",") if name.strip()))
    if unknown := set(options.only) - set(nano.NAMES):
        parser.error(f"no such model: {', '.join(sorted(unknown))}; there are {', '.join(nano.NAMES)}")
    options.only = options.only or list(nano.NAMES)
    if options.start and not options.start.is_dir():
        parser.error(f"--start: there is no folder {options.start}")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch finds no GPU; with --device cpu, use a small --tokens-scale")
    if options.device == "auto":
        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    options.minutes = options.minutes or (GPU_MINUTES if options.device == "cuda" else math.inf)
    options.work = options.work or options.out / "work"
    if not options.job and (mistake := workfolder.claim(options)):
        parser.error(mistake)
    return options


def _positive(kind: type[int] | type[float], most: float = sys.float_info.max) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not 0 < (value := kind(text)) <= most:
            raise argparse.ArgumentTypeError(f"{text}: must be a number above 0")
        return value

    parse.__name__ = kind.__name__  # argparse shows this name if the text is not a number
    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m synthetic_instruction_tuner.nano.training.train", description=__doc__
    )
    add: Callable[..., object] = parser.add_argument
    add("--out", type=Path, required=True, help="folder for the models' folders")
    add(
        "--work",
        type=Path,
        help="folder of tokenized text and sampled answers (default: OUT/work)",
    )
    add("--device", default="auto", choices=("auto", "cpu", "cuda"))
    add("--only", default="", help="comma-separated model names (default: all)")
    add("--tokens-scale", type=_positive(float), default=1.0, help="factor on all amounts of training data (1)")
    add("--workers", type=_positive(int), default=os.cpu_count() or 1, help="processes that write and label text")
    add("--seed", type=int, default=0)
    add(
        "--start",
        type=Path,
        help="folder of models to continue from (language models at half the learning rate)",
    )
    add(
        "--minutes",
        type=_positive(float, math.inf),
        help=f"time limit of the language models' training, and of the reward model's "
        f"(default: {GPU_MINUTES:.0f} on a GPU, none on a CPU)",
    )
    add("--epochs", type=_positive(float), default=10.0, help="passes of the reward model over its groups (10)")
    add("--pack", type=Path, help="also write the models as archives below 15 MB into this folder")
    add("--job", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
