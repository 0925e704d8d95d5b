"""The methods on a base model in 4 bits (QLoRA): real NF4 weights, on a CPU."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_training import FAST, LEARNS, log

from random_models import write_model
from synthetic_instruction_tuner.config import DpoConfig, ModelConfig, PromptTuningConfig, SftConfig
from synthetic_instruction_tuner.models.loading import load_causal_lm
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.training import dpo, supervised
from synthetic_instruction_tuner.training.dpo import Dpo
from synthetic_instruction_tuner.training.lora_sft import LoraSft
from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning

pytest.importorskip("bitsandbytes", reason="the extra qlora is not installed")
WEIGHTS = "final/adapter_model.safetensors"


@pytest.fixture(scope="module")
def packed(student: ModelConfig) -> ModelConfig:
    return student.model_copy(update={"load_in_4bit": True})


@pytest.fixture(scope="module")
def sft(tmp_path_factory: pytest.TempPathFactory, packed: ModelConfig, records: list[Record]) -> Path:
    output = tmp_path_factory.mktemp("qlora")
    LoraSft(SftConfig(**FAST)).train(packed, records, output)
    return output


class Watched:
    """Keeps the last trainer's model, and whether any base weight has changed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.model: Any = None
        for module in (supervised, dpo):
            run = module.run_training
            monkeypatch.setattr(
                module, "run_training", lambda job, trainer, *a, run=run: self._kept(run, job, trainer, *a)
            )

    def _kept(self, run: Any, job: Any, trainer: Any, *rest: Any) -> Any:
        self.model = trainer.model
        frozen = {name: p.detach().clone() for name, p in self.model.named_parameters() if not p.requires_grad}
        assert self.model.get_base_model().is_loaded_in_4bit
        metrics = run(job, trainer, *rest)
        now = dict(self.model.named_parameters())
        assert all(torch.equal(now[name], value) for name, value in frozen.items())
        return metrics


def test_sft_learns_on_4_bits_and_its_metrics_say_so(sft: Path, student: ModelConfig, tmp_path: Path) -> None:
    metrics = json.loads((sft / "metrics.json").read_text())
    assert metrics["final_loss"] < metrics["first_loss"] - 1.0
    assert (metrics["quantized"], metrics["dtype"]) == ("nf4", "float32")
    whole = sum(p.numel() for p in load_causal_lm(student, "float32", "cpu").parameters())
    assert metrics["total_parameters"] == whole + metrics["trainable_parameters"]
    assert {tensor.dtype for tensor in load_file(sft / WEIGHTS).values()} == {torch.float32}


def test_a_training_on_plain_weights_says_nothing_of_it(
    tmp_path: Path, student: ModelConfig, records: list[Record]
) -> None:
    LoraSft(SftConfig(**FAST | {"num_train_epochs": 1.0})).train(student, records, tmp_path)
    assert "quantized" not in json.loads((tmp_path / "metrics.json").read_text())


