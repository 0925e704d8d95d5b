"""The command line: exit codes, where text goes, how fast it starts."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from synthetic_instruction_tuner import __version__
from synthetic_instruction_tuner.cli import app
from synthetic_instruction_tuner.cli.options import run_folder
from synthetic_instruction_tuner.config import load_config, profile_names
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.pipeline import stage_names
from synthetic_instruction_tuner.run.store import Store

VERBS = [
    "run",
    "plan",
    "status",
    "doctor",
    "generate",
    "filter",
    "dedup",
    "prefer",
    "train",
    "evaluate",
    "compare",
    "report",
    "slides",
    "chat",
    "export",
    "pack",
    "unpack",
    "push",
]
Sit = Callable[..., tuple[int, str, str]]
HEAVY = {"pandas", "torch", "transformers", "trl", "peft", "datasets", "lm_eval", "matplotlib", "pyarrow", "scipy"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIT_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def sit(capsys: pytest.CaptureFixture[str]) -> Sit:
    """Calls the command line in this process; returns exit code, standard output and standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = app._exit_code(list(arguments))
        return code, *capsys.readouterr()

    return call


def fresh(*arguments: str, command: str = "main()") -> tuple[int, str, str, float, set[str]]:
    """Runs the command in a new process; returns also its CPU seconds and the modules that it imported.

    CPU seconds, because a busy machine hardly changes them; starting waits for nothing. Compiled modules are kept, as
    they are for users: only the first start of all compiles them.
    """
    probe = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('MODULES', *sorted(sys.modules), file=sys.stderr))\n"
        f"from synthetic_instruction_tuner.cli.app import _exit_code, main; {command}"
    )
    start = _child_seconds()
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    line = [sys.executable, "-c", probe, *arguments]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, env=env)
    seconds = _child_seconds() - start
    error, _, modules = done.stderr.rpartition("MODULES")
    return done.returncode, done.stdout, error, seconds, set(modules.split())


def _child_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


# Starting


def bare() -> float:
    """CPU seconds of a process that only imports what any command line of this kind needs."""
    start = _child_seconds()
    subprocess.run([sys.executable, "-c", "import typer, rich.console, rich.table, rich.progress"], check=True)
    return _child_seconds() - start


def in_time(first: float, limit: float, bares: int, again: Callable[[], float]) -> bool:
    """Whether one of six starts takes less than the limit, or than so many bare ones; some are slowed by others."""
    if first < limit:
        return True
    limit = max(limit, bares * min(bare() for _ in range(3)))
    return first < limit or any(again() < limit for _ in range(5))


def test_help_starts_within_half_a_second_and_imports_nothing_heavy() -> None:
    code, out, error, seconds, modules = fresh("--help")
    assert (code, error) == (0, "")
    assert all(f"  {verb} " in out for verb in VERBS)
    assert not any(line.endswith("...") for line in out.partition("Commands:")[2].splitlines()), (
        "a verb's first sentence is cut off"
    )
    assert (HEAVY | {"numpy", "pydantic", "yaml", "sqlite3", "huggingface_hub"}) & modules == set()
    own = {name for name in modules if name.startswith("synthetic_instruction_tuner.")}
    assert not any(name.split(".")[1] in ("run", "config", "engines", "filtering", "reporting") for name in own)
    assert in_time(seconds, 0.5, 2, lambda: fresh("--help")[3])


@pytest.mark.skipif(os.path.exists("/usr/bin/nvidia-smi"), reason="asking about a GPU takes torch")
def test_a_plan_takes_less_than_two_seconds_and_no_torch() -> None:
    code, out, error, seconds, modules = fresh("plan", "--profile", "a100")
    assert (code, error) == (0, "")
    assert HEAVY & modules <= {"scipy"}  # says what a subset of a benchmark can show
    assert in_time(seconds, 2, 14, lambda: fresh("plan", "--profile", "a100")[3])  # it takes about ten
    profiles = profile_names()
    every = "sys.exit(max(_exit_code(['plan', '--profile', name]) for name in sys.argv[1:]))"
    code, out, error, _, modules = fresh(*profiles, command=every)
    assert (code, error) == (0, "")
    plans = re.split("^Profile ", out, flags=re.MULTILINE)[1:]
    assert [plan.split(":")[0] for plan in plans] == list(profiles)
    for plan in plans:
        assert all(stage in plan for stage in stage_names()) and "in total" in plan and "GB" in plan
    assert HEAVY & modules <= {"scipy"}


