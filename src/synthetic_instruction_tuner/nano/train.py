"""Trains the nano models: ``python -m synthetic_instruction_tuner.nano.train --out DIR``.

The seven language models train side by side, each in a process of its own, on one GPU or spread over several (one after
the other on a CPU). The reward model comes after them (``--only reward``), since it learns from their answers. A model
that fails does not stop the others; every phase keeps to its ``--minutes`` by bringing the learning rate down early.
A folder of work is for one seed and one amount of text: what is there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tarfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from synthetic_instruction_tuner import nano
from synthetic_instruction_tuner.nano import corpus
from synthetic_instruction_tuner.nano.recipes import RECIPES

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
        from synthetic_instruction_tuner.nano import reward_phase

        reward_phase.forget(options.work)
        prepare_corpus(options, language)
        failed += run_jobs(options, [f"lm:{name}" for name in language], options.minutes)
    if "reward" in names:
        failed += _reward(options)
    if options.pack:
        pack(options.out, [name for name in names if (options.out / name).is_dir()], options.pack)
    print(f"[train] all done in {time.perf_counter() - began:.0f} s; failed: {failed or 'none'}", flush=True)
    return 1 if failed else 0


def prepare_corpus(options: argparse.Namespace, names: Sequence[str]) -> None:
    """Writes the tokenizer and the token pools that these models need, unless they are there.

    Where all language models are trained, the tokenizer is learned anew; otherwise it must remain the others'.
    """
    began = time.perf_counter()
    file = options.work / "tokenizer.json"
    if not file.exists() and set(names) != set(RECIPES):
        shutil.copyfile(nano.path("generator") / "tokenizer.json", file)
    elif not file.exists():
        tokenizer = corpus.learn_tokenizer(options.seed, int(60_000 * min(1.0, max(options.tokens_scale, 0.02))))
        tokenizer.save(str(file))
        print(f"[corpus] tokenizer of {tokenizer.get_vocab_size()}: {time.perf_counter() - began:.0f} s", flush=True)
    recipes = [RECIPES[name] for name in names]
    corpus.make_pools(options.work, recipes, file, options.tokens_scale, options.workers, options.seed)


def run_jobs(options: argparse.Namespace, jobs: Sequence[str], minutes: float) -> list[str]:
    """Runs jobs in processes of their own and returns those that failed.

    On GPUs they run at once. On a CPU they run one after the other, each with the share of the minutes that are left
    that its work has in what is left. A job that outlives its minutes by two is killed.
    """
    if options.device == "cuda":
        places = spread(jobs, _gpus())
        return _wait({job: _start(options, job, minutes, places[job]) for job in jobs}, minutes + 2)
    failed, end = [], time.monotonic() + 60 * minutes
    for number, job in enumerate(jobs):
        share = _cost(job) / sum(_cost(other) for other in jobs[number:])
        each = max(0.05, share * (end - time.monotonic()) / 60)
        failed += _wait({job: _start(options, job, each)}, each + 2)
    return failed


def spread(jobs: Sequence[str], gpus: Sequence[str]) -> dict[str, str]:
    """Returns a GPU for each job: the largest job first, always to the GPU with the least to do so far."""
    load = dict.fromkeys(gpus, 0.0)
    places = {}
    for job in sorted(jobs, key=_cost, reverse=True):
        places[job] = min(load, key=lambda gpu: load[gpu])
        load[places[job]] += _cost(job)
    return places


def pack(out: Path, names: Sequence[str], folder: Path) -> list[Path]:
    """Writes the models into as few archives as stay below `PACK_LIMIT`, and returns these."""
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


def _reward(options: argparse.Namespace) -> list[str]:
    try:
        from synthetic_instruction_tuner.nano import reward_phase

        reward_phase.run(options, run_jobs)
    except Exception:  # the language models are done: they must still be packed
        traceback.print_exc()
        return ["reward"]
    return []


def _job(options: argparse.Namespace) -> int:
    kind, name = options.job.split(":")
    if kind != "lm":
        from synthetic_instruction_tuner.nano import reward_phase

        work = {"answer": reward_phase.answer, "pretrain": reward_phase.pretrain, "label": reward_phase.make_groups}
        work[kind](options, name)
        return 0
    from synthetic_instruction_tuner.nano.language import train_language_model

    train_language_model(
        name,
        RECIPES[name],
        options.work,
        options.out / name,
        scale=options.tokens_scale,
        seed=options.seed + list(RECIPES).index(name),
        device=options.device,
        minutes=options.minutes,
        start=options.start / name if options.start else None,
    )
    return 0


def _cost(job: str) -> float:
    kind, name = job.split(":")
    return RECIPES[name].flops if kind == "lm" else 20.0 if kind == "pretrain" else 1.0  # of jobs that run together


def _gpus() -> list[str]:
    import torch

    count = torch.cuda.device_count()
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return [gpu.strip() for gpu in visible.split(",")][:count]
    return [str(number) for number in range(count)]


def _start(options: argparse.Namespace, job: str, minutes: float, gpu: str | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "synthetic_instruction_tuner.nano.train", "--job", job]
    for flag in ("out", "work", "device", "seed", "tokens_scale", "workers"):
        command += [f"--{flag.replace('_', '-')}", str(getattr(options, flag))]
    if options.start:
        command += ["--start", str(options.start)]
    # Several processes compile at once; with the default of one compiler thread per core they get in each other's way.
    threads = {"OMP_NUM_THREADS": "2", "TORCHINDUCTOR_COMPILE_THREADS": "2", "PYTHONUNBUFFERED": "1"}
    source = str(Path(__file__).parents[2])
    paths = os.pathsep.join(p for p in (source, os.environ.get("PYTHONPATH")) if p)
    own = {"PYTHONPATH": paths} | ({"CUDA_VISIBLE_DEVICES": gpu} if gpu else {})
    return subprocess.Popen([*command, "--minutes", str(minutes)], env=threads | os.environ | own)


def _wait(running: dict[str, subprocess.Popen[bytes]], minutes: float) -> list[str]:
    failed = []
    deadline = time.monotonic() + 60 * minutes
    for job, process in running.items():
        try:
            code: int | str = process.wait(max(1.0, deadline - time.monotonic()) if deadline < math.inf else None)
        except subprocess.TimeoutExpired:
            process.kill()
            code = "killed: out of time"
        if code != 0:
            print(f"[train] {job} FAILED ({code})", flush=True)
            failed.append(job)
    return failed


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    """Returns the options with their defaults, `only` as a list; the user's mistakes end the program (code 2)."""
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
        parser.error("--device cuda: PyTorch finds no GPU; with --device cpu, take a small --tokens-scale")
    if options.device == "auto":
        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    options.minutes = options.minutes or (GPU_MINUTES if options.device == "cuda" else math.inf)
    options.work = options.work or options.out / "work"
    if not options.job and (mistake := _claim(options, whole=set(options.only) >= set(RECIPES))):
        parser.error(mistake)
    return options


