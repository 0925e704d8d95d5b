"""The model as public benchmarks ask it: nothing is asked twice, and what many texts begin with is read once."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.config import EvaluateConfig
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.engines.transformers.prefixes import groups_of
from synthetic_instruction_tuner.engines.transformers.scoring import rows_of
from synthetic_instruction_tuner.evaluation import evaluator
from synthetic_instruction_tuner.evaluation.benchmark_lm import BenchmarkLM
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult
from synthetic_instruction_tuner.run.store import Store
from synthetic_instruction_tuner.run.store.kept_answers import KeptAnswers

PROMPTS = [f"Tell me about number {n}{'!' * (n % 5)}" for n in range(9)]


@pytest.fixture(scope="module")
def parts(random_llama: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(random_llama), AutoTokenizer.from_pretrained(random_llama)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "proj" in name:
                weights.mul_(16)
    return model, tokenizer


def language_model(parts: tuple[Any, Any], soft: torch.Tensor | None = None, size: int = 2, **more: Any) -> BenchmarkLM:
    model, tokenizer = parts
    engine = TransformersEngine(model, tokenizer.pad_token_id, batch_size=size, device="cpu", soft_prompt=soft)
    return BenchmarkLM(engine, ChatTemplate.from_tokenizer(tokenizer), tokenizer, **more)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("after", [1, 4, 8])
def test_an_interrupted_benchmark_goes_on(parts: tuple[Any, Any], tmp_path: Path, after: int) -> None:
    whole = language_model(parts).answers(PROMPTS, 6, chat=True)
    seen = [0]

    def kill(count: int) -> None:
        seen[0] += count
        if seen[0] >= after:
            raise Killed

    with closing(Store.open(tmp_path / "run.sqlite")) as store:
        with pytest.raises(Killed):
            language_model(parts, memory=KeptAnswers(store, "u", every=1), done=kill).answers(PROMPTS, 6, chat=True)
        kept = KeptAnswers(store, "u", every=1)
        assert after <= len(kept) < len(PROMPTS)
        again = language_model(parts, memory=kept)
        wrote: list[int] = []
        generate = again.engine.generate
        again.engine.generate = lambda requests, done=None: (wrote.append(len(requests)), generate(requests))[1]  # type: ignore[method-assign]
        assert again.answers(PROMPTS, 6, chat=True) == whole
        assert wrote == [len(PROMPTS) - after] or wrote[0] < len(PROMPTS)
        kept.forget()
        assert len(KeptAnswers(store, "u")) == 0


@pytest.mark.parametrize("fits", [1, 2, 5])
def test_where_memory_runs_out_fewer_are_asked_at_once_and_the_answers_are_the_same(
    parts: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, fits: int
) -> None:
    """The GPU holds so many rows; a common beginning, which is one row, is read anew after each failure."""
    examples = "An example of a question with its answer, for all. " * 6
    contexts, options = [examples + prompt for prompt in PROMPTS], [" A", " B"]
    whole = language_model(parts, size=8)
    written, liked = whole.answers(PROMPTS, 5, chat=True), whole.likelihoods(contexts, options, chat=False)
    model = parts[0]
    forward = model.forward

    def limited(*args: Any, **kwargs: Any) -> Any:
        rows = kwargs.get("input_ids", kwargs.get("inputs_embeds"))
        if rows is not None and len(rows) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return forward(*args, **kwargs)

    tried = language_model(parts, size=8)
    _ = tried.engine.decoder, tried.engine._can_share()  # type: ignore[attr-defined]
    monkeypatch.setattr(model, "forward", limited)
    assert tried.answers(PROMPTS, 5, chat=True) == written
    found = tried.likelihoods(contexts, options, chat=False)
    assert torch.allclose(torch.tensor(found), torch.tensor(liked), atol=1e-4)
    assert tried.engine.batch_size <= max(1, fits)  # type: ignore[attr-defined]


def test_what_is_kept_does_not_collide(parts: tuple[Any, Any], tmp_path: Path) -> None:
    with closing(Store.open(tmp_path / "run.sqlite")) as store:
        memory = KeptAnswers(store, "u")
        asked = [(6, True), (7, True), (6, False)]
        fresh = [language_model(parts).answers(PROMPTS[:3], most, chat=chat) for most, chat in asked]
        kept = [language_model(parts, memory=memory).answers(PROMPTS[:3], most, chat=chat) for most, chat in asked]
        assert kept == fresh and len(memory) == 9
        options = [" A", " B"]
        lm = language_model(parts, memory=memory)
        found = {chat: lm.likelihoods(PROMPTS, options, chat=chat) for chat in (True, False)}
        assert found[True] != found[False]
        assert {chat: lm.likelihoods(PROMPTS, options, chat=chat) for chat in (True, False)} == found


@pytest.mark.parametrize("virtual", [0, 4])
@pytest.mark.parametrize("size", [1, 3, 16])
@pytest.mark.parametrize("options", [[" A", " B", " C"], [" yes", " no", " maybe so"]])
def test_a_common_beginning_changes_no_number(
    parts: tuple[Any, Any], virtual: int, size: int, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    soft = torch.randn(virtual, parts[0].config.hidden_size) if virtual else None
    start = "These are questions about the history of the small town of Almont, with answers. " * 2
    contexts = [start + prompt for prompt in PROMPTS] + ["Something else"]
    lm = language_model(parts, soft, size)
    together = lm.likelihoods(contexts, options, chat=False)
    alone = [lm.likelihoods([context], options, chat=False)[0] for context in contexts]
    assert together == [pytest.approx(row, abs=1e-4) for row in alone]


def test_which_rows_are_read_together() -> None:
    long, other = tuple(range(100)), tuple(range(200, 300))
    contexts = [(*long, 7), (1, 2), (*other, 1), (*long, 8, 9), (*long, 7, 7), (*other, 2), (1, 3)]
    rows = rows_of([(context, (5,)) for context in contexts], shared=True)
    groups = groups_of(rows)
    assert [(length, sorted(row.pairs[0] for row in group)) for length, group in groups] == [
        (0, [1, 2, 5, 6]),
        (100, [0, 3, 4]),
    ]


def test_the_first_of_equal_choices(parts: tuple[Any, Any]) -> None:
    assert language_model(parts).choices(["Hi"], [" A", " A"], chat=False) == [0]


def test_prompts_that_are_cut_count_once_whatever_the_number_of_forms(
    parts: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluate(lm: BenchmarkLM, _: object) -> BenchmarkResult:
        first = None
        for chat in (False, True):
            lm.likelihoods(["a long beginning and the end"], [" A"], chat=chat)
            first = lm.n_cut if first is None else first
        lm.answers(PROMPTS[:2], 1, chat=True)
        return BenchmarkResult(
            "mmlu", "acc", (ItemResult("i", ("p",), ("A",), {"acc": (1.0,)}),), n_truncated=first or 0
        )

    monkeypatch.setattr(TransformersEngine, "context_length", 12)
    monkeypatch.setattr(evaluator, "benchmark", lambda name: SimpleNamespace(evaluate=evaluate))
    lm = language_model(parts)
    found = evaluator.Evaluator(EvaluateConfig()).evaluate("mmlu", lm.engine, lm.template, lm.tokenizer)
    assert found.n_truncated == 1 + 2  # one prompt in the headline's form, and two answers of one token


def test_a_text_that_is_too_long_loses_its_beginning(parts: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TransformersEngine, "context_length", 12)
    lm = language_model(parts)
    (cut,) = lm.likelihoods(["a long beginning and the end"], [" A"], chat=False)
    assert lm.n_cut == 1
    text = lm._ids("a long beginning and the end")
    (direct,) = lm.engine.loglikelihood([(text[-12:], tuple(lm._plain(" A")[:1]))])
    if len(lm._plain(" A")) == 1:
        assert cut[0] == pytest.approx(direct[0], abs=1e-5)
