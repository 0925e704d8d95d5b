"""All notebooks are executed top to bottom, in one run folder, in an order that is not theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from notebook_kernel import NAMES, choose, execute, kernel, outputs, read, seconds, texts

pytestmark = pytest.mark.xdist_group("notebooks")

# The first of them finds an empty folder, and all need what others make: each runs what is missing up to its stage.
ORDER = [
    "03_quality_filtering",
    "06_dpo_training",
    "01_setup",
    "05_sft_training",
    "05b_prompt_tuning",
    "02_magpie_generation",
    "04_preference_generation",
    "09_comparative_analysis",
    "07_benchmark_evaluation",
    "08_agent_evaluation",
]
SETTINGS = [
    "engine.threads=1",
    "models.responders=[nano:responder-llama, nano:responder-qwen2]",
    "models.students=[nano:student-llama]",
    "generate.instruction.max_new_tokens=48",
    "generate.response.max_new_tokens=64",
    "filter.min_words=3",
    "prefer.sampling.max_new_tokens=48",
    "train.sft.num_train_epochs=1",
    "train.sft.logging_steps=1",
    "train.prompt_tuning.num_train_epochs=1",
    "train.dpo.num_train_epochs=1",
    "train.dpo.logging_steps=1",
    "evaluate.nano_ifeval={items: 8, max_new_tokens: 12}",
    "evaluate.nano_mmlu.items=8",
    "evaluate.nano_mt={items: 8, max_new_tokens: 12}",
    "agents.benchmarks=[nano_db]",
    "agents.items=2",
    "agents.max_new_tokens=24",
]
MOST_SECONDS = 90  # of processor time, for a notebook
FIGURES = {  # pictures that each notebook shows
    "02_magpie_generation": 1,
    "03_quality_filtering": 1,
    "04_preference_generation": 1,
    "05_sft_training": 1,
    "05b_prompt_tuning": 1,
    "06_dpo_training": 2,
    "07_benchmark_evaluation": 2,
    "09_comparative_analysis": 1,
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelManager]:
    with kernel(tmp_path_factory.mktemp("notebooks")) as manager:
        yield manager


def small(name: str) -> NotebookNode:
    return choose(read(name), LIMIT=16, SETTINGS=SETTINGS)


def test_the_order_names_every_notebook() -> None:
    assert sorted(ORDER) == NAMES


@pytest.mark.parametrize("name", ORDER)
def test_a_notebook_runs_from_top_to_bottom(name: str, python: KernelManager) -> None:
    before = seconds(python)
    done = execute(small(name), python)
    assert seconds(python) - before < MOST_SECONDS
    found = outputs(done)
    assert [out.text for out in found if out.output_type == "stream" and out.name == "stderr"] == []
    said = texts(done)
    assert "\x1b" not in said and "\r" not in said, "control codes"
    assert "Profile nano" in said
    assert len(said) < 20_000
    assert sum("image/png" in out.get("data", {}) for out in found) == FIGURES.get(name, 0)
    runs = [cell for cell in done.cells if cell.cell_type == "code" and "run_until(" in cell.source]
    for cell in runs:
        shown = [out for out in cell.outputs if "text/html" in out.get("data", {})]
        assert len(shown) == 1, "a run is one output, drawn again in place"
        assert "<progress" not in shown[0].data["text/html"], "the bar of a task that has ended"
    tables = sum("<table" in out.get("data", {}).get("text/html", "") for out in found)
    assert tables >= 1 or name == "08_agent_evaluation"


def test_a_cell_that_fails_stops_the_test(python: KernelManager) -> None:
    broken = small("02_magpie_generation")
    del broken.cells[1:]
    broken.cells.append(new_code_cell("1 / 0"))
    with pytest.raises(CellExecutionError, match="division by zero"):
        execute(broken, python)


def test_a_mistake_in_the_first_cell_is_three_lines(python: KernelManager) -> None:
    mistaken = choose(read("01_setup"), PROFILE="nanoo")
    del mistaken.cells[2:]
    with pytest.raises(CellExecutionError):
        execute(mistaken, python)
    [error] = [out for out in outputs(mistaken) if out.output_type == "error"]
    assert error.traceback == [
        "There is no profile 'nanoo'.",
        "  why: Profiles: a100, cpu, h200, l4, nano, t4.",
        "  fix: Use --profile nano.",
    ]


def test_a_drive_is_only_on_colab(python: KernelManager, tmp_path: Path) -> None:
    elsewhere = choose(read("01_setup"), DRIVE=True)
    del elsewhere.cells[2:]
    with pytest.raises(CellExecutionError, match="There is no Google Drive here"):
        execute(elsewhere, python)
