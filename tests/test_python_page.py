"""Runs docs/python.md as its reader would: each block as it is, in a folder that holds nothing but a run."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from test_docs import PACKAGE, ROOT, blocks

PAGE = ROOT / "docs/python.md"


def run(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_complete_script_goes_from_nothing_to_scores(tmp_path: Path) -> None:
    script = next(text for text in blocks(PAGE, "python") if "MagpieGenerator(" in text)
    printed = run(script, tmp_path)
    assert "Of 64 records," in printed and re.search(r"^16 preference pairs$", printed, re.MULTILINE)
    scores = re.findall(r"^(\w+) +[01]\.\d\d ± 0\.\d\d", printed, re.MULTILINE)
    assert scores == ["base", "sft", "prompt_tuning", "dpo"]
    adapters = sorted(path.parent.parent.name for path in tmp_path.glob("tuned/*/final/adapter_model.safetensors"))
    assert adapters == ["dpo", "prompt_tuning", "sft"]


@pytest.mark.xdist_group("pipeline")  # with the other tests of the finished run
def test_what_a_run_has_made_is_read(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/nano").symlink_to(finished)
    block = next(text for text in blocks(PAGE, "python") if "read_records" in text)
    assert "read" in run(f"{block}\nassert records and not skipped and scores['benchmarks']; print('read')", tmp_path)


def test_each_class_is_where_the_page_says() -> None:
    rows = re.findall(r"^\|[^|]+\| (`.+`) \| `(synthetic_instruction_tuner\.\w+)` \|$", PAGE.read_text(), re.MULTILINE)
    assert len(rows) == 8
    for names, module in rows:
        assert all(hasattr(import_module(module), name) for name in re.findall(r"`(\w+)`", names))


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("__init__.py")), ids=lambda file: file.parent.name)
def test_what_a_package_exports_can_be_imported(file: Path) -> None:
    module = import_module(".".join(("synthetic_instruction_tuner", *file.relative_to(PACKAGE).parts[:-1])))
    names = getattr(module, "__all__", [])
    assert [name for name in names if not hasattr(module, name)] == []
    imported = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("synthetic_instruction_tuner")
        for alias in node.names
    }
    assert imported - {"lazy_names"} <= set(names), "imported for others, but not in __all__"
