"""Weights in either format, whole and damaged: what is wrong is found from headers, before anything is loaded."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from synthetic_instruction_tuner.config import EngineConfig, ModelConfig, PreferConfig, load_config
from synthetic_instruction_tuner.models.availability import availability
from synthetic_instruction_tuner.models.file_checks.checked_files import Unsound
from synthetic_instruction_tuner.models.file_checks.soundness import folder_fault
from synthetic_instruction_tuner.models.file_checks.weight_files import tensors, wanted_weights
from synthetic_instruction_tuner.models.files import identity, local_folder, shape
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.models.loading import load_causal_lm, load_reward_model, weights_fault
from synthetic_instruction_tuner.preference.reward.model import open_reward_model
from synthetic_instruction_tuner.records import Message
from synthetic_instruction_tuner.run.checks.model_checks import check_models

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 1740000000\n"
IMPOSTORS = {
    "a pointer": (POINTER, "Git LFS"),
    "a page": (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "web page"),
    "a page with a line before it": (b"\n <html lang='en'>", "web page"),
    "a message": (b'{"error":"Repository not found"}', "text"),
    "plain words": (b"Access to model x is restricted.", "text"),
    "nothing": (b"", "empty"),
    "zeros": (bytes(5000), ""),
}


def pickled(name: str, folder: Path, parts: int = 1, old: bool = False) -> Path:
    """Writes a copy of an embedded model with its weights in PyTorch's format."""
    source = local_folder(ModelConfig(path=name))
    assert source is not None
    copy = Path(shutil.copytree(source, folder))
    state = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    names = sorted(state)
    places = {key: f"pytorch_model-{i % parts + 1:05}-of-{parts:05}.bin" for i, key in enumerate(names)}
    if parts == 1:
        places = dict.fromkeys(names, "pytorch_model.bin")
    else:
        (copy / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    for file in set(places.values()):
        part = {key: state[key] for key in names if places[key] == file}
        torch.save(part, copy / file, _use_new_zipfile_serialization=not old)
    return copy


@pytest.mark.parametrize(("parts", "old"), [(1, False), (3, False), (1, True), (2, True)])
def test_pytorch_weights_are_the_same_model(tmp_path: Path, parts: int, old: bool) -> None:
    folder = pickled("nano:student-llama", tmp_path / "m", parts, old)
    model, embedded = ModelConfig(path=str(folder)), ModelConfig(path="nano:student-llama")
    assert folder_fault(folder, reward=False) is None and weights_fault(model, reward=False) is None
    assert shape(model) == shape(embedded)
    ours, theirs = load_causal_lm(model, "float32", "cpu"), load_causal_lm(embedded, "float32", "cpu")
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_safetensors_are_preferred(tmp_path: Path) -> None:
    folder = pickled("nano:student-llama", tmp_path / "m")
    source = local_folder(ModelConfig(path="nano:student-llama"))
    assert source is not None
    alone = identity(ModelConfig(path=str(folder)))["content"]
    folder = Path(shutil.copytree(folder, tmp_path / "both"))
    shutil.copy(source / "model.safetensors", folder)
    both = identity(ModelConfig(path=str(folder)))["content"]
    (folder / "pytorch_model.bin").write_bytes(b"not looked at")
    assert folder_fault(folder) is None and load_causal_lm(ModelConfig(path=str(folder)), "float32", "cpu")
    assert alone != both


# The fields of the configuration of OpenAssistant/reward-model-deberta-v3-large-v2, with small numbers.
DEBERTA = {
    "architectures": ["DebertaV2ForSequenceClassification"], "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "hidden_size": 16, "id2label": {"0": "LABEL_0"}, "initializer_range": 0.02,
    "intermediate_size": 32, "label2id": {"LABEL_0": 0}, "layer_norm_eps": 1e-07, "max_position_embeddings": 512,
    "max_relative_positions": -1, "model_type": "deberta-v2", "norm_rel_ebd": "layer_norm", "num_attention_heads": 2,
    "num_hidden_layers": 2, "pad_token_id": 0, "pooler_dropout": 0, "pooler_hidden_act": "gelu",
    "pooler_hidden_size": 16, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "position_buckets": 256,
    "relative_attention": True, "share_att_key": True, "torch_dtype": "float32", "transformers_version": "4.25.1",
    "type_vocab_size": 0,
}  # fmt: skip


def test_the_plan_s_reward_model_is_found_loaded_and_asked(tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder = pickled("nano:reward", tmp_path / "reward")
    words = json.loads((folder / "config.json").read_text())["vocab_size"]
    (folder / "config.json").write_text(json.dumps(DEBERTA | {"vocab_size": words}))
    made = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(folder))
    extra = {"deberta.embeddings.position_ids": torch.arange(512)[None]}
    torch.save(made.state_dict() | extra, folder / "pytorch_model.bin")
    config = load_config(overrides=[f"models.reward={folder}"])
    assert [check.found for check in check_models(config) if not check.ok] == []
    found = shape(config.models.reward)
    assert found and (found.layers, found.hidden, found.vocabulary) == (2, 16, words)
    with open_reward_model(config.models.reward, PreferConfig(), EngineConfig(), detect("cpu")) as reward:
        first, second = reward.score(
            [([Message("user", "Why?")], "Because."), ([Message("user", "Who?")], "I. " * 700)]
        )
    assert reward.pairs and first == first and second == second and first != second


def test_what_is_more_than_tensors_is_refused_and_not_run(tmp_path: Path) -> None:
    class Call:
        def __reduce__(self) -> Any:
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    folder = pickled("nano:student-llama", tmp_path / "m")
    good = torch.load(folder / "pytorch_model.bin", weights_only=True)
    for content in ({"a": Call()}, good | {"step": 3}, {"model": good}, [1], good | {"c": Call()}):
        torch.save(content, folder / "pytorch_model.bin")
        fault = folder_fault(folder)
        assert fault and "more than tensors" in fault.reason and "safetensors" in fault.fix
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))
    assert (fault := folder_fault(folder)) and "PyTorch checkpoint" in fault.reason
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("content", "word"), IMPOSTORS.values(), ids=IMPOSTORS)
@pytest.mark.parametrize("parts", [1, 2])
def test_what_stands_in_for_weights_is_named(tmp_path: Path, content: bytes, word: str, parts: int) -> None:
    folder = pickled("nano:student-llama", tmp_path / "m", parts)
    file = sorted(folder.glob("*.bin"))[-1]
    file.write_bytes(content)
    fault = folder_fault(folder)
    assert fault and word in fault.reason and file.name in fault.reason and fault.fix
    file.rename(folder / "model.safetensors")
    fault = folder_fault(folder)
    assert fault and word in fault.reason and "model.safetensors" in fault.reason and fault.fix


