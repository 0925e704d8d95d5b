"""Each method, trained for a few steps on a random model."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel

from synthetic_instruction_tuner.config import DpoConfig, ModelConfig, PromptTuningConfig, SftConfig, load_config
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.models.loading import load_causal_lm, load_tokenizer
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.training import supervised
from synthetic_instruction_tuner.training.dpo import Dpo
from synthetic_instruction_tuner.training.lora_sft import LoraSft
from synthetic_instruction_tuner.training.metrics import TrainingMetrics
from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning
from synthetic_instruction_tuner.training.tuners import train_student
from synthetic_instruction_tuner.training.watch import mean

FAST: dict[str, Any] = {
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "learning_rate": 5e-2,
    "logging_steps": 2,
}

LEARNS: dict[str, Any] = {"learning_rate": 1e-2, "num_train_epochs": 6.0, "beta": 0.5, "logging_steps": 1}
"""Settings with which DPO surely tells the pairs' answers apart."""


@pytest.fixture(scope="module")
def sft(tmp_path_factory: pytest.TempPathFactory, student: ModelConfig, records: list[Record]) -> Path:
    """A folder with a trained LoRA adapter."""
    output = tmp_path_factory.mktemp("sft")
    LoraSft(SftConfig(**FAST)).train(student, records, output)
    return output


def log(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "training_log.jsonl").read_text().splitlines()]


def test_sft_learns_and_leaves_what_it_promises(sft: Path, student: ModelConfig, records: list[Record]) -> None:
    metrics = json.loads((sft / "metrics.json").read_text())
    assert metrics["final_loss"] < metrics["first_loss"] - 1.0
    assert {path.name for path in sft.iterdir()} == {"final", "metrics.json", "training_log.jsonl", "data_order.jsonl"}
    assert {path.name for path in (sft / "final").iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}
    assert json.loads((sft / "final/adapter_config.json").read_text())["base_model_name_or_path"] == student.path
    order = [json.loads(line)["id"] for line in (sft / "data_order.jsonl").read_text().splitlines()]
    assert sorted(order[:42]) == sorted(3 * [record.id for record in records])
    rows = log(sft)
    assert [row["step"] for row in rows] == [2, 4, 6, 8, 10, 11]
    assert rows[-1]["epoch"] == 3.0
    assert set(rows[0]) == {"step", "epoch", "loss", "learning_rate", "grad_norm"}


def test_the_adapter_is_float32_lora_on_seven_linear_layers(sft: Path) -> None:
    weights = load_file(str(sft / "final/adapter_model.safetensors"))
    assert len(weights) == 2 * 7 * 2  # A and B of seven layers in two blocks
    assert {weight.dtype for weight in weights.values()} == {torch.float32}


def test_metrics_go_through_json(sft: Path) -> None:
    data = json.loads((sft / "metrics.json").read_text())
    for name in ("fingerprint", "files", "digest"):
        del data[name]
    metrics = TrainingMetrics.from_json(data)
    assert metrics.to_json() == data
    assert (metrics.steps, metrics.examples, metrics.device, metrics.dtype) == (11, 14, "cpu", "float32")
    assert 0 < metrics.trained_tokens < metrics.tokens
    assert 0 < metrics.trainable_parameters < metrics.total_parameters


def test_finished_training_is_not_repeated(sft: Path, student: ModelConfig, records: list[Record]) -> None:
    steps: list[int] = []
    again = LoraSft(SftConfig(**FAST)).train(student, records, sft, lambda step, *_: steps.append(step))
    assert steps == []
    assert again.steps == 11


def test_first_loss_is_the_models_own_on_the_answers(
    tmp_path: Path, student: ModelConfig, records: list[Record]
) -> None:
    config = SftConfig(**FAST | {"per_device_train_batch_size": 1, "num_train_epochs": 1.0})
    metrics = LoraSft(config).train(student, records[:1], tmp_path)
    template = supervised.ChatTemplate.from_tokenizer(load_tokenizer(student))
    ids, trained = template.training_ids(records[0].messages())
    labels = torch.tensor([[i if t else -100 for i, t in zip(ids, trained, strict=True)]])
    model = load_causal_lm(student, "float32", "cpu")
    assert metrics.first_loss == pytest.approx(model(torch.tensor([ids]), labels=labels).loss.item(), abs=1e-4)
    assert metrics.trained_tokens == sum(trained)


