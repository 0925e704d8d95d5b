"""The verb judge-check, with a judge behind a local endpoint: killed, away, senseless, and whole."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scripted_judge import Gone, ScriptedJudge
from synthetic_instruction_tuner.cli.app import app
from synthetic_instruction_tuner.errors import RunError, UserError

sys.path.insert(0, str(Path(__file__).parent.parent / "evaluation"))

from mt_bench_files import make_folder
from test_judge_checking import WORDS, quality, script

RATES = script(quality)


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., Any]:
    make_folder(tmp_path / "data" / "mt_bench", WORDS)

    def run(server: ScriptedJudge | str, *options: str) -> Any:
        url = server if isinstance(server, str) else server.url
        arguments = ["judge-check", "--judge", "scripted", "--url", url, "-o", str(tmp_path / "out"), "--probed", "4"]
        settings = [f"evaluate.data_dir={tmp_path / 'data'}", "engine.outage=0.2", "engine.max_retries=1"]
        settings += ["engine.concurrency=4"]
        return CliRunner().invoke(app, [*arguments, *(x for s in settings for x in ("--set", s)), *options])

    return run


def test_a_good_judge_is_said_to_be_one(checked: Callable[..., Any], tmp_path: Path) -> None:
    with ScriptedJudge(RATES) as server:
        shown = checked(server)
        asked = len(server.bodies)
        again = checked(server, "--json")
        assert len(server.bodies) == asked  # every reply was kept
    assert shown.exit_code == again.exit_code == 0
    assert "Its ratings can be used. Its comparisons can be used." in shown.output
    found = json.loads(again.output)
    assert found == json.loads((tmp_path / "out" / "judge_check.json").read_text())
    assert (found["judge"], found["reliable"]) == ("scripted", True)


def test_a_judge_that_goes_away_in_the_middle_goes_on_where_it_was(checked: Callable[..., Any]) -> None:
    asked: list[int] = []

    def until_gone(messages: list[dict[str, str]]) -> str:
        asked.append(1)
        if len(asked) > 40:
            raise Gone
        return RATES(messages)

    with ScriptedJudge(until_gone) as server:
        stopped = checked(server)
    assert isinstance(stopped.exception, RunError)
    assert "again" in str(stopped.exception)
    with ScriptedJudge(RATES) as server:
        whole = checked(server)
        new = len(server.bodies)
    assert whole.exit_code == 0
    assert new <= 4 * 32 + 4 * 14 - 40 + 4  # what had come, but for those in flight, is not asked again


@pytest.mark.parametrize(("reply", "said"), [("Das ist gut.", "Das ist gut."), ("", "empty reply")])
def test_a_judge_in_another_language_is_quoted(checked: Callable[..., Any], reply: str, said: str) -> None:
    with ScriptedJudge(lambda _: reply) as server:
        stopped = checked(server)
        assert len(server.bodies) <= 32
    assert isinstance(stopped.exception, RunError)
    assert said in str(stopped.exception)


def test_nobody_there_and_no_files_are_said(checked: Callable[..., Any], tmp_path: Path) -> None:
    with ScriptedJudge(RATES) as server:
        url = server.url
    away = checked(url)
    assert isinstance(away.exception, RunError)
    assert "does not answer" in str(away.exception)
    (tmp_path / "data" / "mt_bench" / "judge_prompts.jsonl").unlink()
    lacking = checked(url)
    assert isinstance(lacking.exception, UserError)
    assert "judge_prompts.jsonl" in str(lacking.exception)
