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


def test_a_database_that_goes_away_ends_the_command_and_loses_nothing(
    sit: Sit, tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synthetic_instruction_tuner.errors import UserError
    from synthetic_instruction_tuner.evaluation.agent_bench.db import choice, embedded
    from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import EnvironmentFailed

    def away(task: object) -> embedded.EmbeddedDatabase:
        if getattr(task, "id", "") == "db-0001":
            raise EnvironmentFailed("it does not answer")
        return embedded.EmbeddedDatabase(task)  # type: ignore[arg-type]

    def check() -> None:
        raise UserError("The database server cannot be used.", "it does not answer", "Start it.")

    line = f"agent-eval nano:student-llama --tasks {tasks} --max-new-tokens 4 -o out"
    with monkeypatch.context() as patch:
        patch.setattr(choice, "choose_databases", lambda mysql: choice.Databases("A server", "SQLite", away, check))
        code, _, error = sit(line)
    assert code == 1 and "The environment of DBBench is gone: A server." in error
    assert not (tmp_path / "out/agent_results.json").exists()
    code, out, error = sit(f"{line} --json")
    assert code == 0, error
    assert (json.loads(out)["n"], json.loads(out)["environment_errors"]) == (3, 0)


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


# OS interaction


@pytest.fixture
def os_tasks(tmp_path: Path) -> Path:
    check = {"check": [None, {"language": "python", "file": "check/integer-match.py"}], "example": "echo 1"}
    rows = [
        {"description": "What is in /x?", "create": {"init": "echo 7 > /x"}, "evaluation": {"match": "7"}},
        {"description": "How many?", "evaluation": check},
        {"description": "Is there a file /y?", "start": "cd /usr", "evaluation": {"match": "no"}},
    ]
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(rows))
    return file


@pytest.fixture
def sandboxed() -> None:
    from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.choosing import NoSandbox, choose

    try:
        choose("", "host")
    except NoSandbox as error:
        pytest.skip(f"no sandbox: {error.cause}")


@pytest.mark.usefixtures("sandboxed")
def test_tasks_of_a_machine_are_played_in_a_sandbox(sit: Sit, os_tasks: Path, tmp_path: Path) -> None:
    line = f"agent-eval nano:student-llama --tasks {os_tasks} --root host --max-new-tokens 16"
    code, out, error = sit(f"{line} -o out")
    assert code == 0, error
    assert "OS interaction" in out and "this machine's programs" in out
    assert "1 tasks are left out" in out and "--agentbench" in out
    results = (tmp_path / "out" / "agent_results.json").read_bytes()
    found = json.loads(results)
    assert (found["n"], found["left_out"], found["accuracy"]) == (2, ["os-mine-0001"], 0.0)
    assert [task["id"] for task in found["tasks"]] == ["os-mine-0000", "os-mine-0002"]
    dialogues = tmp_path / "out" / "dialogues.jsonl"
    whole = dialogues.read_bytes()
    dialogues.write_bytes(whole[: len(whole) // 2])
    assert sit(f"{line} -o out")[0] == 0
    assert (tmp_path / "out" / "agent_results.json").read_bytes() == results
    code, out, _ = sit(f"{line} --task os-mine-0000 --show")
    assert code == 0
    assert "My problem is:" in out and "What is in /x?" in out and "os-mine-0000 not solved" in out
    assert "You are an assistant" not in out  # the instructions are the same for all


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("--task os-mine-0009", "There is no task os-mine-0009."),
        ("--task os-mine-0001", "None of these tasks can be played."),
        ("--sandbox chroot", "--sandbox chroot is not possible."),
        ("--sandbox podman --root host", "There is no sandbox"),
        ("--root /nowhere/at/all", "There are no root files at /nowhere/at/all."),
        ("--agentbench /nowhere/at/all", "no checkout of AgentBench"),
        ("--benchmark shell", "--benchmark shell is not possible."),
        ("--benchmark db", "no file of DBBench tasks"),
    ],
)
def test_mistakes_with_tasks_of_a_machine(sit: Sit, os_tasks: Path, tmp_path: Path, extra: str, says: str) -> None:
    if "task os-mine-0001" in extra or "--root /" in extra:
        from synthetic_instruction_tuner.evaluation.agent_bench.sandbox import choosing

        if not choosing.bubblewrap.found():
            pytest.skip("bubblewrap is not installed")
    code, out, error = sit(f"agent-eval nano:student-llama -t {os_tasks} -o out {extra}")
    assert (code, out) == (2, "")
    assert says in " ".join(error.split())
    assert not (tmp_path / "out").exists()


