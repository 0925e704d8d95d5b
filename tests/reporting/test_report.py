"""The report: what it claims agrees with the numbers, missing parts are left out, and no text can break out."""

from __future__ import annotations

import math
import re
import runpy
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import STUDENTS, comparison, full, row
from markdown_it import MarkdownIt

from synthetic_instruction_tuner.escaping import fenced, markdown, one_line, visible
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.evaluation.comparison import corrected
from synthetic_instruction_tuner.evaluation.statistics import Difference
from synthetic_instruction_tuner.methods import BASE, LABELS, VARIANTS
from synthetic_instruction_tuner.reporting.figures import drawing
from synthetic_instruction_tuner.reporting.figures.curves import training_losses
from synthetic_instruction_tuner.reporting.figures.data import filter_funnel
from synthetic_instruction_tuner.reporting.figures.rewards import reward_points
from synthetic_instruction_tuner.reporting.figures.style import STYLE
from synthetic_instruction_tuner.reporting.html import render_html
from synthetic_instruction_tuner.reporting.report import render_markdown, write_report
from synthetic_instruction_tuner.reporting.report_data import ReportData, Sample
from synthetic_instruction_tuner.reporting.sections.findings import ALPHA, all_tests, findings


def test_steps_are_whole_numbers_and_no_point_is_cut() -> None:
    for steps in ([2], [1, 2, 3, 4], list(range(5, 190, 5))):
        data = ReportData("r", "p", training_logs={("sft", "s"): [{"step": k, "loss": 2.5} for k in steps]})
        with matplotlib.rc_context(STYLE):
            figure = training_losses(data)
            assert figure is not None
            (ax,) = figure.axes
            assert all(float(tick).is_integer() for tick in ax.get_xticks())
            assert ax.get_xlim()[0] < steps[0] and steps[-1] < ax.get_xlim()[1] and ax.get_ylim()[1] > 2.6


