"""Another language of the report: its documents are written anew, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pptx import Presentation

from whole_runs import Sit

DOCUMENTS = ("docs/", "evaluation/figures/", "data/README.md", "config.json", "run.sqlite")


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): (file.stat().st_mtime_ns, file.read_bytes()) for file in files}


def test_another_language_writes_the_documents_alone(finished: Path, sit: Sit, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    before = contents(folder)
    code, _, err = sit("report", "-d", folder, "--set", "report.language=ko")
    assert code == 0, err
    after = contents(folder)
    changed = {name for name in after if before.get(name) != after[name]}
    assert {name for name in changed if not name.startswith(DOCUMENTS)} == set()
    assert json.loads(after["config.json"][1])["report"]["language"] == "ko"
    page = after["docs/report.md"][1].decode()
    assert page.startswith("# 합성 데이터 지시 튜닝\n") and "## 6 논의" in page
    assert '<html lang="ko">' in after["docs/report.html"][1].decode()
    assert "## 라이선스" in after["data/README.md"][1].decode()
    slides = Presentation(str(folder / "docs/presentation.pptx")).slides
    assert any("학생 모델" in (slide.shapes.title.text_frame.text) for slide in slides)
    notes = [line.rpartition(" | ")[2] for line in page.splitlines() if line.startswith(("| filter |", "| sft |"))]
    assert notes and "loss" not in page.partition("## 부록: 단계\n")[2].partition("## 부록: 설정")[0]
