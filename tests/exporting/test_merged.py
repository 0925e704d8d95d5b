"""LoRA adapters merged into their base model, and adapters alone."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from export_bases import base_model, lora, soft_prompt

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.exporting.card import CardFacts, Score
from synthetic_instruction_tuner.exporting.export import Export
from synthetic_instruction_tuner.models.adapters import write_base

IDS = torch.tensor([[7, 20, 33, 99, 5]])
FACTS = CardFacts("LoRA SFT", "mit", [("seed", "1")], ["3 rows"], [Score("mmlu", "acc", 9, 0.5, 0.2, 0.8)])


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base model and a LoRA adapter for it; tests that change them work on copies."""
    root = tmp_path_factory.mktemp("adapted")
    lora(base_model(root / "base", "llama"), root / "adapter")
    return root


def logits(folder: Path, adapter: Path | None = None, **options: Any) -> torch.Tensor:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, **options)
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):  # whose layers have at least 64 columns
            module.support_avx512bf16_for_cpu = False
    model = PeftModel.from_pretrained(model, adapter) if adapter else model
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits


@pytest.mark.parametrize(
    ("arch", "tied", "targets"),
    [
        ("mistral", False, "all-linear"),
        ("gpt2", True, "all-linear"),  # its layers are Conv1D
        ("llama", True, ["q_proj", "lm_head"]),  # the embeddings must not get what is added to the output layer
        ("qwen2", True, ["embed_tokens", "v_proj"]),
    ],
)
def test_the_merged_model_computes_what_the_adapter_does(tmp_path: Path, arch: str, tied: bool, targets: Any) -> None:
    base = base_model(tmp_path / "base", arch, tied=tied)
    adapter = lora(base, tmp_path / "adapter", targets)
    done = Export(ModelConfig(path=str(base)), "sft", adapter).write(tmp_path / "out", FACTS)
    theirs = logits(base, adapter)
    assert (theirs - logits(base)).abs().max() > 0.1
    torch.testing.assert_close(logits(tmp_path / "out"), theirs, rtol=1e-4, atol=1e-4)
    assert done.form == "merged" and done.dtype == "float32" and not done.already
    assert done.difference in (tmp_path / "out/README.md").read_text()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_type_is_that_of_the_files_or_the_one_asked_for(tmp_path: Path, dtype: str) -> None:
    base = base_model(tmp_path / "base", "llama", dtype="bfloat16")
    adapter = lora(base, tmp_path / "adapter")
    model = ModelConfig(path=str(base), load_in_4bit=True)  # trained in 4 bits, merged into the files' own weights
    asked = None if dtype == "bfloat16" else dtype
    done = Export(model, "sft", adapter, dtype=asked, trained_in="nf4").write(tmp_path / "out", FACTS)
    assert done.dtype == dtype == json.loads((tmp_path / "out/config.json").read_text())["dtype"]
    theirs = logits(base, adapter)
    assert (logits(tmp_path / "out") - theirs).abs().max() < 0.1 * float(theirs.abs().max())
    assert "nf4" in (tmp_path / "out/README.md").read_text()


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
def test_weights_that_are_packed_in_the_base_model_s_files_are_unpacked(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    base, packed = base_model(tmp_path / "base", "llama"), tmp_path / "packed"
    four = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    AutoModelForCausalLM.from_pretrained(base, quantization_config=four, device_map={"": "cpu"}).save_pretrained(packed)
    AutoTokenizer.from_pretrained(base).save_pretrained(packed)
    adapter = lora(base, tmp_path / "adapter")
    done = Export(ModelConfig(path=str(packed)), "sft", adapter).write(tmp_path / "out", FACTS)
    assert done.dtype == "bfloat16"
    assert "quantization_config" not in json.loads((tmp_path / "out/config.json").read_text())
    theirs = logits(packed, adapter, device_map={"": "cpu"})
    assert (logits(tmp_path / "out").float() - theirs.float()).abs().max() < 0.1 * float(theirs.abs().max())


def test_an_adapter_alone_is_byte_by_byte_the_same_and_names_no_place(tmp_path: Path) -> None:
    base = base_model(tmp_path / "base", "llama")
    for make, name in ((lora, "sft"), (soft_prompt, "prompt_tuning")):
        adapter, out = make(base, tmp_path / name), tmp_path / f"out-{name}"
        write_base(adapter, ModelConfig(path=str(base), name="mine"))
        done = Export(ModelConfig(path=str(base), name="mine"), name, adapter, alone=True).write(out, FACTS)
        same = "adapter_model.safetensors"
        assert (out / same).read_bytes() == (adapter / same).read_bytes()
        assert {"tokenizer.json", "chat_template.jinja", "generation_config.json", "README.md"} <= set(done.files)
        assert json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"] == "mine"
        assert logits(base, out).shape == logits(base, adapter).shape


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_type_of_an_adapter_alone_is_read_from_its_file(adapted: Path, tmp_path: Path, dtype: str) -> None:
    from safetensors.torch import load_file, save_file

    adapter, name = tmp_path / "adapter", "adapter_model.safetensors"
    shutil.copytree(adapted / "adapter", adapter)
    save_file({n: w.to(getattr(torch, dtype)) for n, w in load_file(adapter / name).items()}, adapter / name)
    model = ModelConfig(path=str(adapted / "base"))
    assert Export(model, "sft", adapter, alone=True).write(tmp_path / "out", FACTS).dtype == dtype
    with pytest.raises(UserError, match="no other type"):
        Export(model, "sft", adapter, alone=True, dtype="float16").write(tmp_path / "second", FACTS)
    assert not (tmp_path / "second").exists()


def test_a_card_that_would_say_something_else_is_written_again(adapted: Path, tmp_path: Path) -> None:
    job = Export(ModelConfig(path=str(adapted / "base")), "sft", adapted / "adapter", alone=True)
    out = tmp_path / "out"
    assert not job.write(out, replace(FACTS, scores=())).already
    assert "It was not evaluated." in (out / "README.md").read_text()
    assert not job.write(out, FACTS).already and "| mmlu |" in (out / "README.md").read_text()
    assert job.write(out, FACTS).already
    assert not job.write(out, FACTS, force=True).already
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("alone", [True, False])
def test_nothing_tells_where_an_export_was_made_and_its_card_has_the_facts(
    adapted: Path, tmp_path: Path, alone: bool
) -> None:
    model = ModelConfig(path=str(adapted / "base"), name="a_b|c")
    Export(model, "sft", adapted / "adapter", alone).write(tmp_path / "out", FACTS)
    for file in (tmp_path / "out").iterdir():
        content = file.read_bytes()
        assert str(tmp_path).encode() not in content and str(adapted).encode() not in content, file.name
        assert file.stat().st_mode & 0o444 == 0o444
    text = (tmp_path / "out/README.md").read_text()
    assert text.startswith(f"---\nlibrary_name: {'peft' if alone else 'transformers'}\n") and "license: mit\n" in text
    assert "| mmlu | acc | 9 | 0.500 [0.200, 0.800] | not evaluated |" in text and "| seed | 1 |" in text
    assert "# a_b\\|c, LoRA SFT" in text


def test_a_base_model_that_is_gone_or_another_is_said(adapted: Path, tmp_path: Path) -> None:
    base, adapter = adapted / "base", tmp_path / "adapter"
    shutil.copytree(adapted / "adapter", adapter)
    write_base(adapter, ModelConfig(path=str(base)))
    other = base_model(tmp_path / "other", "llama", tied=False)
    with pytest.raises(UserError, match="does not fit"):
        Export(ModelConfig(path=str(other)), "sft", adapter).write(tmp_path / "out", FACTS)
    with pytest.raises(UserError, match="cannot be read"):
        Export(ModelConfig(path=str(tmp_path / "gone")), "sft", adapter).write(tmp_path / "out", FACTS)
    assert not (tmp_path / "out").exists()


def test_a_merged_model_that_computes_something_else_is_not_left(
    adapted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft.tuners.lora.layer import Linear

    monkeypatch.setattr(Linear, "merge", lambda self, **_: None)
    with pytest.raises(RunError, match="does not compute what was trained"):
        Export(ModelConfig(path=str(adapted / "base")), "sft", adapted / "adapter").write(tmp_path / "out", FACTS)
    assert not list(tmp_path.iterdir())
