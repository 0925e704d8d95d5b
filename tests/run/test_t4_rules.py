"""A whole small run as on a GPU of compute capability 7.5: the type of every tensor is watched."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from random_models import write_model

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/t4_rules.py"))
SETTINGS: dict[str, Any] = {
    "generate": {"min_healthy": 0, "instruction": {"max_new_tokens": 12}, "response": {"max_new_tokens": 12}},
    "filter": {
        "min_words": 0,
        "max_words": 100_000,
        "max_word_repeats": 1000,
        "max_line_repeats": 1000,
        "language": "",
        "near_duplicate_threshold": 1.0,
    },
    "prefer": {"truncated": "allowed", "min_margin": 0, "sampling": {"max_new_tokens": 8}},
    "evaluate": {
        "benchmarks": ["nano_mmlu"],
        "nano_mmlu": {"items": 2},
    },
}


def test_no_stage_breaks_the_rules_of_a_t4(tmp_path: Path) -> None:
    """The models are stored in bfloat16, as most are; one student is tuned in 16 bits, and one in 4."""
    pytest.importorskip("bitsandbytes", reason="the extra qlora is not installed")
    shape = {"hidden": 64, "mlp": 96, "vocab": 512, "dtype": "bfloat16"}
    llama, qwen = (str(write_model(tmp_path / arch, arch, **shape)) for arch in ("llama", "qwen2"))
    reward = str(write_model(tmp_path / "deberta", "deberta", **shape))
    models = {
        "generator": {"path": qwen, "name": "generator", "load_in_4bit": True},
        "responders": [llama, qwen],
        "students": [{"path": llama, "load_in_4bit": True}, qwen],
        "reward": reward,
    }
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(SETTINGS | {"models": models}))
    last = ("--limit", "12", "--until", "evaluate")
    code, seen = SCRIPT["watched_run"]("-c", str(file), "-d", str(tmp_path / "run"), *last)
    assert code == 0
    assert not seen.broken, seen.report()
    assert seen.types[torch.float16] > 1000
    assert seen.attention
    assert 0 < seen.steps <= seen.unscaled  # all three trainings scale their loss
    metrics = [yaml.safe_load(f.read_text()) for f in (tmp_path / "run/models").glob("*/*/metrics.json")]
    assert [m["dtype"] for m in metrics] == ["float16"] * 5
    assert sorted(m.get("quantized", "") for m in metrics) == ["", "", "nf4", "nf4", "nf4"]
    assert '"weights": "nf4"' in (tmp_path / "run/data/raw/instructions_raw.json").read_text()


def test_the_watcher_sees_what_is_forbidden() -> None:
    half = torch.nn.Parameter(torch.ones(4, dtype=torch.float16))
    half.grad = torch.ones_like(half)
    with SCRIPT["watched"]() as seen:
        torch.ones(3).bfloat16()
        torch.optim.SGD([half], lr=0.1).step()
        with torch.autocast("cpu", torch.bfloat16):
            pass
    broken = " ".join(seen.broken)
    assert "on bfloat16" in broken and "autocast to bfloat16" in broken and "a trained weight" in broken
    with SCRIPT["watched"]() as seen:
        torch.ones(3).half() @ torch.ones(3).half()
        torch.empty(3, dtype=torch.bfloat16, device="meta")
    assert not seen.broken
