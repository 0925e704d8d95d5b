"""Families of models: names decide, then the architecture; unknown models are of a family of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthetic_instruction_tuner.config import ModelConfig, load_config
from synthetic_instruction_tuner.models.families import families


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", {"llama"}),
        ("meta-llama/Meta-Llama-3-8B", {"llama"}),
        ("lmsys/vicuna-13b-v1.3", {"llama"}),
        ("allenai/Llama-3.1-Tulu-3-8B", {"llama"}),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", {"llama"}),
        ("Qwen/Qwen2.5-3B-Instruct", {"qwen"}),
        ("Qwen/QwQ-32B", {"qwen"}),
        ("opencompass/CompassJudger-2-7B-Instruct", {"qwen"}),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", {"deepseek", "qwen"}),
        ("mistralai/Mistral-7B-v0.3", {"mistral"}),
        ("mistralai/Ministral-8B-Instruct-2410", {"mistral"}),
        ("prometheus-eval/prometheus-7b-v2.0", {"mistral"}),
        ("HuggingFaceH4/zephyr-7b-beta", {"mistral"}),
        ("microsoft/phi-4", {"phi"}),
        ("microsoft/Phi-3.5-mini-instruct", {"phi"}),
        ("Skywork/Skywork-Reward-V2-Llama-3.1-8B", {"llama"}),
        ("OpenAssistant/reward-model-deberta-v3-large-v2", {"deberta"}),
        ("google/gemma-2-9b-it", {"gemma"}),
        ("gpt-4o-2024-08-06", {"gpt"}),
        ("openai/gpt-oss-20b", {"gpt"}),
        ("o3-mini", {"gpt"}),
        ("gpt2", {"gpt2"}),
        ("claude-sonnet-4", {"claude"}),
        ("philosophy/sapphire", {"philosophy/sapphire"}),
        ("/data/llama-things/my-judge", {"/data/llama-things/my-judge"}),
        ("nano:student-llama", {"nano"}),
        ("nano:reward", {"nano"}),
    ],
)
def test_names_tell_the_family(path: str, found: set[str]) -> None:
    assert families(ModelConfig(path=path)) == found


def test_the_name_on_a_server_and_the_short_name_count() -> None:
    assert families(ModelConfig(path="judge", served_as="Qwen2.5-72B-Instruct-AWQ")) == {"qwen"}
    assert families(ModelConfig(path="/models/a", name="my-Mistral")) == {"mistral"}


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"model_type": "llama"}, {"llama"}),
        ({"model_type": "phi3"}, {"phi"}),
        ({"model_type": "qwen3_moe"}, {"qwen"}),
        ({"model_type": "strange"}, {"strange"}),
        ({"model_type": "llama", "_name_or_path": "/x/models--01-ai--Yi-1.5-9B"}, {"yi"}),
        ({"model_type": 7}, None),
        ({}, None),
    ],
)
def test_a_folder_without_a_telling_name_is_of_its_architecture(
    tmp_path: Path, config: dict[str, object], found: set[str] | None
) -> None:
    folder = tmp_path / "tuned"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    assert families(ModelConfig(path=str(folder))) == (found or {str(folder).casefold()})
    (folder / "config.json").write_text("{")
    assert families(ModelConfig(path=str(folder))) == {str(folder).casefold()}


@pytest.mark.parametrize("profile", ["t4", "a100", "h200"])
def test_phi_4_is_no_relative_of_what_the_profiles_use(profile: str) -> None:
    models = load_config(profile).models
    used = [models.generator, models.reward, *models.students]
    assert all(not families(model) & families(ModelConfig(path="microsoft/phi-4")) for model in used)