@pytest.mark.parametrize(
    ("arch", "dtype"),
    [("llama", "float32"), ("qwen2", "float32"), ("mistral", "bfloat16"), ("gpt2", "float32"), ("gpt2", "bfloat16")],
)
def test_evaluation_computes_what_training_did(
    tmp_path: Path, arch: str, dtype: str, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tuned model on disk gives the logits of the model in training: nothing is merged, nothing rounded again."""
    model = ModelConfig(path=str(_write(tmp_path / arch, arch)), load_in_4bit=True)
    seen = Watched(monkeypatch)
    settings = {"num_train_epochs": 1.0, "lora": {"target_modules": ["auto"], "lora_dropout": 0.0}}
    LoraSft(SftConfig(**FAST | settings), dtype=dtype).train(model, records, tmp_path / "out")
    ids = torch.arange(5, 25)[None]
    trained = seen.model.eval()
    with torch.inference_mode(), torch.autocast("cpu", getattr(torch, dtype), enabled=dtype != "float32"):
        wanted = trained(input_ids=ids).logits.float()
    loaded = load_causal_lm(model, dtype, "cpu", tmp_path / "out/final")
    with torch.inference_mode():
        got = loaded(ids).logits.float()
        base = load_causal_lm(model, dtype, "cpu")(ids).logits.float()
    near = 1e-5 if dtype == "float32" else 0.05
    assert (got - wanted).abs().max() <= near * wanted.abs().max()
    assert (got - base).abs().max() > 0.2 * wanted.std()
    assert type(loaded).__name__.endswith("ForCausalLM") or arch == "gpt2"


def _write(folder: Path, arch: str) -> Path:
    if arch != "gpt2":
        return write_model(folder, arch)
    from transformers import GPT2Config, GPT2LMHeadModel

    write_model(folder, "llama")  # for its tokenizer
    torch.manual_seed(0)
    config = json.loads((folder / "config.json").read_text())
    sizes = {"vocab_size": config["vocab_size"], "n_positions": 256, "n_embd": 32, "n_layer": 2, "n_head": 4}
    GPT2LMHeadModel(GPT2Config(**sizes)).save_pretrained(folder)
    return folder


def test_gradient_checkpointing_trains_the_same_on_4_bits(
    tmp_path: Path, sft: Path, packed: ModelConfig, records: list[Record]
) -> None:
    LoraSft(SftConfig(**FAST | {"gradient_checkpointing": True})).train(packed, records, tmp_path)
    first, second = load_file(sft / WEIGHTS), load_file(tmp_path / WEIGHTS)
    assert all(torch.allclose(second[name], value, atol=1e-4) for name, value in first.items())


def test_a_crash_on_4_bits_is_continued_exactly(
    tmp_path: Path, sft: Path, packed: ModelConfig, records: list[Record]
) -> None:
    def stop(step: int, steps: int, values: dict[str, float]) -> None:
        if step == 7:
            raise KeyboardInterrupt

    tuner = LoraSft(SftConfig(**FAST | {"save_steps": 3}))
    with pytest.raises(KeyboardInterrupt):
        tuner.train(packed, records, tmp_path, stop)
    tuner.train(packed, records, tmp_path)
    first, second = load_file(sft / WEIGHTS), load_file(tmp_path / WEIGHTS)
    assert all(torch.equal(second[name], value) for name, value in first.items())


def test_a_training_on_16_bits_is_not_taken_for_one_on_4(
    tmp_path: Path, packed: ModelConfig, student: ModelConfig, records: list[Record]
) -> None:
    settings = SftConfig(**FAST | {"num_train_epochs": 1.0})
    assert not LoraSft(settings).train(student, records, tmp_path).quantized
    assert LoraSft(settings).train(packed, records, tmp_path).quantized == "nf4"


def test_a_soft_prompt_learns_in_front_of_4_bits(tmp_path: Path, packed: ModelConfig, records: list[Record]) -> None:
    settings = PromptTuningConfig(**FAST | {"num_virtual_tokens": 8, "learning_rate": 0.5})
    metrics = PromptTuning(settings).train(packed, records, tmp_path)
    assert metrics.final_loss < metrics.first_loss - 0.3
    assert metrics.quantized == "nf4"
    assert load_file(tmp_path / WEIGHTS)["prompt_embeddings"].dtype == torch.float32


def test_packed_texts_have_the_same_curves_on_4_bits(
    tmp_path: Path, packed: ModelConfig, records: list[Record]
) -> None:
    """Here `packed` weights, two to a byte; the texts are packed only in the second training."""
    settings = {"num_train_epochs": 1.0, "logging_steps": 1, "lora": {"lora_dropout": 0.0}}
    notes: list[str] = []
    for packing in ("off", "on"):
        tuner = LoraSft(SftConfig(**FAST | settings), packing=packing)
        tuner.train(packed, records, tmp_path / packing, on_note=notes.append)
    assert any("packed into rows" in note for note in notes)
    one, other = (log(tmp_path / packing) for packing in ("off", "on"))
    for name in one[0]:
        assert [row[name] for row in other] == pytest.approx([row[name] for row in one], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("fresh", [False, True])
def test_dpo_starts_from_the_same_quantized_base(
    tmp_path: Path, sft: Path, packed: ModelConfig, pairs: list[PreferencePair], fresh: bool, monkeypatch: Any
) -> None:
    """The reference is the adapter as it is read, over the same weights: the first loss is exactly ln 2."""
    seen = Watched(monkeypatch)
    metrics = Dpo(DpoConfig(**FAST | LEARNS)).train(packed, None if fresh else sft / "final", pairs, tmp_path)
    assert metrics.first_loss == pytest.approx(math.log(2), abs=1e-6)
    assert log(tmp_path)[-1]["reward_margin"] > 0.3
    assert {p.dtype for p in seen.model.parameters() if p.requires_grad} == {torch.float32}


def test_no_adapter_is_rounded_to_bfloat16_on_the_way(
    tmp_path: Path, sft: Path, packed: ModelConfig, pairs: list[PreferencePair]
) -> None:
    """With a learning rate of nothing, DPO hands on what SFT has trained, to the last bit."""
    settings = {"learning_rate": 1e-30, "num_train_epochs": 1.0}
    Dpo(DpoConfig(**FAST | settings)).train(packed, sft / "final", pairs, tmp_path)
    first, second = load_file(sft / WEIGHTS), load_file(tmp_path / WEIGHTS)
    assert all(torch.equal(second[name], value) for name, value in first.items())
