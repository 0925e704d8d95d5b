"""Whatever the fields of a model's files hold, the model works or an error names it: nothing is "unexpected".

Each field of each file is replaced by values of other types and sizes, then the model is used for everything that a run
uses it for. A kind of error that is new shows up here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from random_models import byte_tokenizer, write_model
from synthetic_instruction_tuner.cli.known_errors import known
from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
from synthetic_instruction_tuner.config.sections.train import SftConfig
from synthetic_instruction_tuner.engines.base import Request
from synthetic_instruction_tuner.engines.opening import open_engine
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.engines.variants import template_of
from synthetic_instruction_tuner.errors import SitError, UserError
from synthetic_instruction_tuner.models.availability import availability
from synthetic_instruction_tuner.models.file_checks.soundness import folder_fault
from synthetic_instruction_tuner.models.files import identity, local_folder, shape
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.models.loading import load_causal_lm, load_reward_model, load_tokenizer
from synthetic_instruction_tuner.models.running import require_known_tokens, running
from synthetic_instruction_tuner.preference.reward.model import RewardModel
from synthetic_instruction_tuner.records import Message, Record
from synthetic_instruction_tuner.training.lora_sft import LoraSft

QUESTION = Message("user", "What is the sea?")
VALUES: tuple[Any, ...] = (None, -1, 10**30, "x", ["x"], {"a": None})
FIELDS = {
    "config.json": (
        "rope_scaling", "rope_parameters", "rope_theta", "dtype", "torch_dtype", "quantization_config", "architectures",
        "attn_implementation", "auto_map", "pad_token_id", "eos_token_id", "sliding_window", "layer_types",
        "hidden_act", "id2label", "label2id", "num_labels", "problem_type", "text_config", "transformers_version",
        "head_dim", "rms_norm_eps", "tie_word_embeddings", "max_position_embeddings", "model_type", "intermediate_size",
    ),
    "generation_config.json": (
        "eos_token_id", "pad_token_id", "temperature", "cache_implementation", "stop_strings", "max_length",
        "transformers_version", "do_sample", "watermarking_config",
    ),
    "tokenizer_config.json": (
        "chat_template", "eos_token", "pad_token", "bos_token", "unk_token", "tokenizer_class", "model_max_length",
        "padding_side", "truncation_side", "added_tokens_decoder", "extra_special_tokens", "additional_special_tokens",
        "auto_map", "add_bos_token", "model_input_names", "clean_up_tokenization_spaces",
    ),
}  # fmt: skip


def write_text(folder: Path) -> None:
    model = ModelConfig(path=str(folder))
    identity(model), shape(model)
    engine = TransformersEngine(load_causal_lm(model, "float32", "cpu"), 0, batch_size=2, device="cpu")
    engine.generate([Request((5, 6, 7), 1, 2, (9,)), Request((5, 6), 2, 2, (9,))])
    engine.loglikelihood([((5, 6), (7, 8))])


def read_templates(folder: Path) -> None:
    template = template_of(ModelConfig(path=str(folder)))
    template.decode(template.prompt_ids([QUESTION]))


def score(folder: Path) -> None:
    model = ModelConfig(path=str(folder))
    loaded, tokenizer = load_reward_model(model, "float32", "cpu"), load_tokenizer(model)
    reward = RewardModel(loaded, tokenizer, batch_size=2, max_tokens=64, device="cpu")
    reward.score([([QUESTION], "Water."), ([QUESTION], "Much salt water.")])


def outcome(use: Callable[[Path], None], folder: Path, reward: bool) -> BaseException | None:
    """The error that would reach the top as unexpected, or None."""
    try:
        if availability(ModelConfig(path=str(folder)), reward=reward).fault is None:
            use(folder)
    except SitError:
        return None
    except Exception as error:
        return None if known(error) else error
    return None


def changed(folder: Path, file: str, step: int) -> Iterator[tuple[str, Any]]:
    """Changes a file of the folder, one field after the other; yields the field and its value, one in `step`."""
    place = folder / file
    content = json.loads(place.read_text()) if place.exists() else {}
    for number, field in enumerate(FIELDS[file]):
        for value in VALUES[number % step :: step]:
            place.write_text(json.dumps(content | {field: value}))
            yield field, value


USES = {
    "a generator's config": ("config.json", write_text, "random_llama", 3),
    "its settings for writing": ("generation_config.json", read_templates, "random_llama", 1),
    "its tokenizer": ("tokenizer_config.json", read_templates, "random_llama", 1),
    "a reward model's config": ("config.json", score, "random_reward", 3),
}


@pytest.mark.parametrize("case", USES)
def test_any_field_of_a_model_s_files_may_be_odd(case: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    file, use, model, step = USES[case]
    folder = Path(shutil.copytree(request.getfixturevalue(model), tmp_path / "model"))
    found = []
    for field, value in changed(folder, file, step):
        if error := outcome(use, folder, reward=use is score):
            found.append((field, value, repr(error)[:150]))
    assert not found


def test_a_window_that_is_no_number_is_named(random_llama: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(random_llama, tmp_path / "model"))
    content = json.loads((folder / "config.json").read_text())
    for value in (2.5, 10**30, "x", [1], {"a": 1}, -1):
        (folder / "config.json").write_text(json.dumps(content | {"sliding_window": value}))
        fault = availability(ModelConfig(path=str(folder))).fault
        assert fault and "has sliding_window" in fault.reason


def test_a_tokenizer_that_knows_more_than_the_weights_is_told_before_training(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", "llama")
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["zebra"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(UserError, match="does not fit its weights"):
        LoraSft(SftConfig()).train(
            ModelConfig(path=str(folder)), [Record("a", "Name an animal.", "zebra")], tmp_path / "out"
        )


def test_what_a_library_says_of_a_model_is_explained() -> None:
    import torch

    with pytest.raises(UserError, match=r"The model tiny cannot be trained") as caught, running("tiny", "be trained"):
        torch.nn.functional.embedding(torch.tensor([9]), torch.zeros(2, 2))
    assert "IndexError" in caught.value.cause
    for error in (KeyError("ours"), RuntimeError("CUDA error: gone"), MemoryError(), OSError(5, "Input/output error")):
        with pytest.raises(type(error)), running("tiny", "be trained"):
            raise error
    layer = torch.nn.Embedding(2, 2)
    layer.get_input_embeddings = lambda: layer  # type: ignore[assignment]
    require_known_tokens("tiny", layer, 1)
    with pytest.raises(UserError, match="does not fit"):
        require_known_tokens("tiny", layer, 2)


@pytest.mark.parametrize("decoder", [False, True], ids=["encoder", "decoder"])
def test_an_encoder_does_not_write(decoder: bool, tmp_path: Path) -> None:
    """Transformers loads it with a head for the next token; what it would write is no text."""
    import transformers

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    tokenizer = byte_tokenizer()
    config = transformers.BertConfig(vocab_size=len(tokenizer), is_decoder=decoder, **sizes)
    transformers.BertLMHeadModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = ModelConfig(path=str(tmp_path))
    if decoder:
        load_causal_lm(model, "float32", "cpu")
        return
    with pytest.raises(UserError, match="does not write text") as caught:
        load_causal_lm(model, "float32", "cpu")
    assert "an encoder (bert)" in caught.value.cause


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"model_type": "roberta"}, "an encoder (roberta)"),
        ({"model_type": "roberta", "architectures": ["RobertaForCausalLM"]}, "an encoder (roberta)"),
        ({"model_type": "roberta", "is_decoder": True}, ""),
        ({"model_type": "modernbert", "architectures": ["ModernBertModel"]}, "an encoder (modernbert)"),
        ({"model_type": "xlnet"}, "an encoder (xlnet)"),
        ({"model_type": "xlm", "causal": True}, ""),
        ({"model_type": "xlm"}, "not causal (xlm)"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "a decoder (t5)"),
        ({"model_type": "x", "architectures": ["XForMaskedLM"]}, "XForMaskedLM"),
        ({"model_type": "llava", "text_config": {"model_type": "llama"}}, ""),
        ({"model_type": "modernbert-decoder"}, ""),
    ],
)
def test_what_reads_both_ways_is_seen_in_its_configuration(facts: dict[str, Any], why: str, tmp_path: Path) -> None:
    folder = local_folder(ModelConfig(path="nano:student-llama"))
    assert folder is not None
    model = shutil.copytree(folder, tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    config.pop("architectures")
    (model / "config.json").write_text(json.dumps(config | facts))
    fault = folder_fault(Path(model), reward=False)
    assert fault is None if not why else fault is not None and "does not write text" in fault.reason
    assert fault is None or why in fault.reason
    assert folder_fault(Path(model)) is None, "as a tokenizer, or for a server, it may be anything"


@pytest.mark.parametrize("missing", ["pad_token", "eos_token", "both"])
def test_a_tokenizer_without_pad_or_end_writes_or_is_refused(missing: str, random_llama: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(random_llama, tmp_path / "model"))
    tokenizer = byte_tokenizer()
    for name in ("pad_token", "eos_token") if missing == "both" else (missing,):
        setattr(tokenizer, name, None)
    tokenizer.save_pretrained(folder)
    model = ModelConfig(path=str(folder))
    try:
        with open_engine(model, EngineConfig(device="cpu", threads=1), detect("cpu")) as (engine, template):
            ids = tuple(template.prompt_ids([QUESTION]))
            asked = [Request(ids, 1, 2, template.stop_ids), Request(ids[:5], 2, 2, template.stop_ids)]
            assert {c.finish_reason for c in engine.generate(asked)} <= {"stop", "length"}
    except SitError as error:
        assert error.cause and error.fix
    records = [Record("a", "Name an animal.", "A zebra."), Record("b", "And now?", "Two zebras, and more.")]
    try:
        LoraSft(SftConfig(num_train_epochs=1)).train(model, records, tmp_path / "out")
    except SitError as error:
        assert error.cause and error.fix
