from __future__ import annotations

import pytest

from synthetic_instruction_tuner.config import EvaluateConfig, load_config
from synthetic_instruction_tuner.evaluation.benchmarks.subsets import what_subsets_show
from synthetic_instruction_tuner.evaluation.power import mcnemar_power


def test_the_plan_says_what_a_subset_can_show() -> None:
    config = load_config(profile="t4").evaluate
    lines = what_subsets_show(config)
    assert [line.partition(":")[0] for line in lines] == ["ifeval", "mmlu"]
    assert "200 of 541 items" in lines[0] and "1,000 of 14,042" in lines[1]
    points = float(lines[1].partition(" percentage")[0].rpartition(" ")[2])
    assert mcnemar_power(1000, 0.2, points / 100) == pytest.approx(0.8, abs=0.02)


def test_whole_benchmarks_and_those_of_the_nano_world_need_no_such_line() -> None:
    assert what_subsets_show(EvaluateConfig()) == []
    assert what_subsets_show(EvaluateConfig(benchmarks=("ifeval", "mmlu", "mt_bench", "nano_mmlu"))) == []


def test_few_items_show_nothing() -> None:
    (line,) = what_subsets_show(EvaluateConfig(benchmarks=("ifeval",), limit_items=4))
    assert "4 of 541 items show no difference" in line
