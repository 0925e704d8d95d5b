"""``sit score bfcl``: what it prints, what it leaves out, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Sit = Callable[[str], tuple[int, str, str]]
FUNCTION = {
    "name": "math.area",
    "description": "d",
    "parameters": {
        "type": "dict",
        "properties": {"base": {"type": "integer"}, "unit": {"type": "string"}},
        "required": ["base"],
    },
}


def write(file: Path, rows: Sequence[Any]) -> Path:
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def test_answers_are_scored_by_category(sit: Sit, tmp_path: Path) -> None:
    def question(name: str) -> dict[str, Any]:
        return {"id": name, "question": [[{"role": "user", "content": "q"}]], "function": [FUNCTION]}

    data, simple = tmp_path / "data/bfcl", "BFCL_v4_simple_python.json"
    write(data / simple, [question(f"simple_python_{k}") for k in range(4)])
    truth = [{"id": f"simple_python_{k}", "ground_truth": [{"math.area": {"base": [k]}}]} for k in range(4)]
    write(data / "possible_answer" / simple, truth)
    write(data / "BFCL_v4_irrelevance.json", [question("irrelevance_0")])
    answers = [{"id": f"simple_python_{k}", "result": f"[math.area(base={k % 3})]"} for k in range(4)]
    write(tmp_path / "results/BFCL_v4_simple_python_result.json", answers)
    line = f"score bfcl {tmp_path / 'results'} --data-dir {data.parent}"
    code, out, error = sit(line)
    assert code == 0, error
    assert "0.7500" in out and "simple_python_3: parameter base is 0" in out and "left out: irrelevance" in out
    write(tmp_path / "results/irrelevance.json", [{"id": "irrelevance_0", "result": "No."}])
    code, out, _ = sit(f"{line} --json")
    scores = {row["metric"]: row["value"] for row in json.loads(out)["scores"]}
    assert scores["mean_category_accuracy"] == pytest.approx(0.875) and scores["solved_irrelevance"] == 1.0
    write(tmp_path / "results/irrelevance.json", [{"id": "irrelevance_7", "result": "No."}])
    code, _, error = sit(line)
    assert code == 2 and "irrelevance_7" in error
    write(tmp_path / "results/irrelevance.json", [{"id": "irrelevance_0", "result": "No."}])
    write(tmp_path / "results/BFCL_v4_simple_python_result.json", answers[:3])
    code, _, error = sit(line)
    assert code == 2 and "There is none to simple_python_3." in error
    code, out, _ = sit(f"{line} --partial")
    assert code == 0 and "1 task without an answer does not count." in out
    write(tmp_path / "results/BFCL_v4_multi_turn_base_result.json", [{"id": "multi_turn_base_0", "result": [["x"]]}])
    code, out, _ = sit(f"{line} --partial")
    assert code == 0 and "are skipped: BFCL_v4_multi_turn_base_result.json." in out
    code, out, _ = sit(f"{line} --partial --json")
    assert code == 0 and len(json.loads(out)["skipped"]) == 1
    code, _, error = sit(f"score bfcl {tmp_path / 'results'}")
    assert code == 2 and "not on this machine" in error
