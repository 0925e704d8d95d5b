"""Runs the numerical tests as on other processors: with fewer vector instructions, with one and with two threads.

    python tests/processors.py            # every kind that this processor can play, once
    python tests/processors.py avx2       # this one only, with every number of threads

A kernel sums in another order for every vector width and number of threads, so results differ in their last digits. A
test that passes here only by luck fails in one of these runs. PyTorch, oneDNN and MKL choose kernels each for itself,
so all three are told. Without a name each kind is played once, with one thread or with two: luck that holds in every
one of these orders needs no other. `make test` plays this processor itself, with one thread where there are two cores.
What is run and what is skipped is printed; the exit status is that of the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = (
    "tests/training",
    "tests/engines/test_transformers_engine.py",
    "tests/engines/test_conformance.py",
    "tests/nano/test_nano_training.py",
    "tests/nano/test_reward_pretraining.py",
    "tests/preference/test_reward_model.py",
    "tests/evaluation/test_lm_harness.py",
)
NUMERICAL = "not real_server"  # a server compares texts of a model that is sure of every token
THREADS = (1, 2)
LONGEST = 1200  # seconds of one run; it takes two to four minutes on two cores


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of processor.

    Attributes:
        name: as PyTorch calls it in ATEN_CPU_CAPABILITY.
        needs: the flags in /proc/cpuinfo of a processor that can play it.
        onednn, mkl: what oneDNN and MKL call it.
        threads: with how many it is played where no kind is named.
    """

    name: str
    needs: frozenset[str]
    onednn: str
    mkl: str
    threads: int

    def environment(self, threads: int) -> dict[str, str]:
        """Returns the environment in which the libraries take their kernels for it."""
        return os.environ | {
            "ATEN_CPU_CAPABILITY": self.name,
            "ONEDNN_MAX_CPU_ISA": self.onednn,
            "MKL_ENABLE_INSTRUCTIONS": self.mkl,
            "SIT_TEST_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
        }


KINDS = (
    Kind("default", frozenset(), "SSE41", "SSE4_2", 1),
    Kind("avx2", frozenset({"avx2", "fma"}), "AVX2", "AVX2", 2),
    Kind("avx512", frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"}), "AVX512_CORE", "AVX512", 2),
)


def main(names: list[str]) -> int:
    """Runs the kinds of these names, all when there are none; returns 1 when a test failed."""
    if unknown := set(names) - {kind.name for kind in KINDS}:
        print(f"Unknown: {', '.join(sorted(unknown))}. Known: {', '.join(kind.name for kind in KINDS)}.")
        return 2
    here, lines = flags(), []
    for kind in (kind for kind in KINDS if not names or kind.name in names):
        if missing := kind.needs - here:
            lines.append(f"{kind.name:8} skipped: this processor has no {', '.join(sorted(missing))}")
            continue
        lines += [run(kind, threads) for threads in (THREADS if names else (kind.threads,))]
    print("\n".join(["", *lines]))
    return int(any("FAILED" in line for line in lines))


def run(kind: Kind, threads: int) -> str:
    """Runs the tests as one kind of processor; returns a line on how it went."""
    print(f"\n{kind.name}, {threads} thread{'s' * (threads > 1)}", flush=True)
    environment, start = kind.environment(threads), time.monotonic()
    if (played := capability(environment)) != kind.name:
        return f"{kind.name:8} {threads} FAILED: PyTorch plays {played}"
    workers = max(1, (os.cpu_count() or 1) // threads)
    how = ["-n", str(min(workers, 2)), "--dist", "loadgroup", "-k", NUMERICAL]
    command = [sys.executable, "-m", "pytest", *how, *TESTS]
    try:
        code = subprocess.run(command, cwd=ROOT, env=environment, timeout=LONGEST).returncode
    except subprocess.TimeoutExpired:
        return f"{kind.name:8} {threads} FAILED: not finished after {LONGEST} s"
    return f"{kind.name:8} {threads} {'FAILED' if code else 'passed'} in {time.monotonic() - start:.0f} s"


def flags() -> set[str]:
    """Returns the processor's flags, empty where the system does not tell them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split(":")[1].split()}


def capability(environment: dict[str, str]) -> str:
    """Returns what PyTorch takes the processor for."""
    code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    return done.stdout.strip().lower() or done.stderr


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
