"""The variants' answers: kept between any two items whatever the engine, counted once, named by all they depend on."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.config import Config, ModelConfig, load_config
from synthetic_instruction_tuner.engines.base import Completion
from synthetic_instruction_tuner.evaluation import benchmark_lm
from synthetic_instruction_tuner.evaluation.evaluator import Evaluator
from synthetic_instruction_tuner.models.number_format import NumberFormat
from synthetic_instruction_tuner.run.costs.counts import benchmark_work
from synthetic_instruction_tuner.run.progress.display import Display, Working
from synthetic_instruction_tuner.run.progress.progress_file import ProgressFile, read_progress
from synthetic_instruction_tuner.run.stages.variants.answering import _Told, answer_missing
from synthetic_instruction_tuner.run.stages.variants.keys import answers_unit, unit_of
from synthetic_instruction_tuner.run.stages.variants.variant import Variant
from synthetic_instruction_tuner.run.store import Store
from synthetic_instruction_tuner.run.store.kept_answers import kept_count

sys.path.insert(0, str(Path(__file__).parents[2] / "evaluation"))

from canned import CannedEngine
from mt_bench_files import make_folder

CPU = NumberFormat("float32", "float32", "")
STUDENT = ModelConfig(path="nano:student-llama")


class Killed(BaseException):
    """Stands for the end of the process."""


# Kept as they come


class Portions(CannedEngine):
    """An engine that gives all texts of a call at once, and ends the process at its `end`th call."""

    capabilities = SimpleNamespace(slow="")
    end = 10**9

    def count(self) -> None:
        self.end -= 1
        if self.end < 0:
            raise Killed

    def generate(self, requests: Any, done: Any = None) -> list[Completion]:
        self.count()
        return super().generate(requests, done)

    def loglikelihood(self, pairs: Any) -> list[tuple[float, bool]]:
        self.count()
        return super().loglikelihood(pairs)


@pytest.fixture(scope="module")
def tokenizer(random_llama: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(random_llama)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    data = tmp_path_factory.mktemp("data")
    make_folder(data / "mt_bench")
    for part, rows in (("test", 5), ("dev", 5)):
        (data / "mmlu" / part).mkdir(parents=True)
        lines = [f"q{n}?,a,b,c,d,{n % 4}" for n in range(rows)]
        text = "\n".join(["question,choice0,choice1,choice2,choice3,answer", *lines]) + "\n"
        (data / "mmlu" / part / f"anatomy_{part}.csv").write_text(text)
    names = "nano_ifeval,nano_mmlu,nano_mt,mmlu,mt_bench"
    settings = [f"evaluate.{name}.items=5" for name in ("nano_ifeval", "nano_mmlu", "nano_mt", "mmlu", "mt_bench")]
    return load_config("nano", None, [*settings, f"evaluate.benchmarks=[{names}]", f"evaluate.data_dir={data}"], None)


def answering(tokenizer: Any) -> Portions:
    return Portions(tokenizer, lambda turns: f"hello {len(turns[-1])}", lambda a, b: -float(hash_of(a + b)))


def hash_of(text: str) -> int:
    return sum(map(ord, text)) % 97


def context(store: Store, config: Config, engine: Portions, display: Display) -> Any:
    template = ChatTemplate.from_tokenizer(engine.tokenizer)

    @contextmanager
    def opened(_: Path | None) -> Iterator[Any]:
        yield engine, template

    @contextmanager
    def variants(*_: Any) -> Iterator[Any]:
        yield opened

    return SimpleNamespace(
        config=config,
        store=store,
        display=display,
        commit=store.commit_batch,
        variants=variants,
        number_format=lambda *_, **__: CPU,
    )


@pytest.fixture(scope="module")
def whole(config: Config, tokenizer: Any) -> dict[str, Any]:
    """The results of evaluations that nothing has interrupted."""
    engine, found = answering(tokenizer), {}
    for name in config.evaluate.benchmarks:
        template = ChatTemplate.from_tokenizer(tokenizer)
        found[name] = Evaluator(config.evaluate).evaluate(name, engine, template, tokenizer, untuned=True).to_json()
        found[name] = json.loads(json.dumps(found[name]))
    return found


@pytest.mark.parametrize("portion", [1, 3])
def test_killed_between_any_two_portions_every_benchmark_goes_on(
    config: Config,
    tokenizer: Any,
    whole: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    portion: int,
) -> None:
    """The process ends again and again, at its second call of the engine; nothing is asked twice."""
    monkeypatch.setattr(benchmark_lm, "PORTION", portion)
    monkeypatch.setattr(benchmark_lm, "CHUNK", portion)
    monkeypatch.setattr(benchmark_lm, "HARNESS_CHUNK", portion * 4)
    variant = Variant(STUDENT, "base", None)
    names, asked, kills = config.evaluate.benchmarks, [], 0
    with closing(Store.open(tmp_path / "run.sqlite")) as store:
        while True:
            engine = answering(tokenizer)
            engine.end = 1
            ctx = context(store, config, engine, Display(quiet=True))
            try:
                answer_missing(ctx, [variant], names)
                break
            except Killed:
                kills += 1
                asked += [request for call in engine.calls for request in call]
        found = {name: dict(next(store.rows(unit_of(ctx, variant, name)))) for name in names}
        assert sum(kept_count(store, unit_of(ctx, variant, name)) for name in names) == 0
    for name in names:
        found[name].pop("seconds")
        assert found[name] == whole[name], name
    assert kills > 4 * len(names) / portion
    assert len({(r.prompt_ids, r.seed, r.max_new_tokens) for r in asked}) == len(asked)


def test_progress_counts_every_answer_once(config: Config, tokenizer: Any, tmp_path: Path) -> None:
    told: list[Working] = []
    display = Display(quiet=True)
    display.tell = lambda working: told.append(working) if working else None
    names = config.evaluate.benchmarks
    variants = [Variant(STUDENT, name, None) for name in ("base", "sft")]
    with closing(Store.open(tmp_path / "run.sqlite")) as store:
        advanced: dict[str, int] = {}
        task = display.task

        @contextmanager
        def watched(label: str, total: int, unit: str, done: int = 0) -> Iterator[Callable[..., None]]:
            with task(label, total, unit, done) as advance:

                def more(n: int = 1, note: str | None = None) -> None:
                    advanced[label] = advanced.get(label, done) + n
                    advance(n, note)

                yield more
            assert advanced[label] == total

        display.task = watched  # type: ignore[method-assign]
        answer_missing(context(store, config, answering(tokenizer), display), variants, names)
    assert list(advanced) == [f"student-llama-{v.name} {name}" for v in variants for name in names]
    planned = [benchmark_work(n, config.evaluate).asked(v.name == "base") for v in variants for n in names]
    assert list(advanced.values()) == planned
    assert {working.label for working in told} == set(advanced)


@given(
    total=st.integers(1, 50),
    before=st.integers(0, 50),
    came=st.lists(st.integers(0, 30), max_size=12),
)
def test_what_comes_is_never_more_than_all_and_never_counted_twice(total: int, before: int, came: list[int]) -> None:
    before = min(before, total)
    seen: list[int] = []
    told = _Told(lambda n=1, note=None: seen.append(n), total, before, "")
    for n in came:
        told(n)
    assert sum(seen) == max(0, min(total, sum(came)) - before)
    told(total), told(total)
    assert sum(seen) == total - before


# What a run is doing, for others


def test_what_a_run_does_is_there_while_it_lives(tmp_path: Path) -> None:
    working = Working("evaluate", "s-dpo mmlu", 300, 1000, "answers", 25.0, 28.0, 100.0)
    file = ProgressFile(tmp_path / "progress.json")
    file.write(working)
    assert read_progress(tmp_path / "progress.json") == working
    assert working.line() == "s-dpo mmlu: 300 of 1,000 answers, 25 a second, about 28 s left; run: 1 min 40 s left"
    found = json.loads((tmp_path / "progress.json").read_text())
    for other in ({"pid": 2**22 + 1}, {"began": time.time() + 9}, {"host": "another"}, {"pid": "x"}):
        left = found | {"process": found["process"] | other}
        (tmp_path / "progress.json").write_text(json.dumps(left))
        assert read_progress(tmp_path / "progress.json") is None, "a process that is no more"
    for text in ("", "{", "[]", "{}", json.dumps(found | {"more": 1})):
        (tmp_path / "progress.json").write_text(text)
        assert read_progress(tmp_path / "progress.json") is None
    file.write(None)
    file.write(None)
    assert not list(tmp_path.iterdir())
    ProgressFile(tmp_path / "missing" / "progress.json").write(working)  # is no reason to stop
    assert found["process"]["pid"] == os.getpid()


# Keys


def adapter(folder: Path, weights: bytes = b"w", rank: int = 2) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": rank}))
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder


def test_answers_of_anything_else_have_another_name(config: Config, tmp_path: Path) -> None:
    """Every ingredient alone changes the name, in every pair of changes both names differ."""
    template = tmp_path / "chat.jinja"
    template.write_text("{{ messages }}")
    own = Variant(STUDENT, "sft", adapter(tmp_path / "a"))

    def unit(*settings: str, held: NumberFormat = CPU, variant: Variant = own, name: str = "mmlu") -> str:
        fixed = [f"evaluate.data_dir={config.evaluate.data_dir}", "evaluate.mmlu.items=5"]
        made = load_config("nano", None, [*fixed, *settings], None)
        return answers_unit(made, variant, name, held)

    def student(**facts: Any) -> Variant:
        return replace(own, student=STUDENT.model_copy(update=facts))

    with_template = student(chat_template=str(template))
    found = {
        "nothing": unit(),
        "model": unit(variant=student(path="nano:student-qwen2")),
        "revision": unit(variant=student(revision="v2")),
        "no adapter": unit(variant=replace(own, adapter=None)),
        "weights": unit(variant=replace(own, adapter=adapter(tmp_path / "b", b"v"))),
        "rank": unit(variant=replace(own, adapter=adapter(tmp_path / "c", rank=3))),
        "template": unit(variant=with_template),
        "shots": unit("evaluate.mmlu.shots=1"),
        "items": unit("evaluate.limit_items=3"),
        "batch": unit("engine.batch_size=7"),
        "dtype setting": unit("engine.dtype=float32"),
        "4 bits setting": unit(variant=student(load_in_4bit=True)),
        "benchmark": unit(name="nano_mmlu"),
    }
    formats = [("float16",) * 2, ("bfloat16",) * 2, *itertools.product(("nf4", "int8"), ("float32", "float16"))]
    for weights, compute in formats:
        for name in ("mmlu", "nano_mmlu", "nano_mt"):
            found[f"{name} in {weights}, {compute}"] = unit(held=NumberFormat(weights, compute, "any"), name=name)
    template.write_text("{{ messages }} ")
    found["another template of the same name"] = unit(variant=with_template)
    folder = Path(config.evaluate.settings("mmlu").data_dir)  # type: ignore[attr-defined]
    file = folder / "mmlu/test/anatomy_test.csv"
    text = file.read_text()
    try:
        file.write_text(text.replace("q1?", "q1!"))
        found["data"] = unit()
    finally:
        file.write_text(text)
    assert len(set(found.values())) == len(found)
    same = [
        unit(),
        unit("engine.outage=3"),
        unit("evaluate.require=true"),
        unit(held=NumberFormat("float32", "float32", "another reason")),
        unit(variant=replace(own, adapter=adapter(tmp_path / "elsewhere" / "a"))),
    ]
    assert set(same) == {found["nothing"]}


def test_the_names_of_nano_answers_on_a_cpu_are_those_of_earlier_runs() -> None:
    """A run that was evaluated before asks nothing again."""
    from synthetic_instruction_tuner.config import fingerprint
    from synthetic_instruction_tuner.models.files import identity

    made = load_config("nano")
    settings = made.evaluate.settings("nano_mt")
    key = fingerprint(1, "nano_mt", settings, identity(STUDENT), None, made.engine.key_part())
    assert answers_unit(made, Variant(STUDENT, "base", None), "nano_mt", CPU).endswith(f":nano_mt:{key}")
