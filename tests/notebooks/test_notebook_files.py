"""The notebooks' files: the form in which they are kept, short, without traces of a machine, with links that lead."""

from __future__ import annotations

import json
import re
import runpy
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from notebook_kernel import FOLDER, read, setup_cell
from synthetic_instruction_tuner.config import profile_names
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.run.notebooks import colab

ROOT = Path(__file__).parent.parent.parent
DOCS = runpy.run_path(str(ROOT / "docs/notebooks.py"))
NAMES: tuple[str, ...] = DOCS["NAMES"]
each = pytest.mark.parametrize("name", NAMES)


def first_cell() -> str:
    source: str = setup_cell(read(NAMES[0])).source
    return source


def test_there_are_ten_under_their_names() -> None:
    assert sorted(NAMES) == sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    assert len(NAMES) == 10


@each
def test_a_file_is_valid_and_in_the_form_that_is_kept(name: str) -> None:
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    nbformat.validate(json.loads(text))
    assert text == DOCS["normalized"](name), "run: python docs/notebooks.py"


@each
def test_a_notebook_is_short_and_begins_with_its_settings(name: str) -> None:
    cells = read(name).cells
    assert len(cells) <= 10
    assert [cell.cell_type for cell in cells[:2]] == ["markdown", "code"]
    assert cells[0].source.startswith(f"# {name.partition('_')[0].removeprefix('0')}. ")
    assert cells[1].source == first_cell()
    assert [re.sub(" = .*", "", line) for line in cells[1].source.splitlines()[:4]] == [
        "PROFILE",
        "LIMIT",
        "SETTINGS",
        "DRIVE",
    ]
    assert max(len(cell.source.splitlines()) for cell in cells) <= 32


@each
def test_nothing_of_a_machine_is_in_a_notebook(name: str) -> None:
    sources = "\n".join(cell.source for cell in read(name).cells)
    assert not re.search(r"""(?<![\w:/.\]])["'(]?/(?:home|work|root|content|tmp|usr|Users|mnt)\b""", sources)
    assert "github.com" not in sources.replace(DOCS["repository"](), "")


@each
def test_links_lead_somewhere(name: str) -> None:
    prose = "\n".join(cell.source for cell in read(name).cells if cell.cell_type == "markdown")
    targets = re.findall(r"\]\(([^)\s]+)\)", prose)
    own = re.compile(r"https://(?:colab\.research\.google\.com/github|github\.com)/([\w.-]+/[\w.-]+)/blob/main/(.+)")
    assert f"notebooks/{name}.ipynb" in DOCS["badge"](name) and DOCS["badge"](name) in prose
    for target in targets:
        if found := own.fullmatch(target):
            assert DOCS["repository"]().endswith(f"/{found[1]}")
            assert (ROOT / found[2]).exists(), target
        elif not target.startswith("https://"):
            assert (FOLDER / target).exists(), target


def test_each_notebook_leads_to_the_next() -> None:
    for name, following in pairwise(NAMES):
        assert f"]({following}.ipynb)" in read(name).cells[-1].source


def test_the_first_cell_names_every_profile() -> None:
    line = first_cell().splitlines()[0]
    assert [name for name in profile_names() if name not in line] == []


@pytest.mark.parametrize("gpu", (False, True))
@pytest.mark.parametrize("checkout", (False, True))
def test_the_first_cell_installs_what_is_missing(
    gpu: bool, checkout: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on Colab: the package is not there before pip has run."""
    code = TransformerManager().transform_cell(first_cell()).partition("from synthetic_instruction_tuner")[0]
    called: list[tuple[str, str]] = []

    class Shell:
        def run_line_magic(self, magic: str, line: str) -> None:
            called.append((magic, line))

    (tmp_path / "notebooks").mkdir()
    if checkout:
        (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/nvidia-smi" if gpu else None)
    namespace: dict[str, Any] = {"get_ipython": Shell}
    exec(code, namespace)
    [(magic, line)] = called
    assert (magic, line) == ("pip", 'install -q "{requirement}"')
    extra = "[qlora]" if gpu else ""
    expected = f"..{extra}" if checkout else f"synthetic-instruction-tuner{extra} @ git+{DOCS['repository']()}"
    assert namespace["requirement"] == expected


def test_a_package_that_pip_has_replaced_asks_for_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    colab.check_loaded_versions()
    monkeypatch.setattr("numpy.__version__", "1.0.0")
    with pytest.raises(UserError, match=r"numpy 1\.0\.0 is loaded, and .* is installed"):
        colab.check_loaded_versions()
    with pytest.raises(UserError, match="is loaded, and"):  # before anything that needs the package is imported
        exec("from synthetic_instruction_tuner.run.notebooks import Session", {})


@pytest.mark.parametrize("page", ("README.md", "README.ko.md", "docs/notebooks.md"))
def test_pages_show_every_notebook_with_its_badge(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    up = "../" if "/" in page else ""
    for name in NAMES:
        assert f"]({up}notebooks/{name}.ipynb)" in text
        assert DOCS["badge"](name) in text
