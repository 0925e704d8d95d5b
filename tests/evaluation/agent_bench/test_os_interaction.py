"""OS interaction: the protocol word for word, its scores, the shell, and agents that must or must not score."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandboxes import SHARED, SMALL, checkout, sandbox

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End, EnvironmentFailed
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.actions import Action, Kind, read
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.conversation import (
    CUT,
    NOTHING,
    OsConversation,
    prompt,
    shown,
)
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.scoring import matches
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tasks import (
    Match,
    OsTask,
    Script,
    playable,
    read_tasks,
    with_scripts,
)
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Played, Turn, play
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.limits import Limits
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.machine import Machine, Ran
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.shell_output import clean
from synthetic_instruction_tuner.records import Message

Agent = Callable[[OsTask, int, str], str]
PATIENT = Limits(seconds=20)


def bash(command: str) -> str:
    return f"Think: I look.\n\nAct: bash\n\n```bash\n{command}\n```"


def gold(task: OsTask, turn: int, seen: str) -> str:
    """Runs the example as a script, and answers with what it printed; or gives the answer that the rule wants."""
    if task.match:
        return f"Act: answer({task.match.wanted})"
    if turn == 0:
        assert task.example is not None
        return bash(f"bash -c \"$(cat <<'GOLD'\n{task.example.code}\nGOLD\n)\"")
    lines = seen.removeprefix("The output of the OS:").split() if seen != NOTHING else []
    return f"Act: answer({lines[-1]})" if lines else "Act: finish"


def silent(task: OsTask, turn: int, seen: str) -> str:
    return ""


def looping(task: OsTask, turn: int, seen: str) -> str:
    return bash("true")


def format_breaking(task: OsTask, turn: int, seen: str) -> str:
    return "```bash\nls\n```\nanswer(1)"


def finishing(task: OsTask, turn: int, seen: str) -> str:
    return "Act: finish"


def wordy(task: OsTask, turn: int, seen: str) -> str:
    return f"Act: answer({'1' * 1_000_000})"


def played(tasks: Sequence[OsTask], script: Agent, limits: Limits = SMALL) -> list[Played]:
    kind = sandbox("bubblewrap", limits)

    def of(task: OsTask) -> Callable[[Sequence[Sequence[Message]]], list[Turn]]:
        def turns(conversations: Sequence[Sequence[Message]]) -> list[Turn]:
            return [Turn(script(task, (len(m) - 7) // 2, m[-1].content)) for m in conversations]

        return turns

    by_question = {f"{prompt()[-1].content}{task.question}": of(task) for task in tasks}
    assert len(by_question) == len(tasks)

    def agent(conversations: Sequence[Sequence[Message]]) -> list[Turn]:
        return [by_question[messages[6].content]([messages])[0] for messages in conversations]

    found: dict[int, Played] = {}
    for number, one in play(tasks, lambda task: OsConversation(task, kind.open), agent):
        found[number] = one
    return [found[number] for number in range(len(tasks))]


def right(found: Sequence[Played]) -> list[bool]:
    return [one.outcome is not None and one.outcome.right for one in found]


# Gold and negative agents


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> list[OsTask]:
    """The dev set, with scripts that do what AgentBench's do."""
    if not (SHARED / "dev.json").is_file():
        pytest.skip("the OS tasks are not on this machine")
    tasks = read_tasks(SHARED / "dev.json", checkout(tmp_path_factory.mktemp("agentbench")))
    numbered = []
    for number, task in enumerate(tasks):  # two have one question: here each has its own
        numbered.append(OsTask(**{**_fields(task), "question": f"{number}: {task.question}"}))
    return numbered


def _fields(task: OsTask) -> dict[str, object]:
    return {name: getattr(task, name) for name in OsTask.__slots__}


def test_the_gold_agent_solves_every_task_of_the_dev_set(dev: list[OsTask]) -> None:
    if not sandbox("bubblewrap", PATIENT).several_users:
        pytest.skip("this user has no subordinate ids: the sandbox has one user, and some tasks make more")
    outcomes = [one.outcome for one in played(dev, gold, PATIENT)]
    assert [(t.id, o) for t, o in zip(dev, outcomes, strict=True) if o is None or not o.right] == []


@pytest.mark.parametrize("script", [silent, format_breaking, finishing, wordy])
def test_an_agent_that_does_no_work_scores_nothing(script: Agent, dev: list[OsTask]) -> None:
    assert not any(right(played([dev[k] for k in (0, 3, 6, 13, 22)], script)))


def test_tasks_with_their_scripts_inside_need_no_checkout() -> None:
    place = SHARED / "4" / "Q47.json"
    if not place.is_file():
        pytest.skip("the OS tasks are not on this machine")
    tasks = read_tasks(place)
    assert right(played(tasks, gold)) == [True]
    assert right(played(tasks, finishing)) == [False]
    assert right(played(tasks, only_saying)) == [False]


