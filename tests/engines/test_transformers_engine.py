"""The engine gives each request what it would get alone, whatever else is in the batch."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    DynamicCache,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
)

from random_models import write_model
from synthetic_instruction_tuner.engines.base import Request
from synthetic_instruction_tuner.engines.transformers import engine as transformers_engine
from synthetic_instruction_tuner.engines.transformers import slot_decoding as decoding
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.engines.transformers.forward_pass import learned_positions
from synthetic_instruction_tuner.engines.transformers.plain_decoding import PlainDecoder, WholeTextDecoder
from synthetic_instruction_tuner.engines.transformers.sampling import draw, uniforms
from synthetic_instruction_tuner.engines.transformers.slot_decoding import SlotDecoder
from synthetic_instruction_tuner.engines.transformers.trial import decoder_for, supports_slots
from synthetic_instruction_tuner.errors import RunError

PAD = 0


@pytest.fixture(scope="module", params=["llama", "mistral", "qwen2"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_model(tmp_path_factory.mktemp("engine") / request.param, request.param)
    window = {"sliding_window": 6} if request.param == "mistral" else {}
    # In double precision, so that on no processor a near tie is decided by rounding.
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, **window).eval()


def engine(model: Any, batch_size: int = 4, soft_prompt: torch.Tensor | None = None) -> TransformersEngine:
    return TransformersEngine(model, PAD, batch_size=batch_size, device="cpu", soft_prompt=soft_prompt)


def requests(count: int = 16, seed: int = 0) -> list[Request]:
    rng = random.Random(seed)
    return [
        Request(
            prompt_ids=tuple(rng.randrange(260) for _ in range(rng.choice((1, 2, 9, 30)))),
            seed=rng.randrange(2**63),
            max_new_tokens=rng.randint(1, 16),
            stop_ids=tuple(rng.sample(range(260), 20)),
            temperature=rng.choice((0.0, 0.7, 1.0)),
            top_p=rng.choice((0.5, 1.0)),
        )
        for _ in range(count)
    ]


def test_slots_serve_the_architecture(model: Any) -> None:
    assert supports_slots(model, "cpu")


def test_batched_is_single(model: Any) -> None:
    asked = requests()
    seen: list[int] = []
    batched = engine(model, 5).generate(asked, seen.append)
    assert batched == [engine(model, 1).generate([r])[0] for r in asked]
    assert batched == list(reversed(engine(model, 64).generate(list(reversed(asked)))))
    assert sum(seen) == len(asked)


@pytest.mark.parametrize("kind", [PlainDecoder, WholeTextDecoder])
def test_slower_decoders_agree(model: Any, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = requests()
    expected = engine(model).generate(asked)
    monkeypatch.setattr(transformers_engine, "decoder_for", lambda *_: kind)
    slower = engine(model)
    assert slower.generate(asked) == expected
    assert not engine(model).capabilities.slow and slower.capabilities.slow


def test_greedy_is_generate(model: Any) -> None:
    asked = [replace(r, temperature=0.0) for r in requests()]
    for request, completion in zip(asked, engine(model).generate(asked), strict=True):
        ids = torch.tensor([request.prompt_ids])
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=request.max_new_tokens,
            eos_token_id=list(request.stop_ids), pad_token_id=PAD,
        )[0, ids.shape[1] :].tolist()  # fmt: skip
        stopped = out[-1] in request.stop_ids
        assert completion.token_ids == tuple(out[:-1] if stopped else out)
        assert completion.finish_reason == ("stop" if stopped else "length")


def test_stop_at_once_gives_an_empty_text(model: Any) -> None:
    request = Request((1, 2, 3), 0, 5, tuple(range(model.config.vocab_size)))
    assert engine(model).generate([request])[0].token_ids == ()
    assert engine(model).generate([]) == []


def test_one_bad_request_does_not_touch_the_others(model: Any) -> None:
    asked = requests(6)
    expected = engine(model).generate(asked)
    size = model.get_input_embeddings().num_embeddings
    bad = [replace(asked[0], prompt_ids=p) for p in ((), (1, size), (-1,))] + [replace(asked[0], max_new_tokens=0)]
    seen: list[int] = []
    got = engine(model).generate([*bad[:2], *asked, *bad[2:]], seen.append)
    assert got[2:-2] == expected and sum(seen) == len(got)
    words = ("empty", "vocabulary", "vocabulary", "max_new_tokens")
    for completion, word in zip([*got[:2], *got[-2:]], words, strict=True):
        assert (completion.token_ids, completion.finish_reason) == ((), "error") and word in completion.error


def test_soft_prompt(model: Any) -> None:
    torch.manual_seed(1)
    soft = torch.randn(5, model.config.hidden_size, dtype=torch.float64)
    asked = [replace(r, max_new_tokens=6, stop_ids=()) for r in requests(8)]
    batched = engine(model, 3, soft).generate(asked)
    assert batched == [engine(model, 1, soft).generate([r])[0] for r in asked]
    for request, completion in zip(asked, batched, strict=True):
        if request.temperature:
            continue
        ids: list[int] = list(request.prompt_ids)
        for token in completion.token_ids:
            embeds = torch.cat([soft, model.get_input_embeddings()(torch.tensor(ids))])[None]
            assert int(model(inputs_embeds=embeds).logits[0, -1].argmax()) == token
            ids.append(token)


@pytest.mark.parametrize("virtual", [0, 3])
@torch.no_grad()
def test_loglikelihood_is_the_naive_one(model: Any, virtual: int) -> None:
    soft = torch.randn(virtual, model.config.hidden_size, dtype=torch.float64) if virtual else None
    rng = random.Random(2)
    shared = [rng.randrange(260) for _ in range(12)]
    pairs = [(shared, [k]) for k in range(4)]
    pairs += [(shared, [rng.randrange(3) for _ in range(rng.randint(2, 6))]) for _ in range(9)]
    pairs += [(shared[:5], [1, 2, 3]), (shared[:5], [1, 2, 4]), (shared[:5], [1, 2, 3])]
    for _ in range(12):
        context = [rng.randrange(260) for _ in range(rng.randint(1, 20))]
        pairs.append((context, [rng.randrange(260) for _ in range(rng.randint(0, 6))]))
    scores = engine(model, 3, soft).loglikelihood(pairs)
    for (context, continuation), (value, greedy) in zip(pairs, scores, strict=True):
        embeds = model.get_input_embeddings()(torch.tensor([*context, *continuation]))
        embeds = embeds if soft is None else torch.cat([soft, embeds])
        logits = model(inputs_embeds=embeds[None]).logits[0, virtual + len(context) - 1 : -1].float()
        steps = logits.log_softmax(-1)[: len(continuation)]
        wanted = torch.tensor(continuation, dtype=torch.long)
        assert value == pytest.approx(float(steps.gather(1, wanted[:, None]).sum()), abs=1e-3)
        assert greedy == bool((steps.argmax(-1) == wanted).all())


@pytest.mark.parametrize("model", ["llama", "qwen2"], indirect=True)
def test_a_context_is_computed_once_for_all_its_continuations(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    forward = model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        computed.append(kwargs["input_ids"].numel())
        return forward(*args, **kwargs)

    context, tried = list(range(40)), engine(model, 64)
    tried.loglikelihood([(context, [1])])
    monkeypatch.setattr(model, "forward", counted)
    tried.loglikelihood([(context, [k, k + 1, k + 2]) for k in range(4)])
    assert computed == [40 + 4 * 2]


def test_out_of_memory_halves_the_batch(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = requests(12)
    expected = engine(model).generate(asked)
    forward = model.forward

    def limited(*args: Any, **kwargs: Any) -> Any:
        if not isinstance(kwargs.get("past_key_values"), DynamicCache) and len(kwargs["input_ids"]) > 2:
            raise torch.OutOfMemoryError("too much")
        return forward(*args, **kwargs)

    tried = engine(model, 8)
    tried._decoder = SlotDecoder
    monkeypatch.setattr(model, "forward", limited)
    assert tried.generate(asked) == expected
    assert tried.batch_size == 2


def test_draws_follow_the_distribution() -> None:
    probabilities = torch.tensor([0.0, 0.5, 0.3, 0.0, 0.2, 0.0])
    count = 20000
    numbers = torch.from_numpy(uniforms(7, count))
    assert float(numbers.min()) > 0 and float(numbers.max()) < 1
    logits, ones = probabilities.log().expand(count, -1), torch.ones(count)
    drawn = draw(logits, numbers, ones, None).bincount(minlength=6) / count
    assert torch.allclose(drawn, probabilities, atol=0.015)
    nucleus = draw(logits, numbers, ones, ones * 0.6).bincount(minlength=6) / count
    assert torch.allclose(nucleus, torch.tensor([0, 0.625, 0.375, 0, 0, 0]), atol=0.015)


def _learned(kind: str) -> Any:
    torch.manual_seed(0)
    if kind == "gpt2":
        return GPT2LMHeadModel(GPT2Config(vocab_size=260, n_positions=32, n_embd=16, n_layer=1, n_head=2)).eval()
    return OPTForCausalLM(
        OPTConfig(
            vocab_size=260, max_position_embeddings=32, hidden_size=16, word_embed_proj_dim=16, ffn_dim=16,
            num_hidden_layers=1, num_attention_heads=2,
        )
    ).eval()  # fmt: skip


@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize("kind", ["gpt2", "opt"])
@pytest.mark.parametrize("slots", [True, False])
def test_texts_end_where_learned_positions_do(
    kind: str, slots: bool, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers_engine, "decoder_for", lambda *_: SlotDecoder if slots else PlainDecoder)
    monkeypatch.setitem(decoding._CHECK_EVERY, "cpu", every)
    learned = _learned(kind)
    prompts, most = [(1, 2, 3), (5,) * 31, (5,) * 32, (1, 2, 3), (4,) * 50], [40, 40, 40, 5, 5]
    asked = [Request(p, 7, k, (), 1.0) for p, k in zip(prompts, most, strict=True)]
    got = engine(learned).generate(asked)
    assert [len(c.token_ids) for c in got] == [29, 1, 0, 5, 0]
    assert [c.finish_reason for c in got] == ["length", "length", "error", "length", "error"]
    assert "prompt and answer together may have 32" in got[2].error
    assert got[0].token_ids[:5] == got[3].token_ids
    short = engine(learned, soft_prompt=torch.zeros(8, 16)).generate(asked[:1])
    assert [len(c.token_ids) for c in short] == [21]


def test_computed_positions_have_no_end(model: Any) -> None:
    assert learned_positions(model) is None


@pytest.mark.parametrize("slots", [True, False])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(("dtype", "fix"), [("float32", "Download"), ("bfloat16", "engine.dtype=float32")])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_end_the_run(
    value: float, dtype: str, fix: str, temperature: float, slots: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers_engine, "decoder_for", lambda *_: SlotDecoder if slots else PlainDecoder)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    broken = LlamaForCausalLM(LlamaConfig(vocab_size=64, **sizes)).to(getattr(torch, dtype)).eval()
    broken.lm_head.weight.data[:] = value
    with pytest.raises(RunError, match="NaN or infinite") as caught:
        engine(broken).generate([Request((1, 2, 3), 1, 4, (), temperature)])
    assert dtype in caught.value.cause and fix in caught.value.fix
    row = torch.full((1, 64), value)
    assert 0 <= int(draw(row, torch.tensor([0.5]), torch.tensor([1.0]), None)) < 64


def test_numbers_that_are_none_are_found_before_anything_is_written() -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    broken = LlamaForCausalLM(LlamaConfig(vocab_size=64, **sizes)).eval()
    broken.lm_head.weight.data[:] = float("nan")
    with pytest.raises(RunError, match="NaN or infinite"):
        decoder_for(broken, "cpu")


def test_a_trial_draws_no_random_number(model: Any) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    tried = engine(model)
    assert tried.decoder is SlotDecoder
    tried.loglikelihood([((1, 2, 3), (4, 5))])
    assert torch.equal(torch.get_rng_state(), before)