@pytest.mark.parametrize("old", [False, True])
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255))))
def test_a_cut_file_is_found_and_a_damaged_one_raises_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, old: bool, share: float, flips: list[tuple[float, int]]
) -> None:
    file = tmp_path_factory.mktemp("w") / "pytorch_model.bin"
    torch.save({"a": torch.ones(7, 3), "b": torch.zeros(5)[1:3]}, file, _use_new_zipfile_serialization=not old)
    whole = file.read_bytes()
    assert tensors(file) == {"a": (7, 3), "b": (2,)}
    changed = bytearray(whole)
    for place, bit in flips:
        changed[min(int(place * len(whole)), len(whole) - 1)] ^= bit
    for content, sound in ((whole[: int(share * len(whole))], False), (bytes(changed), None)):
        file.unlink()
        file.write_bytes(content)
        try:
            tensors(file)
            assert sound is not False
        except ValueError as error:
            assert str(file) in str(error)


def _missing_part(folder: Path) -> None:
    sorted(folder.glob("*.bin"))[0].unlink()


def _no_index(folder: Path) -> None:
    (folder / "pytorch_model.bin.index.json").unlink()


def _other_width(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": config["intermediate_size"] * 2}))


def _more_layers(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 9}))


def _no_architecture(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "nobody_knows"}))