def test_a_mistake_is_told_without_importing_anything_heavy() -> None:
    code, out, error, seconds, modules = fresh("run", "--set", "fliter.min_words=3")
    assert (code, out) == (2, "")
    assert error.splitlines()[0] == "There is no setting 'fliter'."
    assert (HEAVY | {"numpy"}) & modules == set()
    assert in_time(seconds, 2, 8, lambda: fresh("run", "--set", "fliter.min_words=3")[3])


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "synthetic_instruction_tuner", "--version"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"sit {__version__}\n", "")


# Help


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(sit: Sit, verb: str) -> None:
    for option in ("--help", "-h"):
        code, out, error = sit(verb, option)
        assert (code, error) == (0, "")
        assert out.startswith(f"Usage: sit {verb}")
    assert "[None]" not in out and "TEXT]..." not in out


def test_no_arguments_show_the_help(sit: Sit) -> None:
    code, out, error = sit()
    assert code in (0, 2) and "Usage: sit" in out + error


def test_the_version(sit: Sit) -> None:
    assert sit("--version") == (0, f"sit {__version__}\n", "")


def test_main_ends_with_the_exit_code() -> None:
    with pytest.raises(SystemExit) as caught:
        app.main(["plan", "--profile", "none"])
    assert caught.value.code == 2


# Mistakes


