"""Every causal language model of Transformers that can be made small writes and scores what it should, or is refused.

It is held to `generate`, and to a plain pass: one text alone, without padding, mask or cache. A test that is skipped
says why; `pytest -rs` lists them.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.engines.transformers.slot_decoding import SlotDecoder
from synthetic_instruction_tuner.errors import UserError
from tiny_families import VARIANTS, families, tiny_model

NEAR = 1e-3  # of the logits' standard deviation: what is so near the highest logit is decided by rounding
NEEDED = {
    "llama", "mistral", "qwen2", "qwen3", "qwen3_next", "gemma2", "gemma3_text", "gemma3n_text", "phi3", "gpt2", "opt",
    "gpt_neox", "gpt_neo", "mpt", "bloom", "falcon", "falcon alibi", "rwkv", "mamba", "mamba2", "falcon_mamba", "jamba",
    "bamba", "zamba2", "recurrent_gemma", "deepseek_v3", "gpt_oss",
}  # fmt: skip
ELSEWHERE = {  # `generate` itself does not write what a plain pass says
    "camembert", "data2vec-text", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod",  # it
    # gives positions from 0, and these models' begin after the padding's
    "moshi",  # its cache has a window that its plain pass has not
    "xlm",  # it appends a mask token
    "xlstm",  # its cache has not the shape of its states, at this size
}  # fmt: skip


@pytest.mark.parametrize("name", [*families(), *VARIANTS])
def test_a_family_is_right_or_refused(name: str) -> None:
    try:
        model = tiny_model(name)
    except Exception as error:  # sizes that do not fit together, or a library that is not here
        if name in NEEDED:
            raise
        pytest.skip(f"{name}: {' '.join(str(error).split())[:160]}")
    rng = random.Random(0)
    requests = [Request(_text(rng, size), 0, 4, (), 0.0) for size in (5, 5, 12)]
    engine = TransformersEngine(model, 0, batch_size=3, device="cpu")
    try:
        completions = engine.generate(requests)
    except UserError as error:
        assert "looks ahead" in error.cause and _looks_ahead(model)
        with pytest.raises(UserError, match="looks ahead"):
            engine.loglikelihood([((5, 6), (7,))])
        return
    for request, completion in zip(requests, completions, strict=True):
        _is_greedy(model, request, completion)
    if name not in ELSEWHERE:
        _is_what_generate_writes(model, requests[-1], completions[-1])
    context = _text(rng, 9)
    pairs = [(context, _text(rng, size)) for size in (1, 2, 4)] + [(context[:4], (5, 6))]
    for (given, wanted), (value, _) in zip(pairs, engine.loglikelihood(pairs), strict=True):
        assert value == pytest.approx(_plain_likelihood(model, given, wanted), abs=1e-3)
    if engine.decoder is not SlotDecoder:  # whose soft prompts have a test of their own
        _soft_prompts_are_prompts(model, engine, requests[1:])


def _text(rng: random.Random, size: int) -> tuple[int, ...]:
    return tuple(rng.randrange(5, 90) for _ in range(size))


@torch.inference_mode()
def _plain(model: Any, ids: tuple[int, ...]) -> torch.Tensor:
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()  # type: ignore[no-any-return]


def _looks_ahead(model: Any) -> bool:
    here, there = _plain(model, (5, 6, 7, 8, 9, 10)), _plain(model, (5, 6, 7, 60, 70, 80))
    return bool((here - there)[:3].abs().max() > 1e-3 * here.std())


def _is_greedy(model: Any, request: Request, completion: Completion) -> None:
    steps = _plain(model, (*request.prompt_ids, *completion.token_ids))[len(request.prompt_ids) - 1 : -1]
    chosen = steps.gather(1, torch.tensor(completion.token_ids)[:, None])[:, 0]
    assert completion.finish_reason == "length" and len(completion.token_ids) == 4
    assert bool((steps.amax(-1) - chosen <= NEAR * steps.std(-1)).all())


def _is_what_generate_writes(model: Any, request: Request, completion: Completion) -> None:
    ids = torch.tensor([request.prompt_ids])
    model.generation_config = GenerationConfig()  # without the tokens that BART and others are made to begin with
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=4, eos_token_id=None, pad_token_id=0
    )[0, ids.shape[1] :].tolist()
    steps = _plain(model, (*request.prompt_ids, *completion.token_ids))[len(request.prompt_ids) - 1 : -1]
    best = steps.topk(2).values
    for mine, theirs, gap in zip(completion.token_ids, out, ((best[:, 0] - best[:, 1]) / steps.std(-1)), strict=True):
        if gap <= NEAR:  # from here on both may differ
            return
        assert mine == theirs


def _plain_likelihood(model: Any, context: tuple[int, ...], continuation: tuple[int, ...]) -> float:
    steps = _plain(model, (*context, *continuation))[len(context) - 1 : -1].log_softmax(-1)
    return float(steps.gather(1, torch.tensor(continuation)[:, None]).sum())


def _soft_prompts_are_prompts(model: Any, engine: TransformersEngine, requests: list[Request]) -> None:
    """A soft prompt of tokens' embeddings does what these tokens do, where the model takes embeddings for tokens."""
    front = (11, 12, 13)
    with torch.inference_mode():
        embedded = model.get_input_embeddings()(torch.tensor([(*front, 14)]))
        try:
            logits = model(inputs_embeds=embedded.clone(), use_cache=False).logits[0].float()
        except Exception:  # it needs the tokens themselves
            return
    plain = _plain(model, (*front, 14))
    if (logits - plain).abs().max() > 1e-4 * plain.std():
        return
    soft = TransformersEngine(model, 0, batch_size=3, device="cpu", soft_prompt=embedded[0, :3])
    soft._decoder = engine.decoder
    for request, completion in zip(requests, soft.generate(requests), strict=True):
        whole = Request((*front, *request.prompt_ids), 0, 4, (), 0.0)
        _is_greedy(model, whole, completion)