def test_without_a_sandbox_nothing_runs(
    sit: Sit, os_tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synthetic_instruction_tuner.evaluation.agent_bench.sandbox import choosing

    monkeypatch.setattr(choosing, "KINDS", ("docker", "bubblewrap"))
    monkeypatch.setattr(choosing.containers, "answers", lambda program: "no daemon answers")
    monkeypatch.setattr(choosing.bubblewrap, "found", lambda: "")
    code, out, error = sit(f"agent-eval nano:student-llama -t {os_tasks} -o out")
    assert (code, out) == (2, "")
    told = " ".join(error.split())
    assert "docker: no daemon answers; bubblewrap: not installed" in told and "apt-get install bubblewrap" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--mysql SERVER", "--set agents.mysql="),
        ("--sandbox bubblewrap", "--set agents.sandbox="),
        ("--benchmark os", "Add --tasks."),
        ("--max-new-tokens 7", "--set agents.max_new_tokens="),
        ("--task nano_db-9999", "There is no task nano_db-9999."),
        ("--set agents.benchmarks=[]", "agents.benchmarks is empty"),
        ("--set agents.benchmarks=[dbbench]", "Its tasks are not on this machine."),
        ("--set agents.mysql=mysql://c:3306", "name of an environment variable"),
    ],
)
def test_without_a_file_mistakes_are_told_before_a_model_is_loaded(sit: Sit, line: str, says: str) -> None:
    code, out, error = sit(f"agent-eval nano:student-llama {line}")
    assert (code, out) == (2, "")
    assert says in " ".join(error.split())


# Calls of tools, and BFCL


def test_tools_are_refused_where_the_template_has_none(sit: Sit, tasks: Path) -> None:
    code, out, error = sit(f"agent-eval nano:student-llama -t {tasks} --form tools")
    assert (code, out) == (2, "")
    assert "has no place for tools" in error and "--form text" in error


@pytest.fixture
def bfcl(tmp_path: Path) -> Path:
    function = {"name": "f", "description": "d", "parameters": {"type": "dict", "properties": {}, "required": []}}
    question = {"question": [[{"role": "user", "content": "q"}]], "function": [function]}
    file = tmp_path / "bfcl" / "BFCL_v4_irrelevance.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"id": "irrelevance_0"} | question))
    return file


def test_the_template_chooses_the_form(sit: Sit, bfcl: Path, tmp_path: Path) -> None:
    hermes = (
        "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}<|im_end|>\n{% endif %}{% for m in messages %}"
        "<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>\n"
        '{"name": {{ c.function.name | tojson }}, "arguments": {{ c.function.arguments | tojson }}}\n</tool_call>'
        "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    (tmp_path / "tools.jinja").write_text(hermes)
    model = f"--set models.generator.chat_template={tmp_path / 'tools.jinja'}"
    line = f"agent-eval nano:student-llama -t {bfcl} --max-new-tokens 2 {model} -o out"
    code, out, error = sit(line)
    assert code == 0, error
    assert "BFCL, tool calls" in out
    result = json.loads((tmp_path / "out" / "agent_results.json").read_text())
    assert result["mean_category_accuracy_tool_calls"] == 1.0 and "mean_category_accuracy" not in result
    code, _, error = sit(f"{line} --form text")
    assert code == 2 and "form" in error  # conversations of two forms are never mixed


def test_bfcl_is_played_from_a_folder(sit: Sit, bfcl: Path) -> None:
    code, out, error = sit(f"agent-eval nano:student-llama -t {bfcl.parent} --max-new-tokens 2 --json")
    assert code == 0, error
    result = json.loads(out)
    assert (result["benchmark"], result["n"], result["mean_category_accuracy"]) == ("BFCL", 1, 1.0)
    code, _, error = sit(f"agent-eval nano:student-llama -t {bfcl} --mysql X")
    assert code == 2 and "--mysql does not go with bfcl" in error