@pytest.mark.parametrize(
    "arguments",
    [
        ("nosuchverb",),
        ("plan", "--nosuchoption"),
        ("plan", "--set"),
        ("plan", "surplus"),
        ("train",),
        ("train", "rlhf"),
        ("chat", "--variant", "gpt"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_on_standard_error(sit: Sit, arguments: tuple[str, ...]) -> None:
    code, out, error = sit(*arguments)
    assert (code, out) == (2, "")
    assert "Error" in error and "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("plan", "-p", "t5"), "There is no profile 't5'"),
        (("plan", "-c", "none.yaml"), "none.yaml cannot be read"),
        (("plan", "--set", "filter.min_wrods=3"), "There is no setting 'filter.min_wrods'"),
        (("plan", "--set", "filter.min_words=x"), "The setting 'filter.min_words' has an invalid value"),
        (("doctor", "--set", "x"), "cannot be parsed"),
        (("status",), "There is no run in runs/nano"),
        (("status", "-d", "nowhere"), "There is no run in nowhere"),
        (("compare", "-d", "nowhere"), "There is no run in nowhere"),
        (("chat", "-d", "nowhere"), "There is no run in nowhere"),
        (("run", "--set", "models.reward=nano:none"), "The run cannot start: reward model none"),
    ],
)
def test_a_mistake_is_three_lines_on_standard_error(sit: Sit, arguments: tuple[str, ...], part: str) -> None:
    code, out, error = sit(*arguments)
    assert (code, out) == (2, "")
    lines = error.splitlines()[-3:]
    assert part in lines[0]
    assert lines[1].startswith("  why: ") and lines[2].startswith("  fix: ")
    assert "Traceback" not in error and "\x1b" not in error
    assert not Path("runs").exists(), "a mistake left a folder"


def test_an_unknown_stage_names_the_stages(sit: Sit) -> None:
    for option in ("--until", "--from"):
        code, _, error = sit("run", option, "trian", "-d", "r")
        assert code == 2
        assert "There is no stage 'trian'" in error and "generate, filter, prefer, sft" in error
        assert not Path("r").exists()


def test_a_run_folder_that_is_a_file(sit: Sit) -> None:
    Path("file").write_text("mine")
    for arguments in (("run",), ("generate",), ("doctor",)):
        code, _, error = sit(*arguments, "-d", "file")
        assert code == 2 and "file is not a folder" in error
    for verb in ("status", "compare", "chat"):
        assert sit(verb, "-d", "file")[0] == 2
    assert Path("file").read_text() == "mine"


def test_debug_shows_where_it_happened(sit: Sit) -> None:
    for arguments in (("--debug", "plan", "-p", "t5"), ("plan", "-p", "t5", "--debug")):
        code, out, error = sit(*arguments)
        assert (code, out) == (2, "")
        assert "Traceback" in error and "loading.py" in error
        assert error.splitlines()[-3].startswith("There is no profile")
        os.environ.pop("SIT_DEBUG", None)
    assert "Traceback" not in sit("plan", "-p", "t5")[2]


@pytest.mark.parametrize(
    ("raised", "code", "first"),
    [
        (UserError("p", "c", "f"), 2, "p"),
        (RunError("p", "c", "f"), 1, "p"),
        (OSError(28, "No space left on device", "/x"), 1, "The disk is full."),
        (PermissionError(13, "Permission denied", "/x"), 2, "/x may not be read or written."),
        (ZeroDivisionError("division\nby [bold]zero[/]"), 1, "Something unexpected went wrong: ZeroDivisionError."),
        (KeyboardInterrupt(), 130, "Interrupted. Finished work is kept; run the same command again to continue."),
    ],
)
def test_whatever_is_raised_becomes_lines_and_a_code(
    sit: Sit, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, first: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("synthetic_instruction_tuner.cli.plan.estimate", fail)
    got, out, error = sit("plan")
    assert (got, out) == (code, "")
    assert error.splitlines()[0] == first
    assert "Traceback" not in error
    assert code == 130 or len(error.splitlines()) == 3


# Plans


@pytest.mark.parametrize("profile", profile_names())
def test_a_plan_as_json(sit: Sit, profile: str) -> None:
    code, out, error = sit("plan", "-p", profile, "--json", "--limit", "5")
    assert (code, error) == (0, "")
    plan = json.loads(out)
    assert [s["stage"] for s in plan["stages"]] == stage_names()
    assert plan["config"]["generate"]["count"] == 5
    assert all(s["seconds"] >= 0 and s["memory_gb"] > 0 for s in plan["stages"])


def test_the_settings_of_a_plan_are_a_configuration_file(sit: Sit) -> None:
    _, out, _ = sit("plan", "-p", "a100", "--set", "filter.min_words=3", "--settings")
    Path("mine.yaml").write_text(out)
    assert load_config(file=Path("mine.yaml")) == load_config("a100", overrides=["filter.min_words=3"])
    assert sit("plan", "-c", "mine.yaml", "--settings")[1] == out


def test_a_plan_writes_nothing(sit: Sit) -> None:
    sit("plan")
    sit("plan", "--json")
    assert list(Path().iterdir()) == []


# Status


def begun(root: Path) -> RunFolder:
    folder = RunFolder(root)
    root.mkdir(parents=True)
    folder.config.write_text(load_config(limit=4).as_json())
    store = Store.open(folder.store)
    store.begin_stage("generate", "some key", {})
    store.add_time("generate", 65.0, 1.25)
    store.close()
    return folder


def test_the_status_of_a_run_that_has_begun(sit: Sit) -> None:
    begun(Path("runs/nano"))
    code, out, error = sit("status")
    assert (code, error) == (0, "")
    assert all(stage in out for stage in stage_names())
    assert "1 min 05 s" in out and "1.2 GB" in out and "Next: generate" in out
    stages = json.loads(sit("status", "--json")[1])
    assert [s["stage"] for s in stages] == stage_names()
    assert stages[0]["seconds"] == 65.0 and stages[1]["status"] is None


def test_status_while_another_process_writes(sit: Sit) -> None:
    folder = begun(Path("runs/nano"))
    store = Store.open(folder.store)
    with folder.hold():
        assert sit("status")[0] == 0
    store.close()


def test_a_second_run_in_the_same_folder_is_refused(sit: Sit) -> None:
    folder = begun(Path("runs/nano"))
    before = folder.config.read_bytes()
    with folder.hold():
        code, _, error = sit("run", "--quiet")
    assert code == 2 and "in use" in error
    assert folder.config.read_bytes() == before


def test_where_a_run_goes() -> None:
    assert run_folder(load_config("t4"), None).root == Path("runs/t4")
    assert run_folder(load_config("t4", limit=3), None).root == Path("runs/t4-limit3")
    assert run_folder(load_config("t4"), Path("x")).root == Path("x")


def test_the_doctor_says_a_fix_once_and_how_much_is_downloaded(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, out, _ = sit("doctor", "--profile", "a100")
    words = " ".join(out.split())
    assert code == 1 and words.count("Connect to the Hub") == 1
    assert "To download for 9 models: about 96.5 GB" in words
    sizes = "models.students=[Qwen/Qwen2.5-0.5B]"
    _, out, _ = sit("doctor", "--set", sizes, "--set", "models.reward={path: a/b, parameters: 1e9}")
    assert "To download for 2 models: about 2.0 GB; the size of 1 of them is not known" in " ".join(out.split())


def test_a_model_s_table_fits_a_narrow_terminal(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = sit("doctor", "nano:generator", "--probes", "2")
    shares = [line.split()[:3] for line in out.splitlines() if "%" in line]
    assert ["role-leak", "0", "0%"] in shares and ["usable", "2", "100%"] in shares
