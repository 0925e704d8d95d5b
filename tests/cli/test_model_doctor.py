"""``sit doctor MODEL``: embedded, local and unreachable models."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fake_engine import FakeEngine, sentence
from random_models import byte_tokenizer
from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.cli import app
from synthetic_instruction_tuner.config import load_config
from synthetic_instruction_tuner.engines import opening as loading
from synthetic_instruction_tuner.engines.base import Request
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.run.checks.before_start import check_languages
from synthetic_instruction_tuner.run.planning import estimate, planned_records

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
    assert code == 0 and "16 instructions from the template alone" in out and "Usable as a generator" in out
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


def test_too_few_probes_are_not_judged(sit: Sit) -> None:
    few = ("nano:generator", "--probes", 4, "--set", "generate.instruction.max_new_tokens=1")
    code, out, _ = sit("doctor", *few)
    assert (
        code == 1 and "Too few probes to decide: 0 of 4 are usable; a decision needs 8" in out and "Usable" not in out
    )
    code, out, _ = sit("doctor", *few, "--json")
    assert code == 1 and not json.loads(out)["ready"]


def test_a_model_that_runs_into_another_turn_is_counted(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = byte_tokenizer()

    def write(request: Request) -> str:
        leak = "<|im_start|>assistant\nIt is."
        stopped = tokenizer.convert_tokens_to_ids("<|im_start|>") in request.stop_ids
        return sentence(request.seed) + ("" if stopped else leak)

    @contextmanager
    def opened(*_: object, **__: object) -> Iterator[tuple[FakeEngine, ChatTemplate]]:
        yield FakeEngine(tokenizer, write, lambda text: "length"), ChatTemplate.from_tokenizer(tokenizer)

    monkeypatch.setattr(loading, "open_engine", opened)
    code, out, _ = sit("doctor", "nano:generator", "--json")
    found = json.loads(out)
    assert code == 0 and found["health"]["faults"]["role_leak"] == 16 == found["health"]["usable"]
    assert not any("assistant" in text for text in found["instructions"])


def test_a_served_model_s_weights_need_not_be_here(sit: Sit, random_qwen2: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    for file in random_qwen2.iterdir():
        if "token" in file.name or file.name == "chat_template.jinja":
            (folder / file.name).write_bytes(file.read_bytes())
    code, _, err = sit("doctor", folder)
    assert code == 2 and "cannot be loaded" in err
    code, _, err = sit("doctor", folder, "--set", "engine.url=http://127.0.0.1:9", "--set", "engine.outage=0")
    assert code and "does not answer" in err


def test_languages_that_the_filter_would_drop_stop_the_run(sit: Sit, tmp_path: Path) -> None:
    code, _, err = sit("generate", "--set", "generate.language=de", "-d", tmp_path / "r")
    assert code == 2 and "filter.language is en" in err and "filter.language=de" in err
    assert check_languages(load_config(overrides=["generate.language=Zulu"])).fix == "Add --set filter.language=zu"
    for options, ok in (
        (["generate.language=de", "filter.language=de"], True),
        (["generate.language=German", "filter.language=de"], True),
        (["generate.language=de", "filter.language=''"], True),
        (["generate.language=Zulu"], False),  # which the filter takes for another language
        (["generate.language=Zulu", "filter.language="], True),
        (["generate.domains={coding: {language: fr}}"], False),
        (["generate.domains={coding: {language: en}}", "generate.language=fr"], True),
    ):
        assert check_languages(load_config(overrides=options)).ok == ok, options


def test_the_plan_knows_goals_and_turns() -> None:
    hardware = replace(detect("cpu"), cores=2)  # with more, the generator's loading is a larger part of the estimate
    plain, goal = load_config(), load_config(overrides=["generate.until_kept=100"])
    assert planned_records(plain) == 1500 and planned_records(goal) == 147
    assert planned_records(load_config(overrides=["generate.until_kept=1500"])) == 1500
    turns = load_config(overrides=["generate.turns=3"])
    assert estimate(goal, hardware)[0].seconds < estimate(plain, hardware)[0].seconds
    assert estimate(turns, hardware)[0].seconds > 2 * estimate(plain, hardware)[0].seconds
    assert load_config(overrides=["generate.until_kept=100"], limit=7).generate.until_kept == 7
    assert load_config(limit=7).generate.until_kept is None
