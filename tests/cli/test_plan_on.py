"""``sit plan --on``: a plan for a card that is not here, its price, and what makes it fit; profile auto."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from cli.test_screens import Sit, require_fit
from synthetic_instruction_tuner.cli import app, options, run
from synthetic_instruction_tuner.cli import plan as plan_verb
from synthetic_instruction_tuner.models import hardware
from synthetic_instruction_tuner.models.quantization import held
from synthetic_instruction_tuner.run.costs.cards import CARDS, machine_with

NAMED = ("t4", "l4", "a100-40", "a100-80", "h100", "h200")


@pytest.fixture
def sit(capsys: pytest.CaptureFixture[str]) -> Sit:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = app._exit_code(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("width", ("80", "100", "200"))
def test_the_screen_of_a_plan_for_a_t4(sit: Sit, monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    monkeypatch.setenv("COLUMNS", width)
    code, out, error = sit("plan", "--profile", "t4", "--on", "t4", "--price-per-hour", "0.35")
    assert (code, error) == (0, "")
    require_fit(out, int(width))
    words = " ".join(out.split())
    assert words.startswith("Profile t4:") and "On NVIDIA T4 (15.6 GB for programs, 320 GB/s, 65 TFLOP/s)" in words
    for part in ("nf4", "float16", "transformers", "training", "4 x 4", "2 x 8", "74.8 GB to download", "16.1 GB"):
        assert part in words, part
    hours, minutes, price = re.search(r"about (\d+) h (\d+) min in total.*Price: ([\d.]+) at 0.35", words).groups()  # type: ignore[union-attr]
    assert float(price) == pytest.approx((int(hours) + int(minutes) / 60) * 0.35, abs=0.02)
    assert "may fail" not in words and not list(Path().iterdir())


@pytest.mark.parametrize("card", NAMED)
def test_the_plan_as_json(sit: Sit, card: str) -> None:
    code, out, _ = sit("plan", "--profile", "t4", "--on", card, "--price-per-hour", "2", "--json")
    found = json.loads(out)
    assert code == 0 and found["warning"] is None and found["fixes"] == []
    assert found["price"] == pytest.approx(sum(s["seconds"] for s in found["stages"]) / 1800)
    for stage in found["stages"]:
        for task in stage["tasks"]:
            assert 0 < task["memory_gb"] <= stage["memory_gb"] <= CARDS[card].memory_gb
            assert task["tokens"] > 0 < task["seconds"] and task["number_format"] and task["engine"] and task["batch"]


def test_what_does_not_fit_is_named_with_what_makes_it_fit(sit: Sit) -> None:
    code, out, _ = sit("plan", "--profile", "h200", "--on", "a100-40")
    line = next(line for line in out.splitlines() if line.startswith("sft fits with"))
    assert code == 0 and "may fail: sft (about" in out
    settings = re.findall(r"--set (\S+)", line)
    assert settings == ["train.sft.gradient_checkpointing=true"]
    _, again, _ = sit("plan", "--profile", "h200", "--on", "a100-40", *(w for s in settings for w in ("--set", s)))
    assert "sft fits with" not in again and "sft (about" not in again


def test_a_described_card(sit: Sit) -> None:
    code, out, _ = sit("plan", "-p", "t4", "--on", "memory=24GB,bandwidth=1TB/s,flops=120TFLOPS")
    assert code == 0 and "On a GPU as described (24.0 GB for programs, 1,000 GB/s, 120 TFLOP/s)" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--on", "t5"), "No GPU is known as 't5'"),
        (("--on", "memory=24GB"), "bandwidth and flops are missing"),
        (("--on", "t4", "--set", "engine.device=cpu"), "--on names a GPU"),
        (("--on", "t4", "--set", "engine.dtype=bfloat16"), "has no bfloat16"),
        (("--price-per-hour", "-1"), "--price-per-hour -1 is not possible"),
        (("--price-per-hour", "1 EUR"), "--price-per-hour 1 EUR is not possible"),
        (("--price-per-hour", "nan"), "--price-per-hour nan is not possible"),
    ],
)
def test_mistakes(sit: Sit, arguments: tuple[str, ...], said: str) -> None:
    code, out, error = sit("plan", *arguments)
    assert (code, out) == (2, "") and said in " ".join(error.split())


def test_a_plan_for_elsewhere_does_not_ask_what_is_installed_here(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "find_spec", lambda name: None)
    code, out, _ = sit("plan", "--profile", "t4", "--on", "t4")
    assert code == 0 and "nf4" in out


# The profile


def on_a_t4(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = machine_with(CARDS["t4"], hardware.detect("cpu"))
    for module in (options, plan_verb, hardware):
        monkeypatch.setattr(module, "detect", lambda wanted="auto": replace(machine))


def test_profile_auto_is_named_in_the_first_line(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_t4(monkeypatch)
    _, out, _ = sit("plan", "--profile", "auto")
    first, second = out.splitlines()[:2]
    assert first.startswith("Profile auto takes t4 for NVIDIA T4 (15.6 GB)") and second.startswith("Profile t4:")
    Path("mine.yaml").write_text("profile: auto\n")
    assert "Profile t4:" in sit("plan", "-c", "mine.yaml")[1]
    _, out, _ = sit("plan", "--profile", "auto", "--settings")
    assert json.loads(out)["profile"] == "t4"


def test_without_options_nano_says_what_would_fit(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "fits profile" not in sit("plan")[1]
    on_a_t4(monkeypatch)
    _, out, _ = sit("plan")
    assert "NVIDIA T4 (15.6 GB) fits profile t4: 'sit plan --profile t4'" in " ".join(out.split())
    assert "Profile nano:" in out
    assert "fits profile" not in sit("plan", "--profile", "nano")[1]


@pytest.mark.parametrize(
    ("options_", "said"),
    [((), "fits profile t4"), (("--profile", "auto"), "Profile auto takes t4"), (("--quiet",), None)],
)
def test_a_run_says_it_first(
    sit: Sit, monkeypatch: pytest.MonkeyPatch, options_: tuple[str, ...], said: str | None
) -> None:
    on_a_t4(monkeypatch)
    monkeypatch.setattr(run, "run_and_print", lambda *args, **kwargs: None)
    code, _, error = sit("run", *options_)
    assert code == 0
    assert (said in error.splitlines()[0]) if said else not error


def test_a_machine_without_a_gpu_is_told_how_to_plan_for_one(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_cpu = hardware.Hardware("cpu", "x86_64", 2, 24.0, None, None, "2", "5")
    monkeypatch.setattr(plan_verb, "detect", lambda *_: on_a_cpu)
    assert "--on a100-40" in sit("plan", "--profile", "a100")[1]
    assert "--on" not in sit("plan")[1]
