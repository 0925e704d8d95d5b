"""Which layers LoRA adapts, and how long texts may be, in small models of many architectures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from random_models import byte_tokenizer
from synthetic_instruction_tuner.config import (
    DpoConfig,
    LoraShape,
    ModelConfig,
    PromptTuningConfig,
    SftConfig,
    load_config,
)
from synthetic_instruction_tuner.engines.base import Request
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.adapters import load_soft_prompt
from synthetic_instruction_tuner.models.architecture import empty_model, learned_positions, longest_text
from synthetic_instruction_tuner.models.loading import load_causal_lm
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.run.checks.student_checks import check_students
from synthetic_instruction_tuner.training.dpo import Dpo
from synthetic_instruction_tuner.training.lora_sft import LoraSft, with_lora
from synthetic_instruction_tuner.training.lora_targets import find_targets
from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning
from tiny_families import tiny_model

PLAN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
OLD = {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"}
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
GPT = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
GATED = SIZES | {"intermediate_size": 32, "num_key_value_heads": 1}
# model type -> its sizes, what LoRA finds, and the number of its positions where it has a table of them
ARCHITECTURES: dict[str, tuple[dict[str, Any], set[str], int | None]] = {
    "llama": (GATED, set(PLAN), None),
    "qwen2": (GATED, set(PLAN), None),
    "mistral": (GATED, set(PLAN), None),
    "gpt2": (GPT, {"c_attn", "c_proj", "c_fc"}, 32),
    "gpt_neox": (SIZES | {"intermediate_size": 32}, OLD, None),
    "phi3": (GATED | {"pad_token_id": 0}, {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"}, None),
    "bloom": (SIZES | {"n_layer": 2, "n_head": 2}, OLD, None),
    "falcon": (SIZES, OLD, None),
    "opt": (SIZES | {"ffn_dim": 32, "max_position_embeddings": 32, "word_embed_proj_dim": 16},
            {"q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"}, 32),
    "mpt": ({"d_model": 16, "n_layers": 2, "n_heads": 2, "max_seq_len": 32},
            {"Wqkv", "out_proj", "up_proj", "down_proj"}, 32),
    "gptj": (GPT | {"rotary_dim": 4}, {"q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"}, 32),
    "mamba": (SIZES | {"state_size": 4}, {"in_proj", "x_proj"}, None),
    "mixtral": (GATED | {"num_local_experts": 4}, {"q_proj", "k_proj", "v_proj", "o_proj"}, None),
    "qwen2_moe": (GATED | {"num_experts": 4, "moe_intermediate_size": 8, "shared_expert_intermediate_size": 8},
                  {"q_proj", "k_proj", "v_proj", "o_proj"}, None),
}  # fmt: skip


def made(kind: str, words: int = 64) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, vocab_size=words, **ARCHITECTURES[kind][0])
    config.bos_token_id = config.eos_token_id = None
    return AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_auto_finds_layers_that_learn_and_only_those(kind: str) -> None:
    base, (_, wanted, _) = made(kind), ARCHITECTURES[kind]
    targets = find_targets(base, LoraShape().target_modules)
    assert set(targets.names) == wanted
    tuned = LoraSft(SftConfig()).add_adapter(base, None)
    assert len(tuned.base_model.targeted_module_names) == targets.layers
    assert not any("experts" in name or "lm_head" in name for name, p in tuned.named_parameters() if p.requires_grad)
    ids = torch.arange(12)[None] + 4
    tuned(input_ids=ids, labels=ids).loss.backward()
    still = [n for n, p in tuned.named_parameters() if "lora_B" in n and (p.grad is None or not p.grad.any())]
    assert still == []


FAMILIES = {  # what is left out, as a part of the note
    "bart": "cross-attention", "big_bird": "poolers", "deepseek_v3": "gate_proj", "deepseek_v32": "indexers",
    "deepseek_v4": "within groups", "longcat_flash": "routers", "falcon": "",
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_what_auto_says_is_what_is_adapted(family: str) -> None:
    """Also where an architecture has layers of its own kind, or PEFT takes names of dense layers for experts'."""
    base = tiny_model(family)
    targets = find_targets(base, ["auto"])
    assert FAMILIES[family] in targets.describe()
    tuned = LoraSft(SftConfig()).add_adapter(base, None)
    assert len(tuned.base_model.targeted_module_names) == targets.layers
    tuned(input_ids=torch.arange(12)[None] + 4).logits.square().mean().backward()
    learn = [p.grad is not None and bool(p.grad.any()) for n, p in tuned.named_parameters() if "lora_B" in n]
    assert sum(learn) >= len(learn) - 1  # the compressor of longer texts sees nothing of a short one


def test_the_plan_s_names_leave_experts_out_and_say_so() -> None:
    base = made("qwen2_moe")
    targets = find_targets(base, PLAN)
    assert (
        set(targets.names) == {"q_proj", "k_proj", "v_proj", "o_proj"} and "left out: gate_proj" in targets.notes()[0]
    )
    tuned = with_lora(base, LoraShape(target_modules=list(PLAN)))
    assert len(tuned.base_model.targeted_module_names) == targets.layers
    with pytest.raises(UserError, match="names of experts"):
        find_targets(base, ["gate_proj", "up_proj"])


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_the_positions_of_a_model_are_known(kind: str) -> None:
    model, (_, _, positions) = made(kind).eval(), ARCHITECTURES[kind]
    assert learned_positions(model) == positions
    if positions:
        model(input_ids=torch.full((1, positions), 5))
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=torch.full((1, positions + 1), 5))