def _no_dtype(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float99"}))


DAMAGES: list[Callable[[Path], None]] = [
    _missing_part,
    _no_index,
    _other_width,
    _more_layers,
    _no_architecture,
    _no_dtype,
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("role", ["generator", "responders.0", "students.0"])
def test_every_role_s_damage_is_found_before_a_run(tmp_path: Path, damage: Callable[[Path], None], role: str) -> None:
    damage(folder := pickled("nano:student-llama", tmp_path / "m", 2))
    bad = [check for check in check_models(load_config(overrides=[f"models.{role}={folder}"])) if not check.ok]
    assert len(bad) == 1 and bad[0].fix and "Something unexpected" not in bad[0].found


def test_a_cut_archive_of_the_reward_model_is_found(tmp_path: Path) -> None:
    folder = pickled("nano:reward", tmp_path / "r")
    file = folder / "pytorch_model.bin"
    file.write_bytes(file.read_bytes()[:-1000])
    bad = [check for check in check_models(load_config(overrides=[f"models.reward={folder}"])) if not check.ok]
    assert len(bad) == 1 and "cut off" in bad[0].found
    with pytest.raises(Exception, match="cut off"):
        load_reward_model(ModelConfig(path=str(folder)), "float32", "cpu")


def test_an_archive_that_claims_much_allocates_nothing(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10**7))
    with pytest.raises(ValueError, match="PyTorch did not write"):
        tensors(file)


@pytest.mark.parametrize("error", [EOFError(), RuntimeError("encrypted"), OSError(22, "Invalid argument")])
def test_whatever_reading_an_archive_raises_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object) -> bytes:
        raise error

    file = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.zeros(3)}, file)
    monkeypatch.setattr(zipfile.ZipFile, "read", fails)
    with pytest.raises(Unsound, match="damaged"):
        tensors(file)


def test_which_files_of_a_repository_are_downloaded() -> None:
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    old = [name.replace("model", "pytorch_model").replace("safetensors", "bin") for name in parts]
    assert wanted_weights(["model.safetensors", "pytorch_model.bin", "a.bin"]) == ["model.safetensors"]
    assert wanted_weights([*parts, "model.safetensors.index.json", "pytorch_model.bin", "x.safetensors"]) == parts
    assert wanted_weights([*old, "pytorch_model.bin.index.json", "training_args.bin"]) == old
    assert wanted_weights(["pytorch_model.bin", "tf_model.h5"]) == ["pytorch_model.bin"]
    assert wanted_weights(["consolidated.safetensors", "training_args.bin"]) == []


SMALL = {"n_layer": 2, "n_embd": 24, "n_head": 3, "vocab_size": 40}
CONFIGS = [
    SMALL,
    {"num_layers": 2, "d_model": 24, "num_heads": 3, "vocab_size": 40},
    {"text_config": {"num_hidden_layers": 2, "hidden_size": 24, "num_attention_heads": 3, "vocab_size": 40}},
    {"model_type": "of_tomorrow"},
]


@pytest.mark.parametrize("config", CONFIGS)
def test_sizes_have_many_names(tmp_path: Path, config: dict[str, Any]) -> None:
    blocks = {f"h.{layer}.{name}.weight": torch.zeros(24, 24) for layer in range(2) for name in "ab"}
    save_file({"wte.weight": torch.zeros(40, 24), **blocks}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = shape(ModelConfig(path=str(tmp_path)))
    assert found and (found.parameters, found.layers, found.hidden, found.vocabulary) == (40 * 24 + 4 * 576, 2, 24, 40)
    (tmp_path / "model.safetensors").unlink()
    if config != CONFIGS[-1]:
        assert (guess := shape(ModelConfig(path=str(tmp_path)))) and 1e4 < guess.parameters < 3e4


def test_a_model_without_weights_is_not_available(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SMALL | {"model_type": "gpt2"}))
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    fault = availability(ModelConfig(path=str(tmp_path))).fault
    assert fault and "model.gguf is not read" in fault.reason
