"""The packed pass computes what the model computes, text by text."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, PromptTuningConfig, get_peft_model

from synthetic_instruction_tuner.training.examples import Example, PairExample
from synthetic_instruction_tuner.training.packed import choice, decoder
from synthetic_instruction_tuner.training.packed.answer_scores import answer_scores
from synthetic_instruction_tuner.training.packed.choice import decoder_for, wanted
from synthetic_instruction_tuner.training.packed.decoder import Decoder
from synthetic_instruction_tuner.training.packed.packs import pack

SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.3,  # so that what came before is heard
}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 5},
    "mistral-without-window": {"sliding_window": None},
    "qwen2": {},
    "qwen2-window": {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    "qwen3": {},
}
VIRTUAL = 3


def base(name: str = "llama", **more: Any) -> Any:
    torch.manual_seed(0)
    kind = name.split("-")[0]
    config = transformers.AutoConfig.for_model(kind, **SIZES | FAMILIES.get(name, {}) | more)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def with_lora(model: Any, **more: Any) -> Any:
    tuned = get_peft_model(
        model, LoraConfig(**{"r": 3, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | more)
    )
    with torch.no_grad():  # as after some steps: at first LoRA adds nothing
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.normal_(0, 0.2)
    return tuned.eval()


def with_soft_prompt(model: Any) -> Any:
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=VIRTUAL)
    return get_peft_model(model, config).eval()


def text(seed: int, prompt: int, answer: int) -> Example:
    ids = torch.randint(40, (prompt + answer,), generator=torch.Generator().manual_seed(seed)).tolist()
    return Example(str(seed), tuple(ids), (*[False] * prompt, *[True] * answer))


def pair(seed: int, prompt: int, chosen: int, rejected: int) -> PairExample:
    one, other = text(seed, prompt, chosen), text(seed + 1, prompt, rejected)
    other = Example(other.id, (*one.ids[:prompt], *other.ids[prompt:]), other.trained)
    return PairExample(str(seed), one, other)


ROWS = [text(0, 4, 9), pair(2, 5, 3, 8), text(4, 1, 12), pair(6, 2, 6, 1)]


def scored(model: Any, rows: Any, virtual: int = 0, checkpointing: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the packed scores and the number of the text that each is of."""
    row = pack(rows, virtual)
    one = Decoder(model, checkpointing)
    return answer_scores(one.hidden(row), one.head.weight, row.targets), row.texts


def alone(model: Any, rows: Any, virtual: int = 0) -> torch.Tensor:
    """Returns the scores that the model's own pass gives to each text by itself."""
    texts = [t for row in rows for t in ((row,) if isinstance(row, Example) else (row.chosen, row.rejected))]
    found = []
    for each in texts:
        ids = torch.tensor([each.ids])
        logps = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, virtual:-1].log_softmax(-1)
        picked = logps.gather(1, ids[0, 1:, None])[:, 0]
        found.append(picked[torch.tensor(each.trained[1:])])
    return torch.cat(found)


def gradient(model: Any, value: torch.Tensor) -> torch.Tensor:
    trained = [p for p in model.parameters() if p.requires_grad]
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, trained)])


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_texts_score_and_learn_as_each_alone(family: str) -> None:
    model = with_lora(base(family))
    found, wanted_scores = scored(model, ROWS)[0], alone(model, ROWS)
    assert torch.allclose(found, wanted_scores, atol=1e-4)
    weights = torch.randn(len(found), generator=torch.Generator().manual_seed(1))
    slopes = [gradient(model, (scores * weights).sum()) for scores in (found, wanted_scores)]
    assert torch.allclose(*slopes, atol=1e-3)


