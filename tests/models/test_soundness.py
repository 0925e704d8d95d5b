"""Whatever a model's files say, the checks name the file and the fault; nothing hangs and nothing is allocated."""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.cli import app
from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.availability import availability
from synthetic_instruction_tuner.models.file_checks.soundness import folder_fault, stated_size
from synthetic_instruction_tuner.models.files import embedded_models, identity, local_folder, shape
from synthetic_instruction_tuner.models.loading import load_causal_lm, load_tokenizer, resolve, weights_fault

SOURCE = local_folder(ModelConfig(path="nano:student-llama"))
DEEP = "[" * 500 + "]" * 500
JSON_FILES = ("config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json")
SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
Damage = Callable[[Path], None]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    assert SOURCE is not None
    return Path(shutil.copytree(SOURCE, tmp_path / "model"))


def _write(content: str | bytes) -> Damage:
    return lambda file: _bytes(file, content.encode() if isinstance(content, str) else content)


def _bytes(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def _fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _dangling(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere")


DAMAGES: dict[str, Damage] = {
    "empty": _write(""),
    "nested": _write('{"a": ' + DEEP + "}"),
    "nested a lot": _write("[" * 100_000),
    "cut off": lambda file: _bytes(file, file.read_bytes()[:-20]),
    "a list": _write("[1]"),
    "a BOM": lambda file: _bytes(file, b"\xef\xbb\xbf" + file.read_bytes()),
    "not UTF-8": _write(b'{"a": "\xff"}'),
    "a pipe": _fifo,
    "a folder": _folder,
    "a link to nothing": _dangling,
}


@pytest.mark.parametrize("name", JSON_FILES)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_json_file_is_named(model: Path, name: str, damage: Damage) -> None:
    if not (model / name).exists():
        (model / name).write_text('{"a": {"b": ["a long enough text"]}}')
    damage(model / name)
    fault = folder_fault(model)
    assert fault is not None and name in fault.reason and fault.fix
    found = ModelConfig(path=str(model))
    shape(found), identity(found)
    with pytest.raises(UserError, match=name):
        load_tokenizer(found)


def _header(text: str, length: int | None = None, data: int = 0) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text.encode() + b"\0" * data


TENSOR = '{"a": {"dtype": "%s", "shape": [%s], "data_offsets": [%s]}}'
HEADERS = {
    "empty": b"",
    "short": b"\1\0",
    "longer than the file": _header("{}", 10**6),
    "10^15": _header("{}", 10**15),
    "2^64 - 1": _header("{}", 2**64 - 1),
    "no JSON": _header("{no"),
    "nested": _header('{"a":' + DEEP + "}"),
    "a list": _header("[1, 2]"),
    "no tensors": _header("{}"),
    "wrong dtype": _header(TENSOR % ("F99", "1", "0, 4"), data=4),
    "overlapping": _header('{"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}, '
                           '"b": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}}', data=3),
    "wrong size": _header(TENSOR % ("F32", "2", "0, 4"), data=4),
    "negative": _header(TENSOR % ("F32", "-1", "0, 4"), data=4),
    "huge": _header(TENSOR % ("F32", "1000000000000, 1000000000000", "0, 4"), data=4),
    "past the end": _header(TENSOR % ("F32", "1", "0, 400"), data=4),
}  # fmt: skip


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_damaged_weights_are_named(model: Path, content: bytes) -> None:
    (model / "model.safetensors").write_bytes(content)
    fault = folder_fault(model)
    assert fault is not None and "model.safetensors" in fault.reason
    found = ModelConfig(path=str(model))
    shape(found), identity(found)
    with pytest.raises(UserError, match=r"model\.safetensors"):
        load_causal_lm(found, "float32", "cpu")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(SIZES),
    st.one_of(
        st.none(), st.booleans(), st.text(), st.integers(max_value=0), st.integers(min_value=10**12),
        st.floats(), st.lists(st.integers()), st.dictionaries(st.text(), st.integers()),
    ),
)  # fmt: skip
def test_a_size_that_is_no_size_is_named(model: Path, name: str, value: object) -> None:
    assert SOURCE is not None
    config = json.loads((SOURCE / "config.json").read_text())
    if value == config[name] and not isinstance(value, bool):
        return
    if isinstance(value, float) and value == int(value if value - value == 0 else 0) and 0 < value < 10**9:
        return
    (model / "config.json").write_text(json.dumps(config | {name: value}))
    fault = folder_fault(model)
    assert fault is not None and "config.json" in fault.reason
    assert name in fault.reason or (isinstance(value, float) and not math.isfinite(value)), "which is no JSON at all"
    shape(ModelConfig(path=str(model)))


def test_a_vocabulary_that_the_weights_lack(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"vocab_size": 10**6}))
    fault = folder_fault(model)
    assert fault is not None and "1,000,000" in fault.reason and "2,048" in fault.reason


