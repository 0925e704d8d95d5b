"""The command that trains the nano models again: all of them, from nothing; the same seed makes the same model."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from synthetic_instruction_tuner import nano
from synthetic_instruction_tuner.nano.training import corpus, jobs, language, measure, sampling, train
from synthetic_instruction_tuner.nano.training import tokenizer as tok
from synthetic_instruction_tuner.nano.training.language import Making, is_trained, train_language_model
from synthetic_instruction_tuner.nano.training.recipes import RECIPES, config_of
from synthetic_instruction_tuner.nano.training.reward import phase as reward_phase

SCALE = 0.00005  # of all training data


AMOUNTS = ("--device", "cpu", "--tokens-scale", str(SCALE), "--minutes", "0.1", "--workers", "1")


@pytest.fixture(autouse=True)
def short_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains on rows of a quarter of the length, and measures on few: what takes time here is arithmetic alone."""
    monkeypatch.setattr(language, "ROW", 128)
    monkeypatch.setattr(language, "FRESH_ROWS", 16)
    monkeypatch.setattr(reward_phase, "MAX_ANSWER", 64)


class HereInstead:
    """Runs what would be a process of its own in this one: twelve imports of PyTorch take longer than the training."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        assert command[1:3] == ["-m", train.__name__]
        self.code = train.main(command[3:])

    def wait(self, timeout: float | None) -> int:
        return self.code

    def poll(self) -> int:
        return self.code


def started_by(monkeypatch: pytest.MonkeyPatch, start: Callable[..., object]) -> None:
    fake = SimpleNamespace(Popen=start, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(jobs, "subprocess", fake)


def test_one_command_makes_all_models(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started_by(monkeypatch, HereInstead)
    monkeypatch.setattr(logging, "_tqdm_active", True)  # which the tests' environment switches off
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
        assert 1 <= report["steps"] <= report["planned_steps"] and report["fresh_loss"] < report["first_loss"]
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

    started_by(monkeypatch, Fails)
    names = "student-llama,student-qwen2"
    assert train.main(["--out", str(tmp_path / "models"), "--only", names, *AMOUNTS]) == 1
    assert "failed: ['lm:student-llama']" in capfd.readouterr().out
    assert (tmp_path / "models" / "student-qwen2" / "model.safetensors").exists()
    assert not (tmp_path / "models" / "student-llama").exists()


def test_a_seed_makes_the_same_model_again(tmp_path: Path) -> None:
    recipe = RECIPES["student-qwen2"]
    corpus.learn_tokenizer(0, 300).save(str(tmp_path / "tokenizer.json"))
    scale = SCALE * 2 / 3  # four steps
    corpus.make_pools(tmp_path, [recipe], tmp_path / "tokenizer.json", scale, workers=1, seed=0)
    weights = []
    for folder, seed in (("one", 0), ("again", 0), ("other", 1)):
        making = Making(recipe, tmp_path, scale, seed)
        assert not is_trained(tmp_path / folder, math.inf, making)
        train_language_model("s", making, tmp_path / folder, device="cpu", minutes=60)
        assert is_trained(tmp_path / folder, math.inf, making)  # it was not cut short
        assert not is_trained(tmp_path / folder, 1, dataclasses.replace(making, scale=1.0))
        weights.append(load_file(tmp_path / folder / "model.safetensors"))
    one, again, other = weights
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)
    cut_short = dataclasses.replace(making, scale=0.01)
    train_language_model("s", cut_short, tmp_path / "one", device="cpu", minutes=0.001)
    assert is_trained(tmp_path / "one", 0.001, cut_short) and not is_trained(tmp_path / "one", 1, cut_short)
    corpus.learn_tokenizer(1, 300).save(str(tmp_path / "tokenizer.json"))
    assert not is_trained(tmp_path / "one", 0.001, cut_short)  # it would read other ids


@given(st.permutations([f"lm:{name}" for name in RECIPES]), st.integers(1, 9))
def test_jobs_are_spread_so_that_no_gpu_waits_for_long(names: list[str], count: int) -> None:
    gpus = [str(i) for i in range(count)]
    places = jobs.spread(names, gpus)
    assert set(places) == set(names) and len(set(places.values())) == min(count, len(names))
    load = {gpu: sum(RECIPES[name[3:]].flops for name in names if places[name] == gpu) for gpu in gpus}
    largest = max(recipe.flops for recipe in RECIPES.values())
    mean = sum(load.values()) / count
    assert max(load.values()) <= mean + (1 - 1 / count) * largest  # Graham 1966, of any order


def test_jobs_see_the_gpus_that_the_command_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []

    class Done:
        def wait(self, timeout: float | None) -> int:
            return 0

        def poll(self) -> int:
            return 0

    def start(command: list[str], env: dict[str, str]) -> Done:
        seen.append((command[command.index("--job") + 1], env["CUDA_VISIBLE_DEVICES"]))
        return Done()

    started_by(monkeypatch, start)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5, 9")
    options = argparse.Namespace(
        out=Path("o"), work=Path("w"), device="cuda", seed=0, tokens_scale=1.0, workers=1, start=None
    )
    assert jobs.run_jobs(options, ["lm:student-llama", "lm:generator", "label:reward"], 1.0) == []
    assert dict(seen) == {"lm:generator": "3", "lm:student-llama": "GPU-5", "label:reward": "GPU-5"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "generater"], "no such model: generater; there are generator"),
        (["--start", "nowhere"], "no folder nowhere"),
        (["--device", "cuda"], "PyTorch finds no GPU"),
        (["--minutes", "0"], "above 0"),
        (["--tokens-scale", "-1"], "above 0"),
        (["--tokens-scale", "inf"], "above 0"),
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
    assert ended.value.code == 2 and words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Returns where the jobs that a command starts are noted; none is run, and no text is written."""
    noted: list[list[str]] = []

    class Noted(HereInstead):
        def __init__(self, command: list[str], env: dict[str, str]) -> None:
            noted.append(command)
            self.code = 0

    started_by(monkeypatch, Noted)
    monkeypatch.setattr(corpus, "make_pools", lambda *_: None)
    return noted