def only_saying(task: OsTask, turn: int, seen: str) -> str:
    """Answers rightly a task whose answer is not all that is asked."""
    return "Act: answer(/home/user1/os/linux/commands/MyPersonalComputer.config)"


# The protocol


def test_the_conversation_begins_with_the_protocols_words() -> None:
    first = prompt()
    assert [message.role for message in first] == ["user", "assistant"] * 3 + ["user"]
    # The hash of AgentBench's texts: one changed character makes it another benchmark.
    text = "\0".join(message.content for message in first)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "309aaa8d92afbbab"


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("Think: x\n\nAct: bash\n\n```bash\nls\n```", Action(Kind.BASH, "ls")),
        ("Act: bash\n```bash\nls\n```\nand\n```bash\npwd\nid\n```", Action(Kind.BASH, "ls\n\npwd\nid")),
        ("```bash\nls\n```\nAct: bash", Action(Kind.BASH, "ls")),
        ("Act: Bash it", Action(Kind.BASH, "")),
        ("Act: bash\n```\nls\n```", Action(Kind.BASH, "")),
        ("Act: bash\n```sh\nls\n```", Action(Kind.BASH, "")),
        ("Act:\n\nfinish", Action(Kind.FINISH)),
        ("Act: FINISHED", Action(Kind.FINISH)),
        ("Act: answer(220)", Action(Kind.ANSWER, "220")),
        ("Act: Answer (a (b) c) so", Action(Kind.ANSWER, "a (b) c")),
        ("Act: answer()", Action(Kind.ANSWER, "")),
        ("Act: answer)(", Action(Kind.ANSWER, "")),
        ("Act: bash\n```bash\nls\n```\nAct: answer(5)", Action(Kind.ANSWER, "5")),
        ("Act: answer(5)\nAct: bash\n```bash\nls\n```", Action(Kind.BASH, "ls")),
        ("Act: answer(5)\nAct: answer 6", Action(Kind.ANSWER, "5")),
        ("Act: finish\nAct: look around", Action(Kind.FINISH)),
        ("Act: answer 6", None),
        ("act: finish", None),
        ("Think: Act", None),
        ("answer(5)", None),
        ("", None),
    ],
)
def test_how_a_turn_is_read(text: str, action: Action | None) -> None:
    assert read(text) == action


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    read(text)
    assert read(f"Act: answer({text})\nAct: finish") == Action(Kind.FINISH)


@given(st.text(max_size=2000))
def test_an_output_is_cut_with_its_words(text: str) -> None:
    told = shown(text)
    if not text:
        assert told == NOTHING
    elif len(text) <= 800:
        assert told == f"The output of the OS:\n\n{text}"
    else:
        assert told == f"The output of the OS:\n\n{text[:780]}{CUT}"


@pytest.mark.parametrize(
    ("rule", "answer", "equal"),
    [
        (Match("no"), " no\n", True),
        (Match("no"), "No", False),
        (Match("no"), "no!", False),
        (Match("no", strip=False), " no", False),
        (Match("^[0-9]+$", pattern=True), " 12 ", True),
        (Match("[0-9]+", pattern=True), "about 12", True),
        (Match("^[0-9]+$", pattern=True, strip=False), " 12 ", False),
    ],
)
def test_rules_for_answers(rule: Match, answer: str, equal: bool) -> None:
    assert matches(rule, answer) is equal


class Scripted(Machine):
    """A machine that does nothing: its scripts print and end as told."""

    def __init__(self, *ends: Ran) -> None:
        self.ran: list[list[str]] = []
        self.typed: list[str] = []
        self.closed = False
        self._ends = list(ends)

    def run(self, argv: Sequence[str]) -> Ran:
        self.ran.append(list(argv))
        return self._ends.pop(0) if self._ends else Ran(0, "")

    def type(self, command: str) -> str:
        self.typed.append(command)
        return ""

    def close(self) -> None:
        self.closed = True


def test_scripts_judge_one_after_the_other_and_each_is_given_what_was_before() -> None:
    check = (Script("bash", "one"), Script("python", "two"), Script("bash", "three"))
    machine = Scripted(Ran(0, "first\n"), Ran(0, "second"), Ran(0, ""))
    one = OsConversation(OsTask("t", "q", check=check), lambda: machine)
    one.take("Act: answer( 7 )")
    assert machine.ran == [
        ["bash", "-c", "one", "--", " 7 "],
        ["python3", "-c", "two", " 7 ", "first\n"],
        ["bash", "-c", "three", "--", " 7 ", "first\n", "second"],
    ]
    assert one.outcome and one.outcome.right
    machine = Scripted(Ran(0, ""), Ran(1, ""))
    one = OsConversation(OsTask("t", "q", check=check), lambda: machine)
    one.take("Act: finish")
    assert one.outcome and not one.outcome.right
    assert [argv[-1] for argv in machine.ran] == ["None", ""]  # the third is not asked