def test_names_of_the_user_are_looked_up() -> None:
    model = made("gpt2")
    assert find_targets(model, ["c_attn"]).notes() == []
    part = find_targets(model, (*PLAN[:2], "attn.c_proj"))
    assert part.missing == ("q_proj", "k_proj") and part.layers == 2 and "no q_proj, k_proj" in part.notes()[0]
    with pytest.raises(UserError, match="finds nothing") as error:
        find_targets(model, ["c_atn"])
    assert "Did you mean c_attn?" in error.value.fix
    with pytest.raises(UserError, match="cannot adapt"):
        find_targets(model, ["mlp"])
    with pytest.raises(UserError, match="cannot adapt"):
        find_targets(made("mamba"), ["out_proj"])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """GPT-2 and MPT, which have 32 positions, with a tokenizer of one token per byte."""
    found = {}
    tokenizer = byte_tokenizer("{% for m in messages %}{{ m['content'] }}<|im_end|>{% endfor %}")
    for kind in ("gpt2", "mpt"):
        found[kind] = tmp_path_factory.mktemp(kind)
        made(kind, len(tokenizer)).save_pretrained(found[kind])
        tokenizer.save_pretrained(found[kind])
    return found


@pytest.mark.parametrize("kind", ["gpt2", "mpt"])
def test_training_and_asking_stay_within_the_positions(folders: dict[str, Path], kind: str, tmp_path: Path) -> None:
    model = ModelConfig(path=str(folders[kind]))
    once: dict[str, Any] = {"num_train_epochs": 1, "max_length": 400}
    records = [Record(str(i), "Why is it so?", "It is so " * (1 + 9 * i)) for i in range(4)]
    pairs = [PreferencePair("p", "0", "Why?", "Because " * 30, "So " * 30, "a", "b", 1.0, 0.0)]
    sft = LoraSft(SftConfig(**once)).train(model, records, tmp_path / "sft")
    assert sft.truncated == 3 and sft.adapted and sft.adapted_layers == 8
    prompt = PromptTuning(PromptTuningConfig(num_virtual_tokens=12, **once)).train(model, records, tmp_path / "pt")
    assert prompt.tokens == 4 * 20 and prompt.adapted == []
    assert Dpo(DpoConfig(**once)).train(model, tmp_path / "sft" / "final", pairs, tmp_path / "dpo").tokens == 64
    with pytest.raises(UserError, match="soft prompt does not fit"):
        longest_text(model, 400, 31)
    for soft in (None, load_soft_prompt(tmp_path / "pt" / "final")):
        engine = TransformersEngine(
            load_causal_lm(model, "float32", "cpu"), 0, batch_size=2, device="cpu", soft_prompt=soft
        )
        room = 32 - (12 if soft is not None else 0)
        texts = engine.generate([Request(tuple(range(5, 5 + n)), 0, 100, ()) for n in (3, 10, 40)])
        assert [len(text.token_ids) for text in texts] == [room - 3, room - 10, 0] and texts[2].finish_reason == "error"
        (long, _), (cut, _) = engine.loglikelihood([([7] * 60, [8, 9]), ([7] * (room - 2), [8, 9])])
        assert long == pytest.approx(cut)
    card = (tmp_path / "sft" / "final" / "README.md").read_text()
    assert "LoRA beside 8 layers" in card


def test_what_cannot_be_tuned_is_found_before_a_run(folders: dict[str, Path]) -> None:
    def checks(*more: str) -> list[tuple[bool, str]]:
        config = load_config(overrides=[f"models.students={folders['gpt2']}", *more])
        return [(check.ok, check.found) for check in check_students(config)]

    assert load_config().train.sft.lora.target_modules == PLAN and check_students(load_config()) == []
    few = ["train.prompt_tuning.num_virtual_tokens=8"]
    assert checks(*few) == [(True, "adapts c_attn, c_proj, c_fc: 8 layers")]
    assert checks(*few, "train.sft.lora.target_modules=auto")[0][0]
    assert not checks(*few, "train.sft.lora.target_modules=[q_proj]")[0][0]
    assert not checks("train.prompt_tuning.num_virtual_tokens=32")[0][0]
    (nano,) = check_students(
        load_config(overrides=["models.students=nano:student-llama", "train.sft.lora.target_modules=[x]"])
    )
    assert not nano.ok and "no modules of these names" in nano.found


def test_a_model_without_memory_has_the_layers_of_the_loaded_one(folders: dict[str, Path]) -> None:
    model = ModelConfig(path=str(folders["gpt2"]))
    empty, loaded = empty_model(model), load_causal_lm(model, "float32", "cpu")
    assert {p.device.type for p in empty.parameters()} == {"meta"}
    assert find_targets(empty, ("auto",)) == find_targets(loaded, ("auto",))