def minutes_of(command: list[str]) -> float:
    return float(command[command.index("--minutes") + 1])


def test_on_a_cpu_minutes_are_shared_by_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = calls(monkeypatch)
    only = ["--only", "generator,responder-llama, generator,", "--device", "cpu"]
    train.main(["--out", str(tmp_path / "a"), *only, "--minutes", "100"])
    generator, responder = (minutes_of(command) for command in noted)  # a name that comes twice is one model
    ratio = RECIPES["generator"].flops / (RECIPES["generator"].flops + RECIPES["responder-llama"].flops)
    assert abs(generator - 100 * ratio) < 0.1 and responder > 99  # the first took no time: what it left is the second's
    noted.clear()
    train.main(["--out", str(tmp_path / "b"), *only])
    assert [minutes_of(command) for command in noted] == [math.inf, math.inf]


def test_parameters_are_those_of_the_model() -> None:
    for recipe in RECIPES.values():
        model = AutoModelForCausalLM.from_config(config_of(recipe))
        assert abs(model.num_parameters() / recipe.parameters - 1) < 0.01


@pytest.mark.parametrize("changed", (["--seed", "1"], ["--tokens-scale", "0.5"]))
def test_a_work_folder_is_for_one_seed_and_scale(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, changed: list[str]
) -> None:
    noted = calls(monkeypatch)
    arguments = ["--out", str(tmp_path), "--device", "cpu", "--only", "student-llama"]
    assert train.main(arguments) == 0 and train.main(arguments) == 0
    with pytest.raises(SystemExit):
        train.main([*arguments, *changed])
    assert f"{tmp_path / 'work'} is for seed 0, tokens_scale 1.0" in capsys.readouterr().err
    with pytest.raises(SystemExit):  # its tokenizer is the packaged one
        train.main([*arguments, "--only", ",".join(RECIPES)])
    assert "has the tokenizer of other models" in capsys.readouterr().err
    (tmp_path / "work" / "settings.json").unlink()
    with pytest.raises(SystemExit):
        train.main(arguments)
    assert "contains something else" in capsys.readouterr().err
    assert len(noted) == 2


def test_models_go_on_with_the_tokenizer_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls(monkeypatch)
    learned = tmp_path / "learned.json"
    corpus.learn_tokenizer(3, 300).save(str(learned))
    monkeypatch.setattr(corpus, "learn_tokenizer", lambda *_: Tokenizer.from_file(str(learned)))
    other, packaged = tmp_path / "other.json", nano.path("generator") / "tokenizer.json"
    other.write_text(json.dumps(json.loads(learned.read_text()) | {"version": "1.0"}))
    for folder in ("out", "start"):
        (tmp_path / folder / "responder-llama").mkdir(parents=True)
        shutil.copyfile(learned, tmp_path / folder / "responder-llama" / "tokenizer.json")

    def used(work: str, *arguments: str) -> Path:
        train.main(["--work", str(tmp_path / work), "--device", "cpu", *arguments])
        return tmp_path / work / "tokenizer.json"

    whole = ["--only", ",".join(RECIPES)]
    assert tok.same(used("a", "--out", str(tmp_path / "new"), "--only", "generator"), packaged)
    assert tok.same(used("b", "--out", str(tmp_path / "out"), "--only", "generator"), learned)
    assert tok.same(used("c", "--out", str(tmp_path / "new"), *whole), learned)
    assert tok.same(used("d", "--out", str(tmp_path / "new"), "--start", str(tmp_path / "start"), *whole), learned)
    assert not tok.same(packaged, learned) and tok.same(other, learned)


