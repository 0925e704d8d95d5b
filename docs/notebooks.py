"""Brings the notebooks into the form in which they are kept: ``python docs/notebooks.py``.

They are edited as notebooks. This takes away outputs and what editors add, gives cells lasting ids, and writes the
set-up cell of the first notebook and the address of the repository, which is in pyproject.toml, into all of them.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
NAMES = (
    "01_setup",
    "02_magpie_generation",
    "03_quality_filtering",
    "04_preference_generation",
    "05_sft_training",
    "05b_prompt_tuning",
    "06_dpo_training",
    "07_benchmark_evaluation",
    "08_agent_evaluation",
    "09_comparative_analysis",
)
BADGE_IMAGE = "https://colab.research.google.com/assets/colab-badge.svg"
METADATA = {
    "colab": {"provenance": []},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def repository() -> str:
    """Returns the address of the repository."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Repository"])


def badge(name: str) -> str:
    """Returns the badge that opens a notebook in Colab, as Markdown."""
    place = repository().removeprefix("https://github.com/")
    link = f"https://colab.research.google.com/github/{place}/blob/main/notebooks/{name}.ipynb"
    return f"[![Open In Colab]({BADGE_IMAGE})]({link})"


def with_addresses(text: str) -> str:
    """Returns a text whose links into a repository on GitHub lead into this one."""
    place = repository().removeprefix("https://github.com/")
    return re.sub(r"(https://[\w.]*(?:/github|github\.com)/)[\w.-]+/[\w.-]+(?=/blob/main/)", rf"\g<1>{place}", text)


def setup_cell(notebook: NotebookNode) -> NotebookNode:
    """Returns a notebook's first cell of code."""
    return next(cell for cell in notebook.cells if cell.cell_type == "code")


def normalized(name: str) -> str:
    """Returns a notebook's file as it is kept."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    first = setup_cell(nbformat.read(FOLDER / f"{NAMES[0]}.ipynb", as_version=4)).source
    address = f'address = "{repository()}"'
    setup_cell(notebook).source = re.sub(r'address = "[^"]*"', lambda _: address, first)
    notebook.metadata = NotebookNode(METADATA)
    for number, cell in enumerate(notebook.cells, 1):
        cell.id, cell.metadata = f"{name.partition('_')[0]}-{number:02}", NotebookNode()
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.pop("attachments", None)
            source = re.sub(r"\[!\[Open In Colab\]\([^)]*\)\]\([^)]*\)", lambda _: badge(name), cell.source)
            cell.source = with_addresses(source)
    notebook.nbformat_minor = 5
    return nbformat.writes(notebook) + "\n"


if __name__ == "__main__":
    for found in NAMES:
        text = normalized(found)
        (FOLDER / f"{found}.ipynb").write_text(text, encoding="utf-8")