def test_layers_that_the_weights_lack_are_not_made_up(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    more = config["num_hidden_layers"] + 1
    (model / "config.json").write_text(json.dumps(config | {"num_hidden_layers": more, "layer_types": None}))
    with pytest.raises(UserError, match="not whole"):
        load_causal_lm(ModelConfig(path=str(model)), "float32", "cpu")


@pytest.mark.parametrize("index", ["{}", '{"weight_map": []}', '{"weight_map": {"a": "../model.safetensors"}}'])
def test_a_damaged_index_is_named(model: Path, index: str) -> None:
    (model / "model.safetensors").rename(model / "model-00001-of-00001.safetensors")
    (model / "model.safetensors.index.json").write_text(index)
    fault = folder_fault(model)
    assert fault is not None and "model.safetensors.index.json" in fault.reason


def test_a_missing_part_is_named(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00002.safetensors"}}')
    fault = folder_fault(model)
    assert fault is not None and "model-00002.safetensors is not there" in fault.reason


@pytest.mark.parametrize("path", ["x" * 5000, "/" + "x/" * 2500, "a\0b", "./a\0b", "~", "~nobody-here/x", "{file}"])
def test_a_path_that_is_no_folder_of_a_model(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("text")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # the settings refuse some of these earlier
    model = ModelConfig.model_construct(path=path.replace("{file}", str(tmp_path / "file")), name="m")
    fault = availability(model).fault
    assert fault is not None and fault.fix and len(fault.reason) < 500 and "\0" not in fault.reason
    identity(model), shape(model)
    if local_folder(model) is not None:
        with pytest.raises(UserError):
            resolve(model)


def test_roles_need_their_heads() -> None:
    for path in embedded_models():
        rewards = path == "nano:reward"
        assert (availability(ModelConfig(path=path), reward=True).fault is None) is rewards
        assert (availability(ModelConfig(path=path), reward=False).fault is None) is not rewards


@pytest.mark.parametrize("verb", ["plan", "run", "doctor"])
def test_every_command_says_so_before_any_work(
    model: Path, verb: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (model / "config.json").write_text('{"a": ' + DEEP + "}")
    code = app._exit_code([verb, "--set", f"models.students.0={model}", "--set", f"models.generator={model}"])
    out, error = capsys.readouterr()
    said = "".join((out + error).split())
    assert code == (1 if verb == "doctor" else 2)
    assert "unexpected" not in said and "config.jsonisnestedtoodeeply" in said
    assert not (tmp_path / "runs").exists()


ODD_FIELDS = {
    "tokenizer_config.json": {
        "tokenizer_class": [3], "model_max_length": ["long", True], "padding_side": ["up", 1], "truncation_side": [3],
        "eos_token": [3, ["a"], {"content": "a"}], "pad_token": [{"__type": "AddedToken"}],
        "chat_template": [3, {}, ["x"], [{"name": "default"}], [{"name": 3, "template": 4}]],
        "added_tokens_decoder": [3, {"x": {"content": "a"}}, {"3": "a"}], "extra_special_tokens": [3, [1], {"a": 1}],
        "additional_special_tokens": ["x", [1]], "model_input_names": [3, [3]],
    },
    "config.json": {
        "dtype": ["float99"], "torch_dtype": ["flo"], "quantization_config": [3, {}, {"bits": 4}, "gptq"],
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "field", "value"), [(n, f, v) for n, fs in ODD_FIELDS.items() for f, vs in fs.items() for v in vs]
)
def test_a_field_of_another_type_is_named(model: Path, name: str, field: str, value: object) -> None:
    found = json.loads((model / name).read_text())
    (model / name).write_text(json.dumps(found | {field: value}))
    fault = folder_fault(model)
    assert fault is not None and name in fault.reason and field in fault.reason and fault.fix


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_part_that_is_another_one_is_named(model: Path, suffix: str) -> None:
    """Two parts of which one has been saved under both names."""
    import torch
    from safetensors.torch import load_file, save_file

    whole, stem = load_file(model / "model.safetensors"), "model" if suffix == "safetensors" else "pytorch_model"
    (model / "model.safetensors").unlink()
    names = list(whole)
    places = {name: f"{stem}-{1 + place % 2}.{suffix}" for place, name in enumerate(names)}
    first = {name: whole[name] for name in names[::2]}
    for number in (1, 2):
        file = model / f"{stem}-{number}.{suffix}"
        save_file(first, file) if suffix == "safetensors" else torch.save(first, file)
    index = f"{stem}.{suffix}.index.json"
    (model / index).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    fault = folder_fault(model)
    assert fault is not None and f"{stem}-2.{suffix} has no {names[1]}" in fault.reason and index in fault.reason


def test_packed_weights_whose_library_is_not_here_are_told_before_a_run(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    packed = {"quant_method": "gptq", "bits": 4}
    (model / "config.json").write_text(json.dumps(config | {"quantization_config": packed}))
    found = weights_fault(ModelConfig(path=str(model)), reward=False)
    assert found is not None and "gptq" in found.reason


def test_a_size_may_differ_from_layer_to_layer(model: Path) -> None:
    """Gemma 3n states the width of each layer; Nemotron-H states the kinds of its layers and no number of them."""
    config = json.loads((model / "config.json").read_text())
    width, layers = config["intermediate_size"], config["num_hidden_layers"]
    (model / "config.json").write_text(json.dumps(config | {"intermediate_size": [width] * layers}))
    assert folder_fault(model) is None
    found = shape(ModelConfig(path=str(model)))
    assert found is not None and found.inner == width
    (model / "config.json").write_text(json.dumps(config | {"intermediate_size": [width, 0]}))
    fault = folder_fault(model)
    assert fault is not None and "intermediate_size" in fault.reason
    assert stated_size({"layers_block_type": ["mamba", "attention", "moe"]}, "layers") == 3
    assert stated_size({"hybrid_override_pattern": "M-M*"}, "layers") == 4


def test_a_window_of_0_is_none(model: Path) -> None:
    """Transformers saves a Qwen2-MoE without a window so."""
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"sliding_window": 0}))
    assert folder_fault(model) is None
