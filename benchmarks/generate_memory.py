"""Measures the peak memory of stage generate for several numbers of records. It should not grow with them.

The whole stage runs: requests, texts, batches in the store, JSON and Parquet. Its engine draws random tokens and runs
no model, so only the memory of the stage itself is measured. Each size runs in a separate process.

    python benchmarks/generate_memory.py [RECORDS ...]      # default: 5,000, 20,000 and 100,000

Measured on two x86 cores: 356 MB before the stage; at the peak 481 MB with 5,000 records and 490 MB with 100,000.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIZES = (5_000, 20_000, 100_000)
TOKENS = (30, 120)  # of an instruction and of a response, about


class RandomEngine:
    """Draws tokens at random; what a request gets depends on its seed alone."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids, self.calls = ids, 0

    def generate(self, requests: Sequence[Any], done: Any = None) -> list[Any]:
        """Returns a completion for each request."""
        from synthetic_instruction_tuner.engines.base import Completion

        length = TOKENS[self.calls % 2]  # instructions and responses in turn
        self.calls += 1
        if done is not None:
            done(len(requests))
        return [Completion(tuple(random.Random(r.seed).choices(self.ids, k=length)), "stop") for r in requests]

    def close(self) -> None:
        """Nothing to free."""


def measure(records: int, folder: Path) -> dict[str, float]:
    """Runs the stage once and returns seconds, peak memory and file sizes in MB."""
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.config import ModelConfig, load_config
    from synthetic_instruction_tuner.models.hardware import detect
    from synthetic_instruction_tuner.models.loading import load_tokenizer
    from synthetic_instruction_tuner.run.folder import RunFolder
    from synthetic_instruction_tuner.run.pipeline import run_pipeline
    from synthetic_instruction_tuner.run.progress import Display
    from synthetic_instruction_tuner.run.stages.stage import Context

    tokenizer = load_tokenizer(ModelConfig(path="nano:generator"))
    template = ChatTemplate.from_tokenizer(tokenizer)
    ids = [i for i in range(len(tokenizer)) if i not in set(tokenizer.all_special_ids)]

    @contextmanager
    def engine(ctx: Context, model: ModelConfig, adapter: Path | None = None) -> Iterator[Any]:
        yield RandomEngine(ids), template

    Context.engine = engine  # type: ignore[method-assign]
    config = load_config(overrides=[f"generate.count={records}", "generate.min_healthy=0"])
    place, start = RunFolder(folder), time.perf_counter()
    hardware = detect("cpu")
    before = _peak()
    run_pipeline(config, place, Display(quiet=True), hardware, until="generate")
    return {
        "seconds": time.perf_counter() - start,
        "before_mb": before,
        "peak_mb": _peak(),
        "store_mb": place.store.stat().st_size / 1e6,
        "json_mb": place.raw.stat().st_size / 1e6,
        "parquet_mb": place.raw.with_suffix(".parquet").stat().st_size / 1e6,
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    """Prints the table."""
    if sys.argv[1:2] == ["--one"]:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(int(sys.argv[2]), Path(folder))))
        return
    sizes = [int(text.replace(",", "")) for text in sys.argv[1:]] or list(SIZES)
    print("| records | seconds | memory before, MB | peak memory, MB | store, MB | JSON, MB | Parquet, MB |")
    print("|---|---|---|---|---|---|---|")
    for size in sizes:
        command = [sys.executable, __file__, "--one", str(size)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = json.loads(output.splitlines()[-1])
        cells = [found[name] for name in ("seconds", "before_mb", "peak_mb", "store_mb", "json_mb", "parquet_mb")]
        print(f"| {size:,} | " + " | ".join(f"{cell:,.0f}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