def test_the_order_of_init_shell_and_start() -> None:
    machine = Scripted()
    OsConversation(OsTask("t", "q", (Script("bash", "a"), Script("python", "b")), "cd /x"), lambda: machine)
    assert machine.typed == ["", "cd /x"]
    assert [argv[2].split("\n")[-1] for argv in machine.ran] == ["a", "b"]
    assert machine.ran[0][2].startswith("RANDOM=")  # the same numbers on the next run


def test_a_failing_init_is_an_error_of_the_environment_and_closes_the_machine() -> None:
    machine = Scripted(Ran(3, "no\nspace"))
    with pytest.raises(EnvironmentFailed, match="exit code 3: space"):
        OsConversation(OsTask("t", "q", (Script("bash", "a"),), match=Match("x")), lambda: machine)
    assert machine.closed


@given(st.integers(1, 8))
def test_the_last_turn_must_answer(rounds: int) -> None:
    for last, end in ((bash("ls"), End.TASK_LIMIT), ("Act: answer(x)", End.COMPLETED), ("?", End.INVALID_ACTION)):
        one = OsConversation(OsTask("t", "q", match=Match("x")), Scripted, rounds)
        for _ in range(rounds - 1):
            one.take(bash("ls"))
            assert one.outcome is None
        one.take(last)
        assert one.outcome is not None
        assert (one.outcome.end, one.outcome.right) == (end, end is End.COMPLETED)


# The shell


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    one = sandbox("bubblewrap").open()
    yield one
    one.close()


@pytest.mark.parametrize(
    ("commands", "last"),
    [
        (["cd /usr", "pwd"], "/usr\n"),
        (["x=5; f() { echo $x; }", "f"], "5\n"),
        (["false", "echo $?"], "1\n"),
        (["(exit 7)", "true; echo $?"], "0\n"),
        (["for k in 1 2; do\n  echo $k\ndone\ncat <<E\nlast\nE"], "1\n2\nlast\n"),
        (["printf 'no line feed'"], "no line feed"),
        (["printf '\\033[31mred\\033[0m\\033]0;title\\007\\r\\n'"], "red\n"),
        (["echo a; echo b >&2"], "a\nb\n"),
        (['echo "open'], "bash: unexpected EOF while looking for matching `\"'\n"),
        (["nosuchprogram"], "bash: nosuchprogram: command not found\n"),
        (["echo '$HOME' $HOME; echo é 字"], "$HOME /root\né 字\n"),
        (["exit 3", "echo new"], "new\n"),
        (["exec false", "echo new"], "new\n"),
        (["bash --norc", "echo inner", "exit", "echo outer"], "outer\n"),
        (["sleep 60", "echo later"], "later\n"),
        (["cat", "echo later"], "later\n"),
        (["trap '' INT; sleep 60", "trap - INT; echo later"], "later\n"),
        (["PATH=", "echo builtin; PATH=/usr/bin:/bin"], "builtin\n"),
        (["PS1='$ '; set -u", "echo fine; set +u"], "fine\n"),
        (["sleep 60 &", "jobs | wc -l; kill %1"], "1\n"),
        (["", "echo after nothing"], "after nothing\n"),
    ],
)
def test_the_shell_goes_on(commands: list[str], last: str, machine: Machine) -> None:
    machine.type("cd /")
    told = [machine.type(command) for command in commands]
    assert told[-1] == last


def test_what_was_printed_before_the_time_was_up_is_shown(machine: Machine) -> None:
    assert machine.type("echo begun; sleep 60; echo never") == "begun\n"


def test_a_fresh_program_is_in_the_root_and_its_children_live_on(machine: Machine) -> None:
    ran = machine.run(["bash", "-c", "sleep 50 & pwd; echo $0 $1; exit 4", "--", "given"])
    assert ran == Ran(4, "/\n-- given\n")
    assert machine.run(["bash", "-c", "pgrep -c sleep || true"]).output.strip() == "1"
    assert machine.run(["nosuchprogram"]).code == 127
    assert machine.run(["sleep", "60"]).code == 124
    assert len(machine.run(["bash", "-c", "yes | head -c 1000000"]).output) == SMALL.kept


@given(st.binary(max_size=300))
def test_cleaned_text_has_no_control_characters(data: bytes) -> None:
    assert not set(clean(data)) & ({*range(32), 127} - {9, 10})
    plain = bytes(byte for byte in data if 32 <= byte < 127 or byte in (9, 10))
    assert clean(plain) == plain


