"""``sit agent-eval``: what it prints and writes, interruptions, and bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Sit = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    rows = [
        {
            "description": f"What is the number of {k}?",
            "add_description": "The name of this table is t, and the headers of this table are a,b.",
            "type": ["other"] if k else ["INSERT"],
            "label": [str(k)],
            "answer_md5": "[('x',)]",
            "table": {
                "table_name": "t",
                "table_info": {"columns": [{"name": "a"}, {"name": "b"}], "rows": [["1", "2"]]},
            },
        }
        for k in range(3)
    ]
    file = tmp_path / "tasks.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def test_it_plays_writes_and_continues(sit: Sit, tasks: Path, tmp_path: Path) -> None:
    line = f"agent-eval nano:student-llama --tasks {tasks} --max-new-tokens 24"
    code, out, error = sit(f"{line} -o out")
    assert code == 0, error
    assert "DBBench" in out and "Mean of the three" in out
    dialogues = tmp_path / "out" / "dialogues.jsonl"
    results = (tmp_path / "out" / "agent_results.json").read_bytes()
    whole = dialogues.read_bytes()
    # Killed in the middle of a line: the same command plays what is missing and ends with the same files.
    dialogues.write_bytes(whole[: len(whole) // 2])
    assert sit(f"{line} -o out")[0] == 0
    assert (tmp_path / "out" / "agent_results.json").read_bytes() == results
    code, out, _ = sit(f"{line} -o out --json")
    assert code == 0
    assert json.loads(out)["n"] == 3
    code, out, _ = sit(f"{line} --task db-0001 --show")
    assert code == 0
    assert "[user]" in out and "What is the number of 1?" in out and "db-0001 not solved" in out


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("--task db-9999", "There is no task db-9999."),
        ("--mysql postgres://x", "address cannot be read"),
        ("--mysql SIT_NO_SUCH_VARIABLE", "SIT_NO_SUCH_VARIABLE is not set."),
        ("--mysql mysql:///?unix_socket=/nowhere/s.sock", "The database server cannot be used."),
    ],
)
def test_mistakes_are_told_before_a_model_is_loaded(
    sit: Sit, tasks: Path, tmp_path: Path, extra: str, says: str
) -> None:
    code, out, error = sit(f"agent-eval nano:student-llama -t {tasks} -o out {extra}")
    assert (code, out) == (2, "")
    assert says in error
    assert not (tmp_path / "out").exists()


def test_a_password_in_the_servers_address_is_never_shown(
    sit: Sit, tasks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER", "mysql://root:hidden-word@127.0.0.1:1")
    for named in ("SERVER", "mysql://root:hidden-word@127.0.0.1:1"):
        code, out, error = sit(f"agent-eval nano:student-llama -t {tasks} --mysql {named}")
        assert code == 2
        assert "hidden-word" not in out + error
