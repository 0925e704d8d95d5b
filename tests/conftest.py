"""Shared fixtures: offline environment, random models of each architecture, the embedded nano models."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # as the command line does, before anything is imported
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads starve the other workers
if threads := os.environ.get("SIT_TEST_THREADS"):
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = threads  # before torch is imported
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it in its workers
sys.path.insert(0, str(Path(__file__).parent))

import pytest
from hypothesis import settings

from random_models import write_model


def take_own_cores() -> None:
    """Leaves a worker of pytest-xdist, and what it starts, its share of the cores.

    Else PyTorch takes all of them in each worker: for models as small as those here, two threads take half as much
    processor time again as one, and no less time.
    """
    worker, count = os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if worker.startswith("gw") and hasattr(os, "sched_setaffinity"):
        number, cores = int(worker[2:]), sorted(os.sched_getaffinity(0))
        if share := cores[number * len(cores) // count : (number + 1) * len(cores) // count]:
            os.sched_setaffinity(0, share)


take_own_cores()  # before torch is imported
# No test depends on how fast the machine is. What lands is decided with the same examples each time, not by chance.
settings.register_profile("any_machine", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("any_machine")

pytest_plugins = ["whole_runs"]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Searches for no cycles while all is imported: there is nothing to find, and it takes a sixth of that time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(scope="module", autouse=True)
def lasting_objects_are_set_apart() -> None:
    """Keeps libraries and collected tests out of the searches for cycles: each model's release makes several."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def random_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama chat model with random weights."""
    return write_model(tmp_path_factory.mktemp("models") / "llama", "llama")


@pytest.fixture(scope="session")
def random_mistral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Mistral chat model with random weights."""
    return write_model(tmp_path_factory.mktemp("models") / "mistral", "mistral")


@pytest.fixture(scope="session")
def random_qwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Qwen2 chat model with random weights."""
    return write_model(tmp_path_factory.mktemp("models") / "qwen2", "qwen2")


@pytest.fixture(scope="session")
def random_reward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer DeBERTa-v2 reward model with random weights."""
    return write_model(tmp_path_factory.mktemp("models") / "reward", "deberta")
