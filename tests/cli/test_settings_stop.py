"""Mistakes in options and settings: every verb stops with exit code 2 and one message, before anything is written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from synthetic_instruction_tuner.cli import app
from synthetic_instruction_tuner.config import languages
from synthetic_instruction_tuner.filtering.rules.language import Language

Refused = Callable[..., str]
RUNS = (["run"], ["run", "--until", "prefer"], ["generate"], ["plan"], ["doctor"])
DEVICES = (["engine.device=cuda"], ["filter.contamination.files=[no.jsonl]"], ["generate.language=de"])


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIT_DEBUG", raising=False)

    def call(*arguments: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        capsys.readouterr()
        code = app._exit_code(list(arguments))
        out, error = capsys.readouterr()
        assert (code, out) == (2, ""), (code, out, error)
        assert "Traceback" not in error and "unexpected" not in error
        assert "fix: " in error and "why: " in error
        assert sorted(tmp_path.rglob("*")) == before
        return error

    return call


@pytest.mark.parametrize("verb", RUNS)
def test_every_verb_refuses_wrong_settings(refused: Refused, verb: list[str]) -> None:
    Path("my.yaml").write_text("limit: abc\nfilter:\n  min_wrods: 3\nseed: 1\nseed: 2\n")
    error = refused(*verb, "-c", "my.yaml", "--set", "filter.min_words=true", "--set", "profile=t5")
    assert "There are 5 mistakes." in error
    for said in (
        "'limit' has an invalid value (my.yaml, line 1)",
        "'filter.min_wrods' (my.yaml, line 3)",
        "The key 'seed' is there twice",
        "lines 4 and 5",
        "'filter.min_words' has an invalid value (--set filter.min_words=true)",
        "--profile NAME",
    ):
        assert said in error


@pytest.mark.parametrize("text", ["abc", "0", "-3", "1e3", "1_000", "5.0", "", "9" * 30, "true"])
def test_a_limit_that_is_none(refused: Refused, text: str) -> None:
    refused("run", "--limit", text)
    refused("plan", "--set", f"limit={text}")


@pytest.mark.parametrize("verb", ("plan", "run"))
def test_what_a_run_refuses_is_found_before_it(refused: Refused, verb: str) -> None:
    error = refused(verb, *(f"--set={text}" for setting in DEVICES for text in setting))
    assert "There are 3 mistakes." in error
    assert "no.jsonl does not exist" in error and "GPU" in error and "filter.language=de" in error


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("engine.device=gpu", "Did you mean 'cuda'?"),
        ("train.sft.lr=1e-4", "Did you mean 'train.sft.learning_rate'?"),
        ("train.sft.lora.rank=8", "Did you mean 'train.sft.lora.r'?"),
        ("evaluate.benchmarks=[]", "It must have at least one entry"),
        ("evaluate.benchmarks=nano_mmlu", "It must be a list"),
        ("filter=5", "It must be a section"),
        ("generate.language=[en]", "It must be a text"),
    ],
)
def test_a_mistake_is_told_in_words_of_the_user(refused: Refused, setting: str, said: str) -> None:
    assert said in refused("plan", "--set", setting)


def test_an_empty_profile_is_not_the_default_one(refused: Refused) -> None:
    assert "There is no profile ''." in refused("plan", "--profile", "")


def test_stages_in_the_wrong_order(refused: Refused) -> None:
    assert "nothing would run" in refused("run", "--from", "report", "--until", "filter")
    error = refused("run", "--from", "reprot", "--until", "Prompt-Tuning")
    assert "--from report?" in error and "--until prompt_tuning?" in error


@pytest.mark.parametrize(
    "folder",
    ["", " ", "/proc/x", "file/below", "/dev/null/x", "n" * 300, "x/" * 3000, "file", "inner/data", "~nobody-x/a"],
)
def test_a_folder_that_cannot_be_one(refused: Refused, folder: str) -> None:
    Path("file").write_text("mine")
    Path("inner").mkdir()
    Path("inner/run.sqlite").touch()
    assert len(refused("run", "--run-dir", folder).splitlines()) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(refused: Refused) -> None:
    Path("mine").mkdir(mode=0o555)
    assert "cannot be written" in refused("run", "--run-dir", "mine/run")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--set", "filter.min_words"], "cannot be parsed"),
        (["--set", "=3"], "cannot be parsed"),
        (["--set", "filter.=3"], "cannot be parsed"),
        (["--set", "filter.keep="], "whole number"),
        (["--set", "seed=1", "--set", "seed=2"], "is given twice"),
        (["--set", "limit=3", "--limit", "5"], "The limit is given twice"),
        (["--set", "filter={keep: 1, keep: 2}"], "twice"),
        (["--set", "filter.min_words=9", "--set", "filter.max_words=3"], "min_words (9) is larger"),
        (["--set", "filter.tags.min_quality=3"], "need a model"),
        (["--set", "generate.language=Germann"], "did you mean German?"),
        (["--set", "generate.language=klingonish"], "no language"),
        (["--set", "filter.language=dee"], "did you mean de?"),
        (["--set", "filter.language=xx"], "no language"),
        (["--set", "engine.device=cuda:7"], "Did you mean 'cuda'?"),
        (["--set", "filter.drop_truncated=yes"], "Write true."),
        (["--set", "filter.min_words=1_000"], "Write 1000."),
        (["--set", "models.generator=a\0b"], "NUL"),
        (["--profile", "nanno"], "Use --profile nano."),
        (["--config", ""], "empty text"),
        (["--config", "/dev/zero"], "a device or a pipe"),
    ],
)
def test_each_mistake_is_named(refused: Refused, arguments: list[str], part: str) -> None:
    assert part in refused("plan", *arguments)


def test_other_options(refused: Refused) -> None:
    Path("a.jsonl").write_text('{"instruction": "a", "response": "b"}\n')
    for text in ("nan", "0", "2", "-1", "x"):
        refused("dedup", "a.jsonl", "-o", "out", "--threshold", text)
    for verb in ("dedup", "filter"):
        refused(verb, "a.jsonl", "-o", "")
        refused(verb, "a.jsonl", "-o", "a.jsonl/x")
    refused("doctor", "nano:generator", "--probes", "1" + "0" * 30)


def test_nothing_after_set_is_the_empty_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert app._exit_code(["plan", "--settings", "--set", "filter.language="]) == 0
    assert '"language": ""' in capsys.readouterr().out


def test_the_languages_are_those_of_the_detector() -> None:
    detector = Language("en", 0.5)._detector
    known = {str(row["lang"]) for row in detector.detect("a", model="lite", k=1000)}
    assert languages.detectable() == known
    assert not known & set(languages.UNDETECTED)


@pytest.mark.parametrize("name", ["de", "German", "german", "Brazilian Portuguese", "Basque", "zu", "Scottish Gaelic"])
def test_languages_to_write_in(name: str) -> None:
    assert languages.language_name(name)
    assert languages.language_code(name)


@pytest.mark.parametrize("template", ["/dev/zero", "fifo.jinja", "a.txt", "nothing.jinja"])
def test_a_chat_template_that_is_no_template(refused: Refused, template: str) -> None:
    os.mkfifo("fifo.jinja")
    Path("a.txt").write_text("text")
    for verb in ("plan", "run"):
        refused(verb, "--set", f"models.generator={{path: nano:generator, chat_template: {template}}}")


def test_odd_keys_and_profiles(refused: Refused) -> None:
    refused("plan", "--set", "9" * 5000 + "=1")
    for value in ("false", '""', "[nano]"):
        Path("c.yaml").write_text(f"profile: {value}\n")
        assert "There is no profile" in refused("plan", "--config", "c.yaml")


def test_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = (
        f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); from {app.__name__} import main; main(['plan'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and "is gone" in done.stderr
