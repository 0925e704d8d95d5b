"""The command that trains the nano models again: all of them, from nothing; the same seed makes the same model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from synthetic_instruction_tuner import nano
from synthetic_instruction_tuner.nano import corpus, measure, train
from synthetic_instruction_tuner.nano.language import train_language_model
from synthetic_instruction_tuner.nano.recipes import RECIPES, config_of

SCALE = 0.0002  # of all training data


AMOUNTS = ("--device", "cpu", "--tokens-scale", str(SCALE), "--minutes", "0.2", "--workers", "1")


class HereInstead:
    """Runs what would be a process of its own in this one: twelve imports of PyTorch take longer than the training."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        assert command[1:3] == ["-m", train.__name__]
        self.code = train.main(command[3:])

    def wait(self, timeout: float) -> int:
        return self.code


def test_one_command_makes_all_models(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train.subprocess, "Popen", HereInstead)
    out = tmp_path / "models"
    assert train.main(["--out", str(out), *AMOUNTS]) == 0
    printed = capfd.readouterr()
    assert "failed: none" in printed.out and "it/s" not in printed.out + printed.err  # no bars of other libraries
    for name, recipe in RECIPES.items():
        model = AutoModelForCausalLM.from_pretrained(out / name)
        assert model.config.model_type == recipe.arch and model.num_parameters() < 2.5e6
        tokenizer = AutoTokenizer.from_pretrained(out / name)
        assert bool(tokenizer.chat_template) and tokenizer.eos_token_id == config_of(recipe).eos_token_id
        report = json.loads((out / name / "training.json").read_text())
        assert report["steps"] >= 1 and report["fresh_loss"] < report["first_loss"]
    judge = AutoModelForSequenceClassification.from_pretrained(out / "reward")
    assert judge.config.model_type == "deberta-v2" and judge.config.num_labels == 1
    assert json.loads((out / "reward" / "training.json").read_text())["groups"] > 0


def test_one_model_is_trained_in_a_process_of_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--out", str(tmp_path / "models"), "--only", "responder-llama", *AMOUNTS]) == 0
    assert "[responder-llama] done" in capfd.readouterr().out
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["responder-llama", "work"]
    there = (tmp_path / "models" / "responder-llama" / "tokenizer.json").read_bytes()
    assert there == (nano.path("generator") / "tokenizer.json").read_bytes()  # it must go on talking to the others


def test_a_model_that_fails_does_not_stop_the_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fails(HereInstead):
        def __init__(self, command: list[str], env: dict[str, str]) -> None:
            self.code = 1 if "lm:student-llama" in command else train.main(command[3:])

    monkeypatch.setattr(train.subprocess, "Popen", Fails)
    names = "student-llama,student-qwen2"
    assert train.main(["--out", str(tmp_path / "models"), "--only", names, *AMOUNTS]) == 1
    assert "failed: ['lm:student-llama']" in capfd.readouterr().out
    assert (tmp_path / "models" / "student-qwen2" / "model.safetensors").exists()
    assert not (tmp_path / "models" / "student-llama").exists()


def test_a_seed_makes_the_same_model_again(tmp_path: Path) -> None:
    recipe = RECIPES["student-qwen2"]
    corpus.learn_tokenizer(0, 300).save(str(tmp_path / "tokenizer.json"))
    scale = SCALE / 3  # two steps
    corpus.make_pools(tmp_path, [recipe], tmp_path / "tokenizer.json", scale, workers=1, seed=0)
    weights = []
    for folder, seed in (("one", 0), ("again", 0), ("other", 1)):
        train_language_model("s", recipe, tmp_path, tmp_path / folder, scale=scale, seed=seed, device="cpu", minutes=60)
        weights.append(load_file(tmp_path / folder / "model.safetensors"))
    one, again, other = weights
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@given(st.permutations([f"lm:{name}" for name in RECIPES]), st.integers(1, 9))
def test_jobs_are_spread_so_that_no_gpu_waits_for_long(jobs: list[str], count: int) -> None:
    gpus = [str(i) for i in range(count)]
    places = train.spread(jobs, gpus)
    assert set(places) == set(jobs) and len(set(places.values())) == min(count, len(jobs))
    load = {gpu: sum(RECIPES[job[3:]].tokens for job in jobs if places[job] == gpu) for gpu in gpus}
    largest = max(recipe.tokens for recipe in RECIPES.values())
    mean = sum(load.values()) / count
    assert max(load.values()) <= mean + (1 - 1 / count) * largest  # Graham 1966, of any order


def test_jobs_see_the_gpus_that_the_command_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []

    class Done:
        def wait(self, timeout: float) -> int:
            return 0

    def start(command: list[str], env: dict[str, str]) -> Done:
        seen.append((command[command.index("--job") + 1], env["CUDA_VISIBLE_DEVICES"]))
        return Done()

    monkeypatch.setattr(train.subprocess, "Popen", start)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5")
    options = argparse.Namespace(
        out=Path("o"), work=Path("w"), device="cuda", seed=0, tokens_scale=1.0, workers=1, start=None
    )
    assert train.run_jobs(options, ["lm:student-llama", "lm:generator", "label:reward"], 1.0) == []
    assert dict(seen) == {"lm:generator": "3", "lm:student-llama": "GPU-5", "label:reward": "GPU-5"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "generater"], "no such model: generater; there are generator"),
        (["--start", "nowhere"], "no folder nowhere"),
        (["--device", "cuda"], "PyTorch finds no GPU"),
        (["--minutes", "0"], "above 0"),
        (["--tokens-scale", "-1"], "above 0"),
        (["--workers", "0"], "above 0"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        train.main(["--out", str(tmp_path / "out"), "--device", "cpu", *arguments])
    assert words in str(ended.value.code) + capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_measured_models_draw_by_themselves(tmp_path: Path) -> None:
    for name in ("responder-llama", "responder-mistral", "generator"):
        (tmp_path / name).symlink_to(nano.path("responder-llama"))
    bench = measure.Bench(tmp_path, "cpu", items=12, magpie=0, batch=12, seed=1)
    prompts = ["<|user|>"] * 12

    def write(name: str, temperature: float) -> list[str]:
        return bench.write(name, prompts, temperature, 12)

    assert write("responder-llama", 1.0) == write("responder-llama", 1.0)
    assert write("responder-llama", 0.0) == write("responder-mistral", 0.0)  # the same weights
    assert write("responder-llama", 1.0) != write("responder-mistral", 1.0)
    assert write("responder-llama", 1.0) != write("responder-llama", 0.7)
