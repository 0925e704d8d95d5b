"""Runs every stage on models of real shape with random weights, to find code that works only for the embedded models.

    python benchmarks/real_shapes.py FOLDER [--tiny] [--limit 24] [--set KEY=VALUE ...]

The script writes a generator in the shape of Llama-3.2-1B, responders and students in the shapes of Llama-3.2-1B and
Qwen2.5-0.5B, and a reward model in the shape of DeBERTa-v3-large, each with a byte-level tokenizer. It then calls `sit
run` with the values of profile a100, and prints the time and memory of each stage. Text from random weights is noise,
so the quality checks are set to let noise pass. `--tiny` shrinks the architectures, to try the script itself on a CPU.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from random_models import LLAMA3, write_model

# hidden, layers, heads, key-value heads, mlp, vocabulary
SHAPES = {
    "llama": (2048, 16, 32, 8, 8192, 128_256),
    "qwen2": (896, 24, 14, 2, 4864, 151_936),
    "deberta": (1024, 24, 16, 16, 4096, 128_100),
}
TINY = {"llama": (64, 2, 4, 2, 96, 512), "qwen2": (64, 2, 4, 2, 96, 512), "deberta": (64, 2, 4, 4, 96, 512)}
SETTINGS: dict[str, Any] = {
    "profile": "a100",
    "engine": {"batch_size": 64},
    "generate": {"min_healthy": 0, "instruction": {"max_new_tokens": 48}, "response": {"max_new_tokens": 64}},
    "filter": {
        "min_words": 0,
        "max_words": 100_000,
        "max_word_repeats": 1000,
        "max_line_repeats": 1000,
        "language": "",
        "near_duplicate_threshold": 1.0,
    },
    "prefer": {"truncated": "allowed", "sampling": {"max_new_tokens": 64}},
    "evaluate": {
        "benchmarks": ["nano_ifeval", "nano_mmlu", "nano_mt"],
        "nano_ifeval": {"items": 12, "max_new_tokens": 48},
        "nano_mmlu": {"items": 12},
        "nano_mt": {"items": 8, "max_new_tokens": 48},
    },
}


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--limit", default="24")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--until", default="report")
    parser.add_argument("--name", default="run", help="the run's folder inside of FOLDER")
    options = parser.parse_args()
    began = time.perf_counter()
    config = options.folder / "config.yaml"
    if not config.exists():
        config.write_text(yaml.safe_dump({**SETTINGS, "models": write_models(options.folder, options.tiny)}))
        print(f"models written: {time.perf_counter() - began:.0f} s", flush=True)
    command = [sys.executable, "-m", "synthetic_instruction_tuner", "run", "--config", str(config)]
    command += ["--run-dir", str(options.folder / options.name), "--limit", options.limit, "--until", options.until]
    for setting in options.settings:
        command += ["--set", setting]
    code = subprocess.run(command, check=False).returncode
    print(f"exit code {code} after {time.perf_counter() - began:.0f} s", flush=True)
    status = [sys.executable, "-m", "synthetic_instruction_tuner", "status", "--run-dir"]
    subprocess.run([*status, str(options.folder / options.name)], check=False)
    return code


def write_models(folder: Path, tiny: bool) -> dict[str, Any]:
    """Writes the models; returns them by role, as the configuration takes them."""
    models = {name: _model(folder, name, TINY if tiny else SHAPES) for name in SHAPES}
    pair = [models["llama"], models["qwen2"]]
    return {"generator": pair[0], "responders": pair, "students": pair, "reward": models["deberta"]}


def _model(folder: Path, name: str, shapes: dict[str, tuple[int, ...]]) -> str:
    hidden, layers, heads, kv_heads, mlp, vocab = shapes[name]
    shape = {"hidden": hidden, "layers": layers, "heads": heads, "kv_heads": kv_heads, "mlp": mlp, "vocab": vocab}
    more = {"template": LLAMA3} if name == "llama" else {}
    return str(write_model(folder / f"random-{name}", name, dtype="bfloat16", **shape, **more))  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