def test_accumulated_batches_train_like_large_ones(tmp_path: Path, student: ModelConfig, records: list[Record]) -> None:
    calm = FAST | {"lora": {"lora_dropout": 0.0}, "num_train_epochs": 1.0, "logging_steps": 1}
    LoraSft(SftConfig(**calm | {"per_device_train_batch_size": 8})).train(student, records, tmp_path / "large")
    LoraSft(SftConfig(**calm | {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4})).train(
        student, records, tmp_path / "small"
    )
    large, small = ([row["loss"] for row in log(tmp_path / name)] for name in ("large", "small"))
    assert small[0] == pytest.approx(large[0], abs=1e-4)
    assert small == pytest.approx(large, abs=5e-3)  # Adam turns the rounding of tiny gradients into steps


def test_half_precision_weights_still_get_a_float32_adapter(
    tmp_path: Path, student: ModelConfig, records: list[Record]
) -> None:
    metrics = LoraSft(SftConfig(**FAST), dtype="bfloat16").train(student, records, tmp_path)
    weights = load_file(str(tmp_path / "final/adapter_model.safetensors"))
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert metrics.dtype == "bfloat16"
    assert metrics.final_loss < metrics.first_loss - 1.0


def test_the_cpu_head_trains_like_trls_own(
    tmp_path: Path, student: ModelConfig, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    from synthetic_instruction_tuner.training import run_training

    config = PromptTuningConfig(**FAST | {"num_train_epochs": 1.0})
    PromptTuning(config).train(student, records, tmp_path / "ours")
    monkeypatch.setattr(run_training, "PLAIN_DECODERS", ())
    PromptTuning(config).train(student, records, tmp_path / "trl")
    ours, theirs = ([row["loss"] for row in log(tmp_path / name)] for name in ("ours", "trl"))
    assert ours[0] == pytest.approx(theirs[0], abs=1e-4)
    assert ours == pytest.approx(theirs, abs=5e-3)


def test_gradient_checkpointing_trains_the_same(tmp_path: Path, student: ModelConfig, records: list[Record]) -> None:
    for name in ("off", "on"):
        config = SftConfig(**FAST | {"num_train_epochs": 1.0, "gradient_checkpointing": name == "on"})
        LoraSft(config).train(student, records, tmp_path / name)
    off, on = ([row["loss"] for row in log(tmp_path / name)] for name in ("off", "on"))
    assert on[0] == pytest.approx(off[0], abs=1e-4)
    assert on == pytest.approx(off, abs=5e-3)


def test_a_soft_prompt_learns_and_can_start_as_text(
    tmp_path: Path, student: ModelConfig, records: list[Record]
) -> None:
    config = PromptTuningConfig(
        **FAST
        | {"learning_rate": 0.1, "num_train_epochs": 8.0, "num_virtual_tokens": 5, "prompt_tuning_init_text": "abc"}
    )
    metrics = PromptTuning(config).train(student, records, tmp_path)
    weights = load_file(str(tmp_path / "final/adapter_model.safetensors"))
    assert weights["prompt_embeddings"].shape == (5, 32)
    assert metrics.trainable_parameters == 5 * 32
    assert metrics.final_loss < metrics.first_loss - 0.5


@pytest.fixture(scope="module")
def dpo(
    tmp_path_factory: pytest.TempPathFactory, sft: Path, student: ModelConfig, pairs: list[PreferencePair]
) -> Callable[[float, str], Path]:
    """Trains on pairs with a weight of the chosen answers' own loss, in a type; once with each."""

    @cache
    def trained(weight: float, dtype: str) -> Path:
        output, before = tmp_path_factory.mktemp("dpo"), (sft / "final/adapter_model.safetensors").read_bytes()
        config = DpoConfig(**FAST | LEARNS, sft_weight=weight)
        metrics = Dpo(config, dtype=dtype).train(student, sft / "final", pairs, output)
        assert metrics.first_loss == pytest.approx(math.log(2), abs=1e-4 if dtype == "float32" else 1e-3)
        assert metrics.final_loss < 0.3
        assert (sft / "final/adapter_model.safetensors").read_bytes() == before
        return output

    return trained


def test_dpo_starts_at_ln_2_and_widens_the_margin(sft: Path, dpo: Callable[[float, str], Path]) -> None:
    output = dpo(0.0, "float32")
    rows = log(output)
    assert rows[0]["reward_margin"] == pytest.approx(0, abs=1e-3)
    assert rows[-1]["reward_margin"] > 2 and rows[-1]["reward_accuracy"] > 0.9
    assert {"chosen_logps", "rejected_logps"} <= set(rows[0])
    after = load_file(str(output / "final/adapter_model.safetensors"))
    assert set(after) == set(load_file(str(sft / "final/adapter_model.safetensors")))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_chosen_answers_own_loss_is_added_and_told_apart(dpo: Callable[[float, str], Path], dtype: str) -> None:
    plain, both = log(dpo(0.0, "float32")), log(dpo(5.0, dtype))
    assert "sft_loss" not in plain[0]
    assert mean(both[-3:], "chosen_logps") > mean(plain[-3:], "chosen_logps") + 3.0
    assert mean(both[-3:], "sft_loss") < both[0]["sft_loss"] - 0.3
    assert both[0]["grad_norm"] != pytest.approx(plain[0]["grad_norm"], rel=0.1)


def test_the_logged_sft_loss_is_the_sft_policys_on_the_chosen_answers(
    tmp_path: Path, sft: Path, student: ModelConfig, pairs: list[PreferencePair]
) -> None:
    from synthetic_instruction_tuner.training.dpo import tokenize_pairs

    config = DpoConfig(
        **FAST
        | {
            "per_device_train_batch_size": 1,
            "gradient_accumulation_steps": 2,
            "logging_steps": 1,
            "num_train_epochs": 1.0,
        },
        sft_weight=0.5,
    )
    Dpo(config).train(student, sft / "final", pairs[:2], tmp_path)
    model = load_causal_lm(student, "float32", "cpu", adapter=sft / "final")
    template = supervised.ChatTemplate.from_tokenizer(load_tokenizer(student))
    wanted = []
    for pair in tokenize_pairs(pairs[:2], template, 1024).rows:
        labels = [[i if t else -100 for i, t in zip(pair.chosen.ids, pair.chosen.trained, strict=True)]]
        wanted.append(model(torch.tensor([pair.chosen.ids]), labels=torch.tensor(labels)).loss.item())
    assert log(tmp_path)[0]["sft_loss"] == pytest.approx(sum(wanted) / 2, abs=1e-4)


def test_dpo_in_accumulated_batches_trains_like_in_large_ones(
    tmp_path: Path, sft: Path, student: ModelConfig, pairs: list[PreferencePair]
) -> None:
    """Plain DPO; `test_dpo_steps` has the chosen answers' own loss in it."""
    shared = FAST | {"learning_rate": 1e-3, "num_train_epochs": 1.0, "logging_steps": 1}
    for size in (4, 1):
        config = DpoConfig(**shared | {"per_device_train_batch_size": size, "gradient_accumulation_steps": 4 // size})
        Dpo(config).train(student, sft / "final", pairs[:8], tmp_path / str(size))
    large, small = (log(tmp_path / str(size)) for size in (4, 1))
    for name in ("loss", "grad_norm", "chosen_logps"):
        assert [row[name] for row in small] == pytest.approx([row[name] for row in large], rel=2e-2)


def test_both_parts_add_up_with_the_weight(
    tmp_path: Path, sft: Path, student: ModelConfig, pairs: list[PreferencePair], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the trainer itself logs as its loss is what it trains on."""
    from synthetic_instruction_tuner.training import dpo

    seen: list[Any] = []
    monkeypatch.setattr(dpo, "run_training", lambda job, t, *rest: (seen.append(t), run(job, t, *rest))[1])
    run = supervised.run_training
    Dpo(DpoConfig(**FAST, sft_weight=1e5)).train(student, sft / "final", pairs, tmp_path)
    steps = [entry for entry in seen[0].state.log_history if "loss" in entry]
    for entry in steps:
        assert entry["loss"] == pytest.approx(entry["preference_loss"] + 1e5 * entry["sft_loss"], rel=1e-4)


def test_the_reference_is_the_sft_policy_whatever_the_batches(
    tmp_path: Path, sft: Path, student: ModelConfig, pairs: list[PreferencePair], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cached log-probabilities equal those of the merged SFT model, one answer at a time."""
    from synthetic_instruction_tuner.training import dpo

    tables: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(dpo, "save_file", lambda table, path: (tables.append(table), _save(table, path)))
    Dpo(DpoConfig(**FAST)).train(student, sft / "final", pairs, tmp_path)
    model = load_causal_lm(student, "float32", "cpu", adapter=sft / "final")
    template = supervised.ChatTemplate.from_tokenizer(load_tokenizer(student))
    for row, pair in enumerate(dpo.tokenize_pairs(pairs, template, 1024).rows[:3]):
        ids = torch.tensor([pair.rejected.ids])
        logps = model(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        wanted = logps[torch.tensor(pair.rejected.trained[1:])].sum().item()
        assert tables[0]["rejected"][row].item() == pytest.approx(wanted, abs=1e-3)


def _save(table: dict[str, torch.Tensor], path: str) -> None:
    from safetensors.torch import save_file

    save_file(table, path)


def test_a_wrong_reference_is_noticed(
    tmp_path: Path, sft: Path, student: ModelConfig, pairs: list[PreferencePair], monkeypatch: pytest.MonkeyPatch
) -> None:
    from synthetic_instruction_tuner.training import dpo

    wrong = {"chosen": torch.zeros(10), "rejected": torch.zeros(10)}
    monkeypatch.setattr(dpo, "_reference", lambda job, trainer: wrong)
    with pytest.raises(RunError, match="reference is not the policy"):
        Dpo(DpoConfig(**FAST)).train(student, sft / "final", pairs, tmp_path)


def test_a_trained_model_is_gone_at_once(tmp_path: Path, student: ModelConfig, records: list[Record]) -> None:
    """The next student's must not be loaded beside it: on a GPU there may be room for one."""
    config, sft = load_config("nano", overrides=["train.sft.num_train_epochs=1"]), METHODS[0]

    def models() -> set[int]:
        return {id(found) for found in gc.get_objects() if isinstance(found, PreTrainedModel)}

    gc.collect()
    before = models()
    gc.disable()
    try:
        train_student(config, sft, student, records[:2], tmp_path)
        assert models() <= before
    finally:
        gc.enable()


def test_empty_data_is_refused_before_anything_is_loaded(tmp_path: Path, student: ModelConfig) -> None:
    with pytest.raises(UserError, match="no record"):
        LoraSft(SftConfig()).train(student, [], tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_an_adapter_of_another_shape_is_refused_in_plain_words(sft: Path) -> None:
    other = ModelConfig(path="nano:responder-llama")
    with pytest.raises(UserError, match="does not fit its base model"):
        load_causal_lm(other, "float32", "cpu", adapter=sft / "final")


@pytest.mark.parametrize("method", ["sft", "prompt_tuning"])
def test_peft_loads_a_copied_adapter_with_its_base_and_its_tokenizer(
    tmp_path: Path, student: ModelConfig, records: list[Record], method: str
) -> None:
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoTokenizer

    settings = FAST | {"num_train_epochs": 1.0}
    trainer = LoraSft(SftConfig(**settings)) if method == "sft" else PromptTuning(PromptTuningConfig(**settings))
    trainer.train(student, records, tmp_path / "trained")
    copy = (tmp_path / "trained/final").rename(tmp_path / "elsewhere")
    model, tokenizer = AutoPeftModelForCausalLM.from_pretrained(str(copy)), AutoTokenizer.from_pretrained(str(copy))
    own = load_tokenizer(student)
    assert tokenizer.get_vocab() == own.get_vocab() and tokenizer.chat_template == own.chat_template
    ids = torch.tensor([own.encode("red cat")])
    assert torch.isfinite(model(input_ids=ids).logits).all()
    card = (copy / "README.md").read_text()
    assert "library_name: peft" in card and str(Path(student.path).parent) not in card and "base_model:" not in card


def test_a_base_model_of_the_hub_keeps_its_id() -> None:
    from synthetic_instruction_tuner.training.files.adapter_files import base_name, card

    base = ModelConfig(path="org/model", name="![x](http) <script> # a")
    figures: dict[str, object] = {name: 1 for name in TrainingMetrics.__dataclass_fields__} | {"adapted": ("q_proj",)}
    text = card(base, TrainingMetrics(**figures | {"method": "dpo"}))  # type: ignore[arg-type]
    assert base_name(base) == "org/model" and "base_model: org/model" in text and "On another machine" not in text
    local = card(base.model_copy(update={"path": "/some/model"}), TrainingMetrics(**figures | {"method": "dpo"}))  # type: ignore[arg-type]
    assert "/some/model" not in local and "<script>" not in local and "![x](" not in local
    assert base_name(ModelConfig(path="./models/x")) == str(Path.cwd() / "models/x")
