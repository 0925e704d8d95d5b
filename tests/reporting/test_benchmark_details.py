"""What the report shows of public benchmarks beside their scores."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reporting.made_up import full, row

from synthetic_instruction_tuner.config import load_config
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark, kind_of, public_first
from synthetic_instruction_tuner.evaluation.benchmarks.ifeval.items import RULES
from synthetic_instruction_tuner.evaluation.benchmarks.published import Availability
from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow, compare
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult
from synthetic_instruction_tuner.evaluation.statistics import Difference
from synthetic_instruction_tuner.reporting.benchmark_details import BenchmarkDetails, describe, smallest_difference
from synthetic_instruction_tuner.reporting.figures.rewards import reward_points
from synthetic_instruction_tuner.reporting.report import render_markdown
from synthetic_instruction_tuner.reporting.report_data import ReportData
from synthetic_instruction_tuner.run.stages.report import part

KINDS = sorted(RULES)


def ifeval(right: set[str], **more: Any) -> BenchmarkResult:
    """Returns answers to 50 prompts, two of each kind of rule; number 30 is one of the faulty ones."""
    items = []
    for n in range(50):
        kind = KINDS[n % len(KINDS)]
        one = (float(kind in right),)
        scores = {m: one for m in ("prompt_strict", "prompt_loose", "rule_strict", "rule_loose")}
        items.append(ItemResult(f"ifeval-{n}", ("p",), ("o",), scores, (kind,)))
    return BenchmarkResult("ifeval", "prompt_strict", tuple(items), **more)


def details(results: dict[tuple[str, str], BenchmarkResult], path: str = "x/y") -> BenchmarkDetails:
    name = next(iter(results.values())).benchmark
    rows = compare({key: [result] for key, result in results.items()})
    return describe(benchmark(name), results, rows, "8 of 541.", {"s": path}, generated=name != "mmlu")


VARIANTS = {("s", "base"): ifeval(set()), ("s", "sft"): ifeval(set(KINDS[:20]), n_truncated=3, n_empty=2, n_unparsed=1)}


def report(results: dict[tuple[str, str], BenchmarkResult], **more: Any) -> str:
    name = next(iter(results.values())).benchmark
    rows = compare({key: [result] for key, result in results.items()})
    data = ReportData("r", "p", comparison=rows, benchmarks={name: benchmark(name)}, details={name: details(results)})
    return render_markdown(replace(data, **more))


def test_every_kind_of_rule_has_a_line_with_its_error_for_each_variant() -> None:
    (table,) = details(VARIANTS).long_tables
    assert [cells[0] for cells in table.rows] == KINDS and table.columns == ("base", "sft")
    assert table.rows[0] == (KINDS[0], "2", "0.000 ± 0.000", "1.000 ± 0.000")
    text = report(VARIANTS).partition("## Appendix: public benchmarks by kind of item")[2].partition("\n## ")[0]
    assert all(f"| {kind} | 2 |".replace("_", "\\_") in text or f"| {kind} | 2 |" in text for kind in KINDS)
    assert "| kind | n | base | LoRA SFT |" in text


def test_the_audited_prompts_stand_beside_all_of_them() -> None:
    (table,) = details(VARIANTS).tables
    assert table.title == "Without the 1 prompt that is known to be faulty"
    whole = 40 / 50
    assert table.rows[1][2].endswith(f"(all: {whole:.3f})") and table.rows[1][2].startswith(f"{39 / 49:.3f}")
    assert all("(n=49)" in heading for heading in table.columns)
    sound = {key: replace(r, items=r.items[:30]) for key, r in VARIANTS.items()}
    (table,) = details(sound).tables
    assert not table.rows and "None of these prompts" in table.title
    assert "None of these prompts is known to be faulty." in report(sound)


def test_cut_off_empty_and_unreadable_answers_are_counted() -> None:
    text = report(VARIANTS)
    assert "| s | base | 0 | 0 | 0 |" in text and "| s | LoRA SFT | 3 | 2 | 1 |" in text
    flawless = {key: replace(r, n_truncated=0, n_empty=0, n_unparsed=0) for key, r in VARIANTS.items()}
    assert "none was cut off, empty or unreadable" in report(flawless)


def test_the_form_of_the_headline_and_the_items_are_named() -> None:
    for name in ("ifeval", "mmlu", "mt_bench"):
        assert benchmark(name).form.startswith(("The headline", "Every variant"))
    text = report(VARIANTS)
    assert "8 of 541." in text and "under the chat template" in text and "Chance level: 0." in text


@given(
    st.lists(st.one_of(st.just(math.nan), st.floats(0.001, 0.9)), max_size=5),
    st.integers(1, 20_000),
)
def test_the_smallest_difference_is_that_of_the_tests(detectable: list[float], clusters: int) -> None:
    rows = [
        row("sft", "ifeval", "prompt_strict", 0.5, 0.1, clusters=clusters, differences={"base": one})
        for one in (Difference(0.1, 0.1, 0.5, detectable=d) for d in detectable)
    ]
    said = smallest_difference(rows)
    known = [d for d in detectable if not math.isnan(d)]
    numbers = [float(n) for n in re.findall(r"\d\.\d{3}", said)]
    assert bool(said) == bool(detectable)
    assert numbers == (sorted({round(min(known), 3), round(max(known), 3)}) if known else [])
    assert not said or ("one item" if clusters == 1 else f"{clusters:,} items") in said


def mmlu(right: int, count: int = 100) -> BenchmarkResult:
    items = (
        ItemResult(
            f"mmlu-{n}", ("p",), ("A",), {"acc": (float(n < right),)}, (f"{'anatomy' if n % 2 else 'virology'}",)
        )
        for n in range(count)
    )
    return BenchmarkResult("mmlu", "acc", tuple(items))


def test_scores_are_set_against_chance_and_against_published_ones() -> None:
    guessed = details({("s", "base"): mmlu(26), ("s", "sft"): mmlu(27)}, "meta-llama/Llama-3.2-3B")
    chance, published = guessed.sanity
    assert "Chance (0.25)" in chance and "every score" in chance
    assert "0.580" in published and "Measured here: 0.260" in published and "meta-llama/Llama-3.2-3B" in published
    known = details({("s", "base"): mmlu(60), ("s", "sft"): mmlu(27), ("s", "prompt_tuning"): mmlu(27)})
    assert len(known.sanity) == 1 and "the scores of s sft, s prompt tuning" in known.sanity[0]
    assert details({("s", "base"): mmlu(60)}).sanity == ()
    assert details({("s", "base"): mmlu(60)}).detectable == ""


def test_categories_and_subjects_name_their_numbers() -> None:
    categories, subjects, clustered = details({("s", "base"): mmlu(60)}).tables
    assert subjects.columns == ("anatomy (n=50)", "virology (n=50)") and len(categories.columns) == 2
    assert "cluster" in clustered.title


PART = "2 of 57 subjects"


@pytest.mark.parametrize(
    ("found", "asked", "parts", "said"),
    [
        (541, 541, "", "All 541 published items."),
        (541, 100, "", "100 of 541 published items, a fixed random subset."),
        (60, 60, PART, f"60 of 541 published items, {PART}; the others are not on this machine."),
        (60, 60, "", "60 of 541 published items; the others are not on this machine."),
        (60, 8, PART, f"8 of 541 published items, a fixed random subset of the 60 on this machine ({PART})."),
    ],
)
def test_which_of_the_published_items_were_asked(found: int, asked: int, parts: str, said: str) -> None:
    assert Availability(found=found, published=541, parts=parts).chosen(asked) == said


def mixed() -> ReportData:
    rows: list[ComparisonRow] = [row("base", "ifeval", "prompt_strict", 0.5, 0.1, model="student-llama")]
    return replace(full(), comparison=[*full().comparison, *rows])


def test_public_benchmarks_come_first_and_are_told_from_nano_ones() -> None:
    data = mixed()
    assert next(iter(data.headlines)) == "ifeval"
    text = render_markdown(data)
    headings = re.findall(r"^### (\w+): \w+ \((.+)\)$", text.replace("\\", ""), re.MULTILINE)
    assert headings[0] == ("ifeval", "public") and {kind for _, kind in headings[1:]} == {"nano world"}
    assert "say nothing about how real models do" in text
    assert "nano world" not in render_markdown(full()).partition("## Results")[2].partition("## Data")[0]


@given(st.lists(st.sampled_from(["nano_mt", "ifeval", "mmlu (judge: x)", "mt_bench (judge: a)", "other", "nano_mmlu"])))
def test_public_first_keeps_all_else(names: list[str]) -> None:
    found = public_first(names)
    assert set(found) == set(names) and len(found) == len(set(names))
    kinds = [kind_of(name) == "public" for name in found]
    assert kinds == sorted(kinds, reverse=True)
    for kind in (True, False):
        own = [n for n in dict.fromkeys(names) if (kind_of(n) == "public") == kind]
        assert own == [n for n in found if (kind_of(n) == "public") == kind]


def test_unreadable_ratings_are_no_pass_rate() -> None:
    judged = "mt_bench (judge: j)"
    scores = [row("sft", judged, m, 1.0, 0.1) for m in ("reward", "unreadable", "rating", "turn_1")]
    assert reward_points(ReportData("r", "p", comparison=scores)) == []
    scores.append(row("sft", "ifeval", "prompt_strict", 0.5, 0.1))
    data = ReportData("r", "nano", comparison=scores)
    assert [b.benchmark for _, b in reward_points(data)] == ["ifeval"]
    assert "trained on these checkers" not in render_markdown(data, {"reward_against_passing": "x.png"})


def test_only_runs_with_public_benchmarks_write_their_report_again() -> None:
    assert "details" not in part(load_config())
    assert "details" in part(load_config(overrides=["evaluate.benchmarks=[nano_mmlu,mmlu]"]))
