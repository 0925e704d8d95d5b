"""A soft prompt as tokens: what PEFT computes, in any batch, and never written by greedy decoding."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from export_bases import TOKENS, base_model, soft_prompt
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.exporting.card import CardFacts
from synthetic_instruction_tuner.exporting.export import Export
from synthetic_instruction_tuner.models.loading import load_tokenizer
from synthetic_instruction_tuner.records import Message

QUESTIONS = ["a", "What is the sea, and why?", "Name three <colors>!"]
CASES = [
    ("qwen2", {"spare": 40}),  # more rows than tokens: the new ones take their place
    ("mistral", {"spare": 2, "kind": "bos"}),  # a few of them
    ("gpt2", {}),
    ("llama", {"tied": False, "kind": "llama3"}),
]


class Case:
    """A base model, its soft prompt, and the export of both."""

    def __init__(self, root: Path, arch: str, options: dict[str, Any]) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.base = base_model(root / "base", arch, **options)
        self.adapter = soft_prompt(self.base, root / "adapter", size=8)
        self.folder = root / "out"
        job = Export(ModelConfig(path=str(self.base)), "prompt_tuning", self.adapter)
        self.done = job.write(self.folder, CardFacts("prompt tuning"))
        self.model = AutoModelForCausalLM.from_pretrained(self.folder)
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder)
        self.template = ChatTemplate.from_tokenizer(load_tokenizer(ModelConfig(path=str(self.base))))
        self.known = len(self.template.tokenizer)
        self.soft = [i for i in range(self.known, len(self.tokenizer))]

    @property
    def peft(self) -> Any:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(self.base), self.adapter).eval()


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return cache(lambda number: Case(tmp_path_factory.mktemp("soft"), *CASES[number]))


every = pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: f"{CASES[n][0]} {CASES[n][1]}")


@every
def test_logits_are_those_of_peft(case: Any, number: int) -> None:
    found = case(number)
    peft = found.peft
    generator = torch.Generator().manual_seed(number)
    for length in (1, 2, 23):
        ids = torch.randint(0, 256, (1, length), generator=generator)
        with torch.no_grad():
            theirs = peft(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, TOKENS:]
            ours = found.model(input_ids=torch.cat([torch.tensor([found.soft]), ids], 1)).logits[0, TOKENS:]
        both = min(found.known, theirs.shape[-1])  # a tokenizer may know more than its model
        torch.testing.assert_close(ours[:, :both], theirs[:, :both], rtol=1e-5, atol=1e-5)
        assert ours.shape[-1] >= len(found.tokenizer)


@every
def test_a_conversation_is_what_was_trained_behind_the_soft_prompt(case: Any, number: int) -> None:
    found = case(number)
    turns = [("user", "Hi"), ("assistant", "Hello."), ("user", " 1 + 1?")]
    for messages in (turns[:1], turns):
        ids = found.tokenizer.apply_chat_template(
            [{"role": role, "content": text} for role, text in messages], add_generation_prompt=True, return_dict=False
        )
        assert ids == found.soft + found.template.prompt_ids([Message(*turn) for turn in messages])
    assert len(found.soft) == TOKENS
    assert found.tokenizer.encode("a") == found.tokenizer.encode("a", add_special_tokens=False)


@every
def test_a_padded_batch_writes_what_single_texts_write(case: Any, number: int) -> None:
    found = case(number)
    rows = [[{"role": "user", "content": text}] for text in QUESTIONS]
    arguments = {"max_new_tokens": 8, "do_sample": False}
    texts = found.tokenizer.apply_chat_template(rows, tokenize=False, add_generation_prompt=True)
    batch = found.tokenizer(texts, padding=True, return_tensors="pt")
    assert batch["attention_mask"][0, 0] == 0, "padding is on the left"
    together = found.model.generate(**batch, **arguments)[:, batch["input_ids"].shape[1] :]
    for text, written in zip(texts, together, strict=True):
        single = found.tokenizer(text, return_tensors="pt")
        alone = found.model.generate(**single, **arguments)[0, single["input_ids"].shape[1] :]
        assert alone.tolist() == written[: len(alone)].tolist()
        assert not set(alone.tolist()) & set(found.soft)


def test_what_is_written_is_what_peft_writes(case: Any) -> None:
    found = case(0)
    prompt = found.template.prompt_ids([Message("user", QUESTIONS[1])])
    ids = list(prompt)
    peft = found.peft
    for _ in range(6):
        with torch.no_grad():
            logits = peft(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids))).logits
        ids.append(int(logits[0, -1].argmax()))
    whole = torch.tensor([found.soft + prompt])
    written = found.model.generate(whole, max_new_tokens=6, do_sample=False, eos_token_id=None)[0, whole.shape[1] :]
    assert written.tolist() == ids[len(prompt) :]


@given(number=st.integers(0, len(CASES) - 1), seed=st.integers(0, 2**31), size=st.floats(1e-3, 1e3))
@settings(max_examples=20)
def test_no_state_of_the_model_makes_a_soft_token_the_likeliest(case: Any, number: int, seed: int, size: float) -> None:
    found = case(number)
    head = found.model.get_output_embeddings()
    states = torch.randn(16, head.weight.shape[1], generator=torch.Generator().manual_seed(seed)) * size
    states[0] = head.weight[found.soft[0]].float()  # the worst state for it
    with torch.no_grad():
        logits = head(states.to(head.weight.dtype)).float()
    assert not set(logits.argmax(-1).tolist()) & set(found.soft)
    share = logits.softmax(-1)[:, found.soft].sum(-1)
    assert (share <= TOKENS / found.known + 1e-3).all()


@every
def test_generation_settings_stop_at_the_end_of_a_turn_and_leave_the_tokens_out(case: Any, number: int) -> None:
    found = case(number)
    settings_file = json.loads((found.folder / "generation_config.json").read_text())
    assert set(settings_file["eos_token_id"]) == set(found.template.stop_ids)
    assert settings_file["suppress_tokens"] == found.soft
    assert found.model.config.tie_word_embeddings is False


def test_the_card_says_it_and_its_lines_work(case: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    found = case(0)
    text = (found.folder / "README.md").read_text(encoding="utf-8")
    assert found.done.difference in text and "<|soft_prompt_0|>" in text
    lines = text.split("```python\n")[1].split("```")[0]
    assert len(lines.strip().splitlines()) == 3
    monkeypatch.chdir(found.folder)
    exec(lines, {})
    assert capsys.readouterr().out


def test_lm_eval_reads_it_in_batches(case: Any) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    found = case(2)

    def asked(kind: str, *arguments: Any) -> list[Any]:
        return [Instance(kind, {}, (text, *arguments), number) for number, text in enumerate(texts)]

    results = []
    for size in (1, 3):
        lm = HFLM(pretrained=str(found.folder), batch_size=size, device="cpu", dtype="float32")
        texts = [lm.apply_chat_template([{"role": "user", "content": text}]) for text in QUESTIONS]
        assert lm.tok_encode(texts[0])[: TOKENS + 1] == [*found.soft, lm.tok_encode(texts[0])[TOKENS]]
        written = lm.generate_until(asked("generate_until", {"until": [], "max_gen_toks": 6}), disable_tqdm=True)
        scores = lm.loglikelihood(asked("loglikelihood", " yes"), disable_tqdm=True)
        results.append((written, [round(score, 3) for score, _ in scores]))
    assert results[0] == results[1]
    peft = found.peft
    for text, score in zip(texts, results[0][1], strict=True):
        context, whole = (lm.tok_encode(part)[TOKENS:] for part in (text.rstrip(), text + " yes"))
        with torch.no_grad():
            logits = peft(input_ids=torch.tensor([whole]), attention_mask=torch.ones(1, len(whole))).logits[0, TOKENS:]
        chosen = logits.log_softmax(-1)[range(len(context) - 1, len(whole) - 1), whole[len(context) :]]
        room = len(chosen) * TOKENS / found.known  # the soft tokens' own share, at most, among random weights
        assert score == pytest.approx(float(chosen.sum()), abs=room)


def test_a_soft_prompt_of_another_width_is_refused(tmp_path: Path) -> None:
    base = base_model(tmp_path / "base", "llama")
    adapter = soft_prompt(base, tmp_path / "adapter")
    from safetensors.torch import save_file

    save_file({"prompt_embeddings": torch.zeros(TOKENS, 16)}, adapter / "adapter_model.safetensors")
    with pytest.raises((UserError, RunError), match="fit"):
        Export(ModelConfig(path=str(base)), "prompt_tuning", adapter).write(tmp_path / "out", CardFacts("x"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]
