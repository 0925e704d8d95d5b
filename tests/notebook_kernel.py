"""Executes notebooks as their readers do: in a kernel, top to bottom, each with an empty namespace."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import psutil
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent.parent / "notebooks"
PATIENCE = 600  # seconds for a cell, on a machine that does much else
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def read(name: str) -> NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def setup_cell(notebook: NotebookNode) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.cell_type == "code")


def choose(notebook: NotebookNode, **values: object) -> NotebookNode:
    """Sets variables of the first cell, as a reader would."""
    cell = setup_cell(notebook)
    for name, value in values.items():
        line = f"{name} = {value!r}"
        cell.source, count = re.subn(rf"^{name} = .*$", lambda _, line=line: line, cell.source, flags=re.MULTILINE)
        assert count == 1, f"the first cell sets {name} {count} times"
    return notebook


@contextmanager
def kernel(folder: Path) -> Iterator[KernelManager]:
    """A kernel that works in a folder; one for many notebooks, as importing torch takes seconds."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(
        cwd=str(folder), env=os.environ | {"SIT_DEBUG": "", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    )
    try:
        yield manager
    finally:
        manager.shutdown_kernel(now=True)


def seconds(manager: KernelManager) -> float:
    """The processor time of a kernel so far, which does not depend on what else the machine does."""
    return sum(psutil.Process(manager.provisioner.process.pid).cpu_times()[:2])


def execute(notebook: NotebookNode, manager: KernelManager) -> NotebookNode:
    """Executes all cells and returns the notebook with their outputs; the first cell that fails raises."""
    reset: Any = nbformat.v4.new_code_cell("%reset -f\nimport gc\ngc.collect();")
    notebook.cells.insert(0, reset)
    NotebookClient(notebook, km=manager, timeout=PATIENCE, startup_timeout=PATIENCE, store_widget_state=False).execute()
    notebook.cells.pop(0)
    return notebook


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def texts(notebook: NotebookNode) -> str:
    """Everything that the outputs say in plain text."""
    return "\n".join(out.get("text") or out.get("data", {}).get("text/plain", "") for out in outputs(notebook))
