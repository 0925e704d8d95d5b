from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.engines.base import Request
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.evaluation import harness as lm_harness
from synthetic_instruction_tuner.records import Message

PROMPTS = ("Hi", "Tell me about the small dog.", "What is the river of Almont? Answer in one sentence, please.")
NEW_TOKENS = 12
VIRTUAL = 4


@pytest.fixture(scope="module")
def parts(random_llama: Path) -> tuple[Any, Any, torch.Tensor]:
    """A random model that does not just repeat its last token, its tokenizer and a random soft prompt."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(random_llama), AutoTokenizer.from_pretrained(random_llama)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "proj" in name:
                weights.mul_(16)
    return model, tokenizer, torch.randn(VIRTUAL, model.config.hidden_size)


def language_model(parts: tuple[Any, Any, Any], soft: bool, batch_size: int) -> lm_harness.EngineLM:
    model, tokenizer, soft_prompt = parts
    engine = TransformersEngine(
        model, tokenizer.pad_token_id, batch_size=batch_size, device="cpu", soft_prompt=soft_prompt if soft else None
    )
    return lm_harness.EngineLM(engine, ChatTemplate.from_tokenizer(tokenizer), tokenizer)


def answers(lm: Any) -> list[str]:
    documents = [{"id": str(i), "messages": [{"role": "user", "content": p}], "seed": i} for i, p in enumerate(PROMPTS)]
    task = lm_harness.generation_task(
        "probe", documents, {"length": "mean"}, lambda d, a: {"length": len(a[0])}, max_gen_toks=NEW_TOKENS
    )
    return [sample["filtered_resps"][0] for sample in lm_harness.run(lm, task, chat=True)]


def likelihoods(lm: Any, chat: bool) -> list[float]:
    documents = [
        {"id": str(i), "text": prompt, "messages": [{"role": "user", "content": prompt}], "right": 0}
        for i, prompt in enumerate(PROMPTS)
    ]
    settings = {"doc_to_text": "text", "doc_to_choice": ["a dog", "no"], "doc_to_target": "right"}
    task = lm_harness.LocalTask("probe", documents, {"acc": "mean"}, output_type="multiple_choice", **settings)
    return [value for sample in lm_harness.run(lm, task, chat) for value, _ in sample["filtered_resps"]]


def by_hand(parts: tuple[Any, Any, torch.Tensor], prompt: str) -> str:
    """Greedy decoding of one prompt behind the soft prompt, without a cache, batch or padding."""
    model, tokenizer, soft_prompt = parts
    ids = list(ChatTemplate.from_tokenizer(tokenizer).prompt_ids([Message("user", prompt)]))
    written: list[int] = []
    with torch.no_grad():
        while len(written) < NEW_TOKENS:
            embedded = model.get_input_embeddings()(torch.tensor(ids + written))
            token = int(model(inputs_embeds=torch.cat([soft_prompt, embedded])[None]).logits[0, -1].argmax())
            if token == tokenizer.eos_token_id:
                break
            written.append(token)
    return ChatTemplate.from_tokenizer(tokenizer).decode(written)


def test_soft_prompts_are_right_in_batches(parts: tuple[Any, Any, torch.Tensor]) -> None:
    right = [by_hand(parts, prompt) for prompt in PROMPTS]
    assert answers(language_model(parts, soft=True, batch_size=4)) == right
    assert answers(language_model(parts, soft=True, batch_size=1)) == right
    assert answers(language_model(parts, soft=False, batch_size=4)) != right, "the soft prompt must matter"


def test_the_harness_own_model_is_wrong_in_batches(parts: tuple[Any, Any, torch.Tensor]) -> None:
    """Why prompt-tuned students do not go through it; when this fails, PEFT has repaired its padding."""
    from lm_eval.models.huggingface import HFLM
    from peft import PromptTuningConfig, get_peft_model

    model, tokenizer, soft_prompt = parts
    tuned = get_peft_model(copy.deepcopy(model), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=VIRTUAL))
    tuned.prompt_encoder["default"].embedding.weight.data.copy_(soft_prompt)
    template = ChatTemplate.from_tokenizer(tokenizer)
    requests = [request(tokenizer.decode(template.prompt_ids([Message("user", p)]))) for p in PROMPTS]
    right = [by_hand(parts, prompt) for prompt in PROMPTS]
    alone, batched = (
        HFLM(pretrained=tuned, tokenizer=tokenizer, batch_size=size, device="cpu").generate_until(requests, True)
        for size in (1, len(PROMPTS))
    )
    assert alone == right
    assert batched != right


def request(context: str) -> Any:
    from lm_eval.api.instance import Instance

    settings = {"until": ["<|im_end|>"], "max_gen_toks": NEW_TOKENS, "do_sample": False}
    return Instance(request_type="generate_until", doc={}, arguments=(context, settings), idx=0, metadata=("t", 0, 1))


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("chat", [True, False])
def test_likelihoods_do_not_depend_on_the_batch(parts: tuple[Any, Any, torch.Tensor], soft: bool, chat: bool) -> None:
    batched, alone = (likelihoods(language_model(parts, soft, size), chat) for size in (8, 1))
    assert batched == pytest.approx(alone, abs=1e-4)


def test_likelihoods_equal_the_harness_own(parts: tuple[Any, Any, torch.Tensor]) -> None:
    from lm_eval.models.huggingface import HFLM

    model, tokenizer, _ = parts
    theirs = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4, device="cpu")
    ours = likelihoods(language_model(parts, soft=False, batch_size=4), chat=False)
    assert ours == pytest.approx(likelihoods(theirs, chat=False), abs=1e-3)


def test_the_usual_entry_of_the_harness_works_too(parts: tuple[Any, Any, torch.Tensor]) -> None:
    import lm_eval
    from lm_eval.tasks import TaskManager

    documents = [{"id": "0", "messages": [{"role": "user", "content": "Hi"}]}]
    task = lm_harness.generation_task("probe", documents, {"n": "mean"}, lambda d, a: {"n": 1.0}, max_gen_toks=3)
    found = lm_eval.simple_evaluate(
        model=language_model(parts, True, 2),
        tasks=[task],
        task_manager=TaskManager(include_defaults=False),
        apply_chat_template=True,
        bootstrap_iters=0,
    )
    assert found is not None and found["results"]["probe"]["n,none"] == 1.0


class _Recorder:
    def __init__(self) -> None:
        self.requests: list[Request] = []

    def generate(self, requests: list[Request], done: Any = None) -> list[Any]:
        from synthetic_instruction_tuner.engines.base import Completion

        self.requests += requests
        return [Completion((72, 10, 72), "stop") for _ in requests]


def test_prompts_keep_their_ids_and_stop_strings_cut(parts: tuple[Any, Any, torch.Tensor]) -> None:
    _, tokenizer, _ = parts
    recorder, template = _Recorder(), ChatTemplate.from_tokenizer(tokenizer)
    lm = lm_harness.EngineLM(recorder, template, tokenizer)  # type: ignore[arg-type]
    talk = [{"role": "user", "content": "Hi <|im_end|> there"}]
    text = lm.apply_chat_template(talk)
    whole = template.decode((72, 10, 72))
    one = request(text)
    one.args[1]["until"] = [whole[1]]
    assert lm.generate_until([one]) == [whole[0]]
    assert recorder.requests[0].prompt_ids == tuple(template.prompt_ids([Message("user", talk[0]["content"])]))
    assert recorder.requests[0].stop_ids == template.stop_ids
    with pytest.raises(NotImplementedError, match="perplexity"):
        lm.loglikelihood_rolling([])
    with pytest.raises(ValueError, match="prefilled"):
        lm.apply_chat_template(talk, add_generation_prompt=False)