def test_a_machine_that_ends_is_an_error_of_the_environment() -> None:
    one = sandbox("bubblewrap").open()
    one.close()
    with pytest.raises(EnvironmentFailed):
        one.type("ls")
    with pytest.raises(EnvironmentFailed, match="cannot be started"):
        Machine(["/nonexistent"], SMALL)
    with pytest.raises(EnvironmentFailed, match="has ended: no such thing"):
        Machine(["bash", "-c", "echo no such thing >&2"], SMALL)


# Files of tasks

GOOD = {"description": "q", "evaluation": {"match": "x"}}


def test_files_of_tasks(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "os_interaction" / "data"
    (folder / "4").mkdir(parents=True)
    (folder / "4" / "Q1.json").write_text(json.dumps(GOOD, indent=1))
    (folder / "4" / "Q2.jsonl").write_text(json.dumps(GOOD) + "\n\n" + json.dumps(GOOD))
    (folder / "dev.json").write_text(json.dumps([GOOD]))
    assert [task.id for task in read_tasks(folder)] == ["os-4-Q1-0000", "os-4-Q2-0000", "os-4-Q2-0001"]
    assert [task.id for task in read_tasks(folder / "dev.json")] == ["os-dev-0000"]


def test_what_a_task_may_hold(tmp_path: Path) -> None:
    file = tmp_path / "tasks.json"
    named = {"language": "python", "file": "check/one.py"}
    rows = [
        GOOD | {"create": {"init": ["a", {"code": "b"}, {"language": "python", "code": "c"}]}, "start": {"code": "d"}},
        GOOD | {"create": [None, named]},  # as in AgentBench's own file
        {"description": "q", "evaluation": {"match": {"regex": "^a", "strip": False}}},
        {"description": "q", "evaluation": {"check": [None, named], "example": "e"}},
        {"description": "q", "evaluation": {"check": {"file": "../../../../etc/passwd"}}},
    ]
    file.write_text(json.dumps(rows))
    scripts = tmp_path / "bench" / "data" / "os_interaction" / "scripts"
    (scripts / "tasks" / "check").mkdir(parents=True)
    (scripts / "tasks" / "check" / "one.py").write_text("one")
    tasks = read_tasks(file, tmp_path / "bench")
    assert [script.code for script in tasks[0].init] == ["a", "b", "c"]
    assert (tasks[0].start, tasks[1].init) == ("d", ())
    assert tasks[2].match == Match("^a", pattern=True, strip=False)
    assert tasks[3].check == (Script("bash", "e"), Script("python", "one"))
    assert tasks[4].lacks == ("../../../../etc/passwd",)
    assert [task.id for task in playable(read_tasks(file))] == ["os-tasks-0000", "os-tasks-0001", "os-tasks-0002"]


def test_a_broken_file_of_tasks_is_named(tmp_path: Path) -> None:
    file = tmp_path / "tasks.json"
    broken = [
        {"description": "q"},
        {"evaluation": {"match": "x"}},
        {"description": 5, "evaluation": {"match": "x"}},
        {"description": "q", "evaluation": {}},
        {"description": "q", "evaluation": {"check": [None]}},
        {"description": "q", "evaluation": {"check": []}},
        {"description": "q", "evaluation": {"match": {"strip": True}}},
        {"description": "q", "evaluation": {"check": {"language": "cobol", "code": "x"}}},
        {"description": "q", "evaluation": {"check": [5]}},
        GOOD | {"create": {"init": {}}},
        "text",
        [1],
    ]
    for row in broken:
        file.write_text(json.dumps([GOOD, row]))
        with pytest.raises(UserError, match="no file of OS interaction tasks") as caught:
            read_tasks(file)
        assert "os-tasks-0001" in caught.value.cause
    for text in ("", "{", "[]", '{"a": 1}\n{'):
        file.write_text(text)
        with pytest.raises(UserError):
            read_tasks(file)
    with pytest.raises(UserError, match="cannot be read"):
        read_tasks(tmp_path / "none.json")
    with pytest.raises(UserError, match="no checkout of AgentBench"):
        read_tasks(file, tmp_path)


def test_tasks_without_their_scripts_are_left_out_and_named() -> None:
    lacking = OsTask("os-a-0001", "q", check=(Script("bash", ""),), lacks=("check/x.py",))
    left, without = with_scripts([OsTask("os-a-0000", "q", match=Match("x")), lacking])
    assert ([task.id for task in left], without) == (["os-a-0000"], ("os-a-0001",))
    with pytest.raises(UserError, match="None of these tasks can be played") as caught:
        with_scripts([lacking])
    assert "check/x.py" in caught.value.cause and "--agentbench" in caught.value.fix