def test_the_same_command_again_goes_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    class Started(HereInstead):
        def __init__(self, command: list[str], env: dict[str, str]) -> None:
            started.append(command[command.index("--job") + 1])
            super().__init__(command, env)

    started_by(monkeypatch, Started)
    arguments = ["--out", str(tmp_path), "--only", "responder-llama,student-llama", *AMOUNTS]
    work = tmp_path / "work"
    assert train.main(arguments) == 0
    stale = [work / f"answers-{name}.json" for name in ("responder-llama", "generator")]
    for file in (*stale, work / reward_phase.GROUPS_FILE):
        file.touch()
    (work / reward_phase.PRETRAINED).mkdir()
    pool = (work / "base.tokens.npy").stat()
    (tmp_path / "student-llama" / "training.json").unlink()  # as after a kill
    started.clear()
    assert train.main(arguments) == 0
    assert started == ["lm:student-llama"] and "[responder-llama] exists already" in capfd.readouterr().out
    assert (work / "base.tokens.npy").stat() == pool
    assert all(file.exists() for file in stale) and (work / reward_phase.PRETRAINED).exists()  # no student's
    (tmp_path / "responder-llama" / "training.json").unlink()
    assert train.main(arguments) == 0
    assert [file.exists() for file in stale] == [False, True]
    assert not (work / reward_phase.GROUPS_FILE).exists() and not (work / reward_phase.PRETRAINED).exists()


def test_no_reward_model_without_the_models_that_it_learns_from(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fails(HereInstead):
        def __init__(self, command: list[str], env: dict[str, str]) -> None:
            self.code = 1

    started_by(monkeypatch, Fails)
    arguments = ["--out", str(tmp_path), "--only", "responder-llama,reward", *AMOUNTS]
    assert train.main(arguments) == 1
    printed = capfd.readouterr()
    assert "failed: ['lm:responder-llama', 'reward']" in printed.out
    assert "no reward model without the answers of lm:responder-llama" in printed.err


def test_what_cannot_end_early_has_no_time_limit_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = calls(monkeypatch)
    options = argparse.Namespace(
        out=Path("o"), work=Path("w"), device="cpu", seed=0, tokens_scale=1.0, workers=1, start=None
    )
    jobs.run_jobs(options, ["pretrain:reward", "label:reward"], 10.0)
    pretraining, labelling = (minutes_of(command) for command in noted)
    assert abs(pretraining - 10) < 0.1 and labelling == math.inf


def test_ended_from_outside_it_ends_its_jobs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", train.__name__, "--out", str(tmp_path), "--only", "student-llama"]
    options = ["--device", "cpu", "--tokens-scale", "0.001", "--workers", "1"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "step" in line:
                break
        else:
            pytest.fail("it trained nothing")
        process.terminate()
        process.communicate(timeout=30)  # all that write to its output have ended
    assert process.returncode == 128 + signal.SIGTERM
    assert not (tmp_path / "student-llama" / "training.json").exists()


def test_a_pool_that_is_too_small_or_half_written_is_made_again(tmp_path: Path) -> None:
    tokenizer = tmp_path / "tokenizer.json"
    corpus.learn_tokenizer(0, 300).save(str(tokenizer))

    def size(scale: float) -> int:
        corpus.make_pools(tmp_path, [RECIPES["student-llama"]], tokenizer, scale, workers=1, seed=0)
        return len(corpus.Pool.load(tmp_path, "base").tokens)

    small = size(0.0005)
    large = size(0.002)
    assert large > 2 * small and size(0.0005) == large
    (tmp_path / "base.starts.npy").unlink()
    assert size(0.0005) == small


def test_measured_models_draw_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("responder-llama", "responder-mistral", "generator"):
        (tmp_path / name).symlink_to(nano.path("responder-llama"))
    bench = measure.Bench(tmp_path, "cpu", items=12, magpie=0, batch=12, seed=1)
    prompts = ["<|user|>"] * 12

    def write(name: str, temperature: float) -> list[str]:
        return bench.write(name, prompts, temperature, 12)

    assert write("responder-llama", 1.0) == write("responder-llama", 1.0)
    assert write("responder-llama", 0.0) == write("responder-mistral", 0.0)  # the same weights
    assert write("responder-llama", 1.0) != write("responder-mistral", 1.0)
    seeds: list[int] = []
    monkeypatch.setattr(sampling, "sample", lambda *_, seed, **__: seeds.append(seed) or [])
    for seed in (1, 2):
        other = measure.Bench(tmp_path, "cpu", items=12, magpie=0, batch=12, seed=seed)
        for name in ("responder-llama", "generator"):
            for temperature in (0.7, 1.0):
                other.write(name, prompts, temperature, 12)
    assert len(set(seeds)) == len(seeds) == 8