def test_no_text_sees_another() -> None:
    model = with_lora(base("mistral"))
    before, texts = scored(model, ROWS)
    changed, _ = scored(model, [text(90, 4, 9), *ROWS[1:]])
    assert torch.allclose(before[texts > 0], changed[texts > 0], atol=1e-5)
    assert not torch.allclose(before[texts == 0], changed[texts == 0], atol=1e-2)
    prompt = ROWS[1].chosen.ids[:5]  # type: ignore[union-attr]
    other = PairExample("x", ROWS[1].chosen, Example("x", (*prompt, 7, 8), (*[False] * 5, True, True)))  # type: ignore[union-attr]
    rejected_changed, also = scored(model, [other])
    assert torch.allclose(rejected_changed[also == 0], before[texts == 1], atol=1e-5)


def test_layers_computed_again_give_the_same_gradient_with_dropout() -> None:
    model = with_lora(base(), lora_dropout=0.3).train()
    slopes = []
    for checkpointing in (False, True):
        torch.manual_seed(5)
        slopes.append(gradient(model, scored(model, ROWS, checkpointing=checkpointing)[0].sum()))
    assert torch.allclose(*slopes, atol=1e-4)
    torch.manual_seed(6)
    assert not torch.allclose(slopes[0], gradient(model, scored(model, ROWS)[0].sum()), atol=1e-2)


def test_a_soft_prompt_stands_before_every_text() -> None:
    model, rows = with_soft_prompt(base("qwen2")), [ROWS[0], ROWS[2]]
    found, wanted_scores = scored(model, rows, VIRTUAL)[0], alone(model, rows, VIRTUAL)
    assert torch.allclose(found, wanted_scores, atol=1e-4)
    slopes = [gradient(model, scores.sum()) for scores in (found, wanted_scores)]
    assert torch.allclose(*slopes, atol=1e-4)


@pytest.mark.parametrize("rows", [ROWS, [text(0, 300, 80)]], ids=["short", "long"])
@pytest.mark.parametrize("more", [{}, {"use_rslora": True}, {"lora_dropout": 0.4}])
def test_a_model_on_which_it_works_is_packed(rows: Any, more: dict[str, Any]) -> None:
    assert isinstance(decoder_for(with_lora(base(), **more), rows, False), Decoder)


def test_half_precision_is_packed_too() -> None:
    model = with_lora(base("qwen3").bfloat16())
    for parameter in (p for p in model.parameters() if p.requires_grad):
        parameter.data = parameter.data.float()
    assert isinstance(decoder_for(model, ROWS, True), Decoder)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda: with_lora(base("gemma")), "the architecture gemma is not among"),
        (lambda: with_lora(base(), use_dora=True), "more than two matrices"),
        (lambda: with_lora(base(hidden_act="gelu")), "its activation is"),
        (lambda: with_lora(base(), target_modules=["q_proj", "lm_head"]), "its output layer is"),
        (lambda: with_lora(base(), lora_bias=True), "more than two matrices"),
    ],
)
def test_another_model_is_not_and_the_reason_is_said(model: Any, reason: str) -> None:
    assert reason in str(decoder_for(model(), ROWS, False))


@pytest.mark.parametrize("fault", ["scores", "gradients", "error"])
def test_a_pass_that_computes_something_else_is_found_out(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where another release of Transformers changes a part of the model."""
    right = decoder.turned

    def wrong(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        if fault == "error":
            raise RuntimeError("no such part")
        return right(x, cos, -sin) if fault == "scores" else right(x, cos, sin).detach()

    monkeypatch.setattr(decoder, "turned", wrong)
    said = decoder_for(with_lora(base()), ROWS, False)
    assert {"scores": "log-prob", "gradients": "other", "error": "no such part"}[fault] in str(said)


def test_auto_packs_on_gpus_alone() -> None:
    assert [wanted(packing, "cpu") for packing in ("auto", "on", "off")] == [False, True, False]
    assert [wanted(packing, "cuda") for packing in ("auto", "on", "off")] == [True, True, False]


def test_a_pack_is_no_larger_than_a_micro_batch_of_the_longest() -> None:
    assert choice.limit_of(ROWS, 3) == 3 * 16
    assert choice.limit_of(ROWS[::2], 2, virtual_tokens=VIRTUAL) == 2 * (13 + VIRTUAL)
