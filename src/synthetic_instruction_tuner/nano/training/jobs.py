"""The processes in which nano models are trained: side by side on GPUs, one after the other on a CPU."""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from synthetic_instruction_tuner.nano.training.recipes import RECIPES

GRACE = 2.0  # minutes that a job may take beyond its own
IN_TIME = ("lm", "pretrain")  # kinds of jobs that stop by themselves when their minutes are over


def run_jobs(options: argparse.Namespace, jobs: Sequence[str], minutes: float) -> list[str]:
    """Runs jobs in processes of their own and returns those that failed.

    On GPUs they run at once, and one that exceeds its minutes by two is killed. On a CPU they run one after the other:
    those that can end in time share the remaining minutes in proportion to their work; the others have no limit.

    Args:
        options: of the command.
        jobs: KIND:NAME, such as ``lm:generator``.
        minutes: for all of them.
    """
    if options.device == "cuda":
        places = spread(jobs, _gpus())
        return _wait({job: _start(options, job, minutes, places[job]) for job in jobs}, minutes + GRACE)
    failed, end = [], time.monotonic() + 60 * minutes
    for number, job in enumerate(jobs):
        each = math.inf
        if _kind(job) in IN_TIME:
            share = _cost(job) / sum(_cost(other) for other in jobs[number:] if _kind(other) in IN_TIME)
            each = max(0.05, share * (end - time.monotonic()) / 60)
        failed += _wait({job: _start(options, job, each)}, each + GRACE)
    return failed


def spread(jobs: Sequence[str], gpus: Sequence[str]) -> dict[str, str]:
    """Returns a GPU for each job: the largest job first, each on the GPU with the least work so far."""
    load = dict.fromkeys(gpus, 0.0)
    places = {}
    for job in sorted(jobs, key=_cost, reverse=True):
        places[job] = min(load, key=lambda gpu: load[gpu])
        load[places[job]] += _cost(job)
    return places


def _kind(job: str) -> str:
    return job.split(":")[0]


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
    command = [sys.executable, "-m", "synthetic_instruction_tuner.nano.training.train", "--job", job]
    for flag in ("out", "work", "device", "seed", "tokens_scale", "workers"):
        command += [f"--{flag.replace('_', '-')}", str(getattr(options, flag))]
    if options.start:
        command += ["--start", str(options.start)]
    # Several processes compile at once; with the default of one compiler thread per core they slow each other down.
    threads = {"OMP_NUM_THREADS": "2", "TORCHINDUCTOR_COMPILE_THREADS": "2"} if gpu else {}
    source = str(Path(__file__).parents[3])
    paths = os.pathsep.join(p for p in (source, os.environ.get("PYTHONPATH")) if p)
    own = {"PYTHONPATH": paths} | ({"CUDA_VISIBLE_DEVICES": gpu} if gpu else {})
    return subprocess.Popen(
        [*command, "--minutes", str(minutes)], env={"PYTHONUNBUFFERED": "1"} | threads | os.environ | own
    )


def _wait(running: dict[str, subprocess.Popen[bytes]], minutes: float) -> list[str]:
    failed = []
    deadline = time.monotonic() + 60 * minutes
    try:
        for job, process in running.items():
            try:
                code: int | str = process.wait(max(1.0, deadline - time.monotonic()) if deadline < math.inf else None)
            except subprocess.TimeoutExpired:
                process.kill()
                code = "killed: out of time"
            if code != 0:
                print(f"[train] {job} FAILED ({code})", flush=True)
                failed.append(job)
    finally:  # no job outlives this process
        for process in running.values():
            if process.poll() is None:
                process.kill()
    return failed