@pytest.mark.parametrize("records", (1500, 7, 2_500_000))
def test_no_text_of_the_funnel_touches_another(records: int) -> None:
    rules = [("empty", 0), ("length", 1), ("diversity", records // 3)]
    funnel = [{"rule": rule, "records_in": records, "dropped": dropped} for rule, dropped in rules]
    report = {"records": records, "passed": 3, "kept": 2, "over": 1, "funnel": funnel}
    with matplotlib.rc_context(STYLE):
        figure = filter_funnel(ReportData("run", "nano", filter_report=report))
        assert figure is not None
        boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


@pytest.mark.parametrize(
    "variants", [("base",), ("base", "sft"), ("base", "sft", "dpo"), ("base", "sft", "prompt_tuning")]
)
def test_missing_methods_are_said_to_be_missing(variants: tuple[str, ...]) -> None:
    text = render_markdown(full(variants))
    said = re.search(r"Not part of this run's comparison: (.+)\.", text)
    assert said and said[1].split(", ") == [LABELS[v] for v in VARIANTS if v not in variants]
    assert "Not part of this run" not in render_markdown(full())


def test_an_almost_empty_run_still_has_a_report(tmp_path: Path) -> None:
    report, page = write_report(ReportData("empty", "t4"), tmp_path / "report.md", tmp_path / "figures")
    assert "there are no findings" in report.read_text(encoding="utf-8")
    assert "<h1>" in page.read_text(encoding="utf-8")


def test_one_student_one_item_and_unknown_errors(tmp_path: Path) -> None:
    against = {"base": Difference(1.0, math.nan, 1.0)}
    unknown = [
        row(v, "b", "m", 0.0, math.nan, n=1, clusters=1, differences=d) for v, d in (("base", {}), ("sft", against))
    ]
    data = ReportData("r", "p", comparison=corrected(unknown))
    assert all(r.interval == (0.0, 0.0) for r in data.comparison)
    text = write_report(data, tmp_path / "report.md", tmp_path)[0].read_text(encoding="utf-8")
    assert "0.000 ± n/a" in text and "no evidence of a difference" in text


TRAININGS = [(student, variant) for student in STUDENTS for variant in VARIANTS if variant != BASE]
CELLS = st.lists(
    st.tuples(st.sampled_from([-0.2, -0.01, 0.0, 0.03, 0.4]), st.sampled_from([0.0001, 0.0099, 0.01, 0.02, 0.9])),
    min_size=len(TRAININGS),
    max_size=len(TRAININGS),
)


@settings(max_examples=60, deadline=None)
@given(CELLS, CELLS)
def test_claims_are_exactly_the_rows_with_a_small_p(to_base: list[Any], to_sft: list[Any]) -> None:
    rows, i = [], 0
    for made in (r for r in comparison() if r.metric in ("passed", "reward")):
        differences = {}
        if made.variant != "base" and made.metric == "passed":
            differences = {"base": Difference(to_base[i][0], 0.1, to_base[i][1])}
            if made.variant != "sft":
                differences["sft"] = Difference(to_sft[i][0], 0.1, to_sft[i][1])
            i += 1
        rows.append(replace(made, differences=differences))
    data = ReportData("r", "p", comparison=corrected(rows))
    made = findings(data)
    cells = [d for r in data.comparison for d in r.differences.values()]
    assert sum(len(f.above) for f in made) == sum(d.value > 0 and d.p < ALPHA for d in cells)
    assert sum(len(f.below) for f in made) == sum(d.value < 0 and d.p < ALPHA for d in cells)
    told = "\n".join(f.sentence() for f in made)
    above = sum(int(n) for n in re.findall(r"above [\w ]+ for (\d+) of 3 students", told))
    below = sum(int(n) for n in re.findall(r"below [\w ]+ for (\d+) of 3 students", told))
    assert (above, below) == (sum(len(f.above) for f in made), sum(len(f.below) for f in made))
    assert [t.difference for t in all_tests(data)] == cells
    held = sum(int(n) for n in re.findall(r"; (\d+) of \d+ also", told))
    assert held == sum(d.p < ALPHA and d.p_holm < ALPHA and d.value != 0 for d in cells)
    against_base, against_sft = len(VARIANTS) - 1, len(VARIANTS) - 2
    assert len(made) == against_base + against_sft and all(len(f.tests) == len(STUDENTS) for f in made)


@settings(max_examples=200, deadline=None)
@given(
    st.text(
        st.sampled_from("ab `*_[]()<>|\\&#~-=!:\n\"'1.x;") | st.characters(codec="utf-8", exclude_categories=["Cc"]),
        max_size=40,
    )
)
def test_text_stays_text(text: str) -> None:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    shown = parser.parse(f"x\n\n{fenced(text)}\n\ny")
    assert [t.type for t in shown if t.type == "fence"] == ["fence"] and len(shown) == 7
    assert shown[3].content == visible(text.replace("\r", "\n"), keep="\n\t") + "\n"
    cell = parser.parse(f"| a | b |\n|---|---|\n| x{markdown(text)} | y |")
    inlines = [t for t in cell if t.type == "inline"]
    assert len(inlines) == 4
    assert {c.type for c in inlines[2].children or []} <= {"text", "text_special"}
    assert "".join(c.content for c in inlines[2].children or []) == "x" + one_line(text)


def test_the_marked_headline_is_used_and_negative_scores_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "FIGURES", (drawing.benchmarks,))
    rows = [replace(r, headline=r.metric == "reward") for r in comparison() if r.benchmark == "nano_mt"]
    data = ReportData("r", "p", comparison=corrected(rows))
    assert data.headlines == {"nano_mt": "reward"}
    text = write_report(data, tmp_path / "report.md", tmp_path)[0].read_text(encoding="utf-8")
    assert (tmp_path / "benchmarks.png").exists() and "nano_mt (reward): LoRA SFT is above base" in text


def test_what_a_training_cost_and_recovered_from_is_told() -> None:
    text = render_markdown(full(), {"preference_margins": "rewards.png"})
    assert "31% of the GPU's FLOP/s (MFU), 41.7 Wh, a cost of 0.02." in text
    assert "step 7: diverged (not a finite number: loss). It went on from step 5 with 2 rows at once" in text
    assert "and 0.5 of the learning rate, without batch 6." in text
    assert "the loss did not fall" in text and "](rewards.png)" in text
    assert "training took 41.7 Wh in 1 of 7 trainings" in text


def test_the_same_prompts_are_shown_for_each_student() -> None:
    samples = [Sample(s, f"prompt {i}", {"base": "a", "sft": "b"}) for s in ("one", "two") for i in (1, 2)]
    text = render_markdown(ReportData("r", "p", samples=samples))
    titles = re.findall(r"^(?:#### |<details><summary>)(one|two), prompt (\d)", text, re.MULTILINE)
    assert titles == [("one", "1"), ("one", "2"), ("two", "1"), ("two", "2")]


def test_blank_lines_of_a_sample_stay() -> None:
    data = ReportData("r", "p", samples=[Sample("s", "a\n\n\n\nb", {"base": "c"})])
    assert "a\n\n\n\nb" in render_markdown(data)


def test_reports_may_come_as_json_text() -> None:
    data = ReportData("r", "p", filter_report='{"records": 0, "passed": 0, "kept": 0, "over": 0, "funnel": []}')
    assert data.filter_report["records"] == 0


def test_the_title_is_escaped() -> None:
    assert "<title>&lt;b&gt;</title>" in render_html("# x", "<b>", {})


def test_the_templates_in_docs_are_the_packaged_ones() -> None:
    docs = Path(__file__).parents[2] / "docs"
    generated = runpy.run_path(str(docs / "generate.py"))
    for name in generated["TEMPLATES"]:
        page = (docs / name).read_text(encoding="utf-8")
        assert page == generated["template"](name), "run: python docs/generate.py"


def test_reward_is_set_against_the_share_of_right_answers() -> None:
    scores = [row("sft", "ifeval", "prompt_strict", 0.5, 0.1)]
    scores += [row("sft", "mt", metric, 0.5, 0.1) for metric in ("reward", "clean", "right")]
    found = reward_points(SimpleNamespace(comparison=scores))
    assert [(a.metric, b.benchmark, b.metric) for a, b in found] == [("reward", "mt", "right")]
    found = reward_points(SimpleNamespace(comparison=scores[:2]))
    assert [b.benchmark for _, b in found] == ["ifeval"]  # the only pass rate there is


def test_a_benchmark_is_introduced_by_its_own_words() -> None:
    data = full()
    assert "Chance level" not in render_markdown(data)
    known = {name: benchmark(name) for name in ("nano_ifeval", "nano_mmlu")}
    rows = [replace(r, metric="acc" if r.metric == "accuracy" else r.metric) for r in data.comparison]
    text = render_markdown(replace(data, comparison=rows, benchmarks=known))
    for name in known:
        assert known[name].title in text
    assert text.count("Chance level: 0.25.") == 1


def test_contamination_is_beside_the_scores() -> None:
    assert "Contamination" not in render_markdown(full())
    clean = {"model": "student-llama", "variant": "sft", "metric": "prompt_strict", "value": 0.4321, "n": 233}
    seen = {"found": [f"item-{n}" for n in range(7)], "clean": [clean | {"standard_error": 0.0325, "clusters": 233}]}
    found = {"nano_ifeval": seen, "nano_mmlu": {"found": [], "clean": []}}
    text = render_markdown(replace(full(), contamination=found))
    part = text.partition("### nano_ifeval")[2].partition("###")[0]
    assert "7 of the 240 items" in part and text.count("Contamination") == 2
    assert "item-4, …" in part and "item-5" not in part
    assert "| student-llama | SFT | 0.432 ± 0.033 | 233 |" in part or "0.432 ± 0.033 | 233" in part


def test_the_clean_subset_says_how_many_items_are_left_and_comes_after_the_scores() -> None:
    clean = {"model": "student-llama", "variant": "sft", "metric": "x", "value": 0.5, "n": 154, "clusters": 77}
    seen = {"found": ["one"], "clean": [clean | {"standard_error": None}]}
    text = render_markdown(replace(full(), contamination={"nano_ifeval": seen}))
    part = text.partition("### nano_ifeval")[2].partition("###")[0]
    assert "0.500 ± n/a | 154 in 77 items |" in part
    assert 0 < part.index("value ± SE") < part.index("\n\nContamination: 1 of")
    none = render_markdown(replace(full(), contamination={"nano_ifeval": {"found": ["one"], "clean": []}}))
    assert "No other item is left." in none


def test_findings_say_what_is_equivalent_within_the_margin() -> None:
    one = row("sft", "nano_mmlu", "acc", 0.6, 0.004, n=14_042, clusters=14_042)
    near, far = Difference(0.001, 0.003, 0.7, detectable=0.0084), Difference(0.001, 0.02, 0.9, detectable=0.056)
    for difference, said in ((near, True), (far, False)):
        data = replace(full(), comparison=corrected([replace(one, differences={"base": difference})]))
        data.config = {"evaluate": {"equivalence_margin": 0.02}}
        (finding,) = findings(data)
        assert ("equivalent within ±0.02" in finding.sentence()) == said
        assert f"detectable {difference.detectable:.3f}" in finding.sentence()
        assert "equivalent" not in replace(finding, margin=0.0).sentence()


def test_the_generator_and_its_target_are_reported() -> None:
    assert "first 16 instructions" not in render_markdown(full())
    health = {"probes": 16, "usable": 14, "share": 0.875, "faults": {"role_leak": 2, "empty": 0}, "examples": {}}
    law = {"quota": 60, "made": 80, "passed": 66, "stopped_early": False}
    why = "33 of the 100 wanted records pass: why"
    target = {"wanted": 100, "made": 180, "domains": {"law": law}, "explanation": why}
    text = render_markdown(replace(full(), generator_health=health, generate_target=target))
    assert "Of the generator's first 16 instructions, 14 are usable (faults: 2 role leak)." in text
    assert "Target: 100 records that pass the filter. 180 were generated; " + why in text
    assert "Domain law" not in text
    math_ = {"quota": 40, "made": 100, "passed": 40, "stopped_early": True}
    done = target | {"domains": {"law": law, "math": math_}, "explanation": ""}
    text = render_markdown(ReportData("r", "p", generate_target=done))
    assert "180 were generated; 100 pass." in text and "### Data: generation and filter" in text
    assert "Domain math: 40 of 40 wanted records pass, 100 written, stopped early." in text
