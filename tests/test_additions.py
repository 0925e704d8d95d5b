"""What docs/architecture.md promises: something new needs the files that are listed there, and no other."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from additions import BENCHMARK, ENGINE, METHOD, REPORT_FIELD, RULE, Addition, copied_package, run_from

pytestmark = pytest.mark.xdist_group("additions")  # they share a run

MOST_FILES = {"toy_greeting": 2, "toy_queries": 6}
SETTINGS = """
models:
  responders: [nano:responder-llama, nano:responder-qwen2]
  students: [nano:student-llama]
generate: {batch: 8, instruction: {max_new_tokens: 48}, response: {max_new_tokens: 64}}
filter: {min_words: 3, toy_exclamations: 2}
prefer: {batch: 8, sampling: {max_new_tokens: 48}}
train:
  sft: {num_train_epochs: 1, per_device_train_batch_size: 4}
  prompt_tuning: {students: none}
  toy_queries: {num_train_epochs: 1, per_device_train_batch_size: 4, rank: 3}
  dpo: {num_train_epochs: 1, per_device_train_batch_size: 4}
evaluate: {benchmarks: [nano_mmlu, toy_greeting], nano_mmlu: {items: 8}, toy_greeting: {items: 4}}
agents: {benchmarks: []}
"""


@pytest.mark.parametrize("addition", (BENCHMARK, METHOD, RULE, ENGINE, REPORT_FIELD), ids=lambda a: a.section)
def test_the_list_is_complete_and_short(addition: Addition) -> None:
    listed = addition.listed()
    assert sorted(listed) == sorted(addition.edits), "the toy is made of the listed files, and of all of them"
    assert len(listed) <= MOST_FILES.get(addition.name, 6)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with a toy benchmark, a toy method, a toy rule and a toy field of the report."""
    return copied_package(tmp_path_factory.mktemp("added") / "src", BENCHMARK, METHOD, RULE, REPORT_FIELD)


@pytest.fixture(scope="module")
def folder(source: Path) -> Path:
    """A whole run with them."""
    settings, folder = source.parent / "toy.yaml", source.parent / "run"
    settings.write_text(SETTINGS)
    done = run_from(source, "run", "-c", settings, "--limit", 12, "-d", folder)
    assert done.returncode == 0, done.stderr
    return folder


def comparison(folder: Path) -> list[dict[str, str]]:
    with (folder / "evaluation/metrics/comparison_summary.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_toy_benchmark_is_evaluated_compared_and_reported(source: Path, folder: Path) -> None:
    rows = [row for row in comparison(folder) if row["benchmark"] == "toy_greeting"]
    assert [row["variant"] for row in rows] == ["base", "sft", "dpo", "toy_queries"]
    assert all(row["metric"] == "short" and row["n"] == "4" and row["headline"] == "True" for row in rows)
    assert "toy_greeting" in (folder / "docs/report.md").read_text(encoding="utf-8")
    shown = run_from(source, "compare", "-d", folder)
    assert shown.returncode == 0 and "toy_greeting" in shown.stdout


def test_a_changed_setting_of_the_toy_benchmark_asks_again_and_nothing_else(source: Path, folder: Path) -> None:
    settings = folder.parent / "toy.yaml"
    before = {row["variant"]: row["value"] for row in comparison(folder) if row["benchmark"] == "nano_mmlu"}
    loose = (
        "run",
        "-c",
        settings,
        "--limit",
        12,
        "-d",
        folder,
        "--until",
        "evaluate",
        "--set",
        "evaluate.toy_greeting.most_characters=100000",
    )
    done = run_from(source, *loose)
    assert done.returncode == 0, done.stderr
    rows = comparison(folder)
    assert {row["value"] for row in rows if row["benchmark"] == "toy_greeting"} == {"1"}
    assert {row["variant"]: row["value"] for row in rows if row["benchmark"] == "nano_mmlu"} == before


def test_a_toy_method_is_trained_evaluated_drawn_and_planned(source: Path, folder: Path) -> None:
    adapter = folder / "models/toy_queries/student-llama/final"
    assert json.loads((adapter / "adapter_config.json").read_text())["r"] == 3
    metrics: dict[str, Any] = json.loads((folder / "evaluation/metrics/toy_queries.json").read_text())
    assert metrics["method"] == "toy_queries" and metrics["students"][0]["student"] == "student-llama"
    assert "LoRA on queries" in (folder / "docs/report.md").read_text(encoding="utf-8")
    plan = run_from(source, "plan", "--json")
    stages = [stage["stage"] for stage in json.loads(plan.stdout)["stages"]]
    assert "toy_queries" in stages and stages.index("toy_queries") < stages.index("evaluate")
    assert "queries" in run_from(source, "train", "--help").stdout
    asked = run_from(source, "chat", "-d", folder, "--variant", "toy_queries", "--help")
    assert asked.returncode == 0


def test_a_toy_rule_judges_and_is_reported(source: Path, folder: Path) -> None:
    report = json.loads((folder / "data/filtered/filter_report.json").read_text(encoding="utf-8"))
    assert "toy_exclamations" in json.dumps(report)
    row = json.dumps({"instruction": "Say it three times.", "response": "Yes! Yes! Yes! I shout it as loud as I can."})
    mine = folder.parent / "mine.jsonl"
    mine.write_text(row + "\n")
    told = run_from(
        source, "filter", mine, "-o", folder.parent / "out", "--set", "filter.min_words=1", "--set",
        "filter.toy_exclamations=2",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "toy_exclamations" in (folder.parent / "out/dropped.jsonl").read_text(encoding="utf-8")


def test_a_toy_field_is_in_the_report(folder: Path) -> None:
    assert "Toy: 12 records were generated." in (folder / "docs/report.md").read_text(encoding="utf-8")
    assert "Toy: 12 records were generated." in (folder / "docs/report.html").read_text(encoding="utf-8")


def test_a_toy_engine_is_chosen_and_answers(tmp_path: Path) -> None:
    source = copied_package(tmp_path / "src", ENGINE)
    code = (
        "from synthetic_instruction_tuner.config import EngineConfig, ModelConfig\n"
        "from synthetic_instruction_tuner.engines.base import Request\n"
        "from synthetic_instruction_tuner.engines.opening import open_engine\n"
        "from synthetic_instruction_tuner.models.hardware import detect\n"
        "model, config = ModelConfig(path='nano:generator'), EngineConfig(kind='toy')\n"
        "with open_engine(model, config, detect('cpu')) as (engine, _):\n"
        "    print(engine.generate([Request((5, 6, 7), 0, 2, ())])[0].token_ids)\n"
    )
    done = run_from(source, code=code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(5, 6)"
    plan = run_from(source, "plan", "--set", "engine.kind=toy")
    assert plan.returncode == 0, plan.stderr
