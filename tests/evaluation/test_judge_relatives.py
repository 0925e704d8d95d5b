"""A judge of the family of what it judges is refused, or named as such in every table."""

from __future__ import annotations

from typing import Any

import pytest

from synthetic_instruction_tuner.config import Config, load_config
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark, plain_name
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.grading import named
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.opening import engine_for_judge, judge_key
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.relatives import judge_label, related_judge
from synthetic_instruction_tuner.run.checks.judge_checks import judge_faults


def config(*settings: str, profile: str = "a100") -> Config:
    named = [f"evaluate.mt_bench.judge.{setting}" for setting in settings]
    return load_config(profile, None, ["evaluate.benchmarks=[mt_bench]", *named], None)


@pytest.mark.parametrize(
    ("model", "related"),
    [
        ("Qwen/Qwen2.5-72B-Instruct", "student Qwen2.5-3B (qwen)"),
        ("meta-llama/Llama-3.3-70B-Instruct", "generator Llama-3.1-8B-Instruct (llama)"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "student Llama-3.2-3B (llama)"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "student Mistral-7B-v0.3 (mistral)"),
        ("some/deberta-v3-judge", "reward model of the pairs"),
    ],
)
def test_a_related_judge_is_refused_by_name_unless_it_is_allowed(model: str, related: str) -> None:
    chosen = config(f"model.path={model}")
    [fault] = judge_faults(chosen)
    assert related in fault.cause
    assert "allow_related_judge" in fault.fix
    allowed = config(f"model.path={model}", "allow_related_judge=true")
    assert judge_faults(allowed) == []
    label = judge_label(allowed.evaluate.mt_bench.judge, allowed)
    assert label.startswith(model.split("/")[-1])
    assert f"related to {related}" in label or related in label
    assert plain_name(named(label)) == benchmark(named(label)).name == "mt_bench"


def test_an_unrelated_judge_is_called_by_its_name_alone() -> None:
    chosen = config("model.path=microsoft/phi-4")
    assert judge_faults(chosen) == []
    assert judge_label(chosen.evaluate.mt_bench.judge, chosen) == "phi-4"


def test_without_a_judge_mt_bench_is_refused_before_the_start() -> None:
    [fault] = judge_faults(config("model=null"))
    assert "needs a judge" in fault.problem
    assert judge_faults(load_config("nano", None, [], None)) == []


def test_the_judge_of_the_pairs_counts_where_it_made_them() -> None:
    settings = ["prefer.scorer=judge", "models.judge=microsoft/phi-4", "evaluate.benchmarks=[mt_bench]"]
    chosen = load_config("a100", None, [*settings, "evaluate.mt_bench.judge.model.path=microsoft/Phi-4-mini"], None)
    fault = related_judge(chosen.evaluate.mt_bench.judge, chosen)
    assert fault is not None
    assert "judge of the pairs phi-4 (phi)" in fault.cause


def test_how_a_judge_is_reached_changes_no_key_and_the_generators_server_is_not_the_judges() -> None:
    local = config("model.path=microsoft/phi-4")
    engine = local.engine.model_copy(update={"url": "http://127.0.0.1:1/v1", "api_key_env": "KEY", "kind": "server"})
    own = engine_for_judge(local.evaluate.mt_bench.judge, engine)
    assert (own.url, own.api_key_env, own.kind) == (None, "", "auto")
    one, other = (config("model.path=x", f"model.url=http://127.0.0.1:{port}/v1") for port in (1, 2))
    parts: list[Any] = [c.evaluate.mt_bench.judge for c in (one, other)]
    assert judge_key(parts[0], one.engine) == judge_key(parts[1], other.engine)
    assert one.evaluate.key_part() == other.evaluate.key_part() != local.evaluate.key_part()
    assert one.evaluate.mt_bench.answers_part() == local.evaluate.mt_bench.answers_part()
