"""``sit doctor MODEL``: embedded, local and unreachable models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from random_models import byte_tokenizer
from synthetic_instruction_tuner.checks import check_languages
from synthetic_instruction_tuner.cli import app
from synthetic_instruction_tuner.config import load_config
from synthetic_instruction_tuner.planning import estimate, planned_pairs

Sit = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Sit:
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = app._exit_code([str(a) for a in arguments])
        return code, *capsys.readouterr()

    return call


def test_the_embedded_generator_is_usable(sit: Sit) -> None:
    code, out, _ = sit("doctor", "nano:generator")
    assert code == 0 and "16 instructions out of nothing" in out and "Usable as a generator" in out
    for name in ("empty", "role-leak", "answering instead of asking", "duplicate", "truncated", "<user>", "<end>"):
        assert name in out


def test_a_random_model_in_a_folder_is_not(sit: Sit, random_qwen2: Path) -> None:
    short = ("--set", "generate.instruction.max_new_tokens=8")
    code, out, _ = sit("doctor", random_qwen2, *short, "--json")
    found = json.loads(out)
    assert code == 1 and not found["ready"] and found["health"]["faults"]["truncated"] > 8
    assert len(found["instructions"]) == found["health"]["probes"] == 16
    assert found["template"]["before the user's message"] == repr("<|im_start|>user\n")
    code, out, _ = sit("doctor", random_qwen2, *short)
    assert code == 1 and "does not write usable instructions" in out and "truncated" in out
    code, out, _ = sit("doctor", random_qwen2, *short, "--set", "generate.min_healthy=0", "--probes", 9, "--json")
    assert code == 0 and json.loads(out)["health"]["probes"] == 9


def test_what_cannot_be_tried_is_said(sit: Sit, random_qwen2: Path, tmp_path: Path) -> None:
    code, _, err = sit("doctor", "no/such-model")
    assert code == 2 and "Model no/such-model cannot be loaded" in err
    code, _, err = sit("doctor", "nano:nothing")
    assert code == 2 and "cannot be loaded" in err
    code, _, err = sit("doctor", "nano:reward")
    assert code == 2 and "cannot be loaded" in err
    folder = tmp_path / "bare"
    folder.mkdir()
    for file in random_qwen2.iterdir():
        if file.name != "chat_template.jinja":
            (folder / file.name).write_bytes(file.read_bytes())
    byte_tokenizer(None).save_pretrained(folder)
    code, _, err = sit("doctor", folder)
    assert code == 2 and "no chat template" in err


def test_languages_that_the_filter_would_drop_stop_the_run(sit: Sit, tmp_path: Path) -> None:
    code, _, err = sit("generate", "--set", "generate.language=de", "-d", tmp_path / "r")
    assert code == 2 and "filter.language is en" in err and "filter.language=de" in err
    for options, ok in (
        (["generate.language=de", "filter.language=de"], True),
        (["generate.language=German", "filter.language=de"], True),
        (["generate.language=de", "filter.language=''"], True),
        (["generate.language=Klingon"], True),  # nobody can say
        (["generate.domains={coding: {language: fr}}"], False),
        (["generate.domains={coding: {language: en}}", "generate.language=fr"], True),
    ):
        assert check_languages(load_config(overrides=options)).ok == ok, options


def test_the_plan_knows_goals_and_turns() -> None:
    from synthetic_instruction_tuner.hardware import detect

    hardware = detect("cpu")
    plain, goal = load_config(), load_config(overrides=["generate.until_kept=100"])
    assert planned_pairs(plain) == 1500 and planned_pairs(goal) == 147
    assert planned_pairs(load_config(overrides=["generate.until_kept=1500"])) == 1500
    turns = load_config(overrides=["generate.turns=3"])
    assert estimate(goal, hardware)[0].seconds < estimate(plain, hardware)[0].seconds
    assert estimate(turns, hardware)[0].seconds > 2 * estimate(plain, hardware)[0].seconds
    assert load_config(overrides=["generate.until_kept=100"], limit=7).generate.until_kept == 7
    assert load_config(limit=7).generate.until_kept is None