def _claim(options: argparse.Namespace, whole: bool) -> str | None:
    """Notes in the work folder what it is for; returns what is wrong where it is for something else.

    Args:
        options: of the command.
        whole: all language models are trained, with a tokenizer of their own.
    """
    file = options.work / "settings.json"
    wanted = {"seed": options.seed, "tokens_scale": options.tokens_scale, "tokenizer": "own" if whole else "packaged"}
    if not file.exists():
        if options.work.is_dir() and any(options.work.iterdir()):
            return f"{options.work} holds something else: name another folder with --work, or empty it"
        options.work.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(wanted))
        return None
    found = json.loads(file.read_text())
    if not whole:
        wanted["tokenizer"] = found["tokenizer"]  # part of the models: they go on with the tokenizer that is there
    if wanted == found:
        return None
    there = ", ".join(f"{name} {value}" for name, value in found.items())
    return f"{options.work} is for {there}: name another folder with --work, or empty it"


def _positive(kind: type[int] | type[float], most: float = sys.float_info.max) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not 0 < (value := kind(text)) <= most:
            raise argparse.ArgumentTypeError(f"{text}: must be a number above 0")
        return value

    parse.__name__ = kind.__name__  # argparse names it where the text is no number at all
    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m synthetic_instruction_tuner.nano.train", description=__doc__)
    add: Callable[..., object] = parser.add_argument
    add("--out", type=Path, required=True, help="folder that the models' folders go into")
    add(
        "--work",
        type=Path,
        help="folder of tokenized text and sampled answers, for one seed and scale (default: OUT/work)",
    )
    add("--device", default="auto", choices=("auto", "cpu", "cuda"))
    add("--only", default="", help="comma-separated model names (default: all)")
    add("--tokens-scale", type=_positive(float), default=1.0, help="factor on all amounts of training data (1)")
    add("--workers", type=_positive(int), default=os.cpu_count() or 1, help="processes that write and label text")
    add("--seed", type=int, default=0)
    add(
        "--start",
        type=Path,
        help="folder of models to go on from (language models at half the learning rate)",
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
    sys.exit(main())
