"""The way of one record: what docs/architecture.md lists is what a run goes through, and no more than one can read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import synthetic_instruction_tuner

ROOT = Path(__file__).parents[1]
SOURCE = Path(synthetic_instruction_tuner.__file__).parent
MOST_FILES = 35
GENERIC = {"data_files/atomic_writing.py"}  # writes any rows, whatever they are


def listed() -> list[str]:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.split("## From generation to the report: one record\n")[1].split("\n## ")[0]
    return re.findall(r"^\|[a-z ]*\| `([\w/]+\.py)` \|", section, re.MULTILINE)


def test_the_list_is_short_and_its_files_exist() -> None:
    files = listed()
    assert 25 < len(files) <= MOST_FILES and len(set(files)) == len(files)
    assert [file for file in files if not (SOURCE / file).is_file()] == []


def test_what_the_list_says_to_look_for_is_in_the_file() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|[a-z ]*\| `([\w/]+\.py)` \| (.+) \|$", page, re.MULTILINE)
    named = [(file, name) for file, text in rows for name in re.findall(r"`(\w+)`", text)]
    assert len(named) > 30
    sources = {file: (SOURCE / file).read_text(encoding="utf-8") for file, _ in named}
    assert [(f, n) for f, n in named if not re.search(rf"^(class|def) {n}\b", sources[f], re.MULTILINE)] == []


@pytest.mark.xdist_group("pipeline")  # with the other tests of the finished run
def test_every_file_that_is_handed_a_record_is_listed(finished: Path) -> None:
    reached = set(json.loads((finished.parent / "seen.json").read_text()))
    assert "filtering/quality_filter.py" in reached and "training/examples.py" in reached
    assert sorted(reached - set(listed()) - GENERIC) == []
