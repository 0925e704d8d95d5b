"""The report's sections: what they say follows from the tests, refers to what is there, and says what was not done."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import comparison, full, row
from markdown_it import MarkdownIt

from synthetic_instruction_tuner.evaluation.comparison import corrected
from synthetic_instruction_tuner.evaluation.statistics import Difference
from synthetic_instruction_tuner.reporting.formatting import measured
from synthetic_instruction_tuner.reporting.html import render_html
from synthetic_instruction_tuner.reporting.report import render_markdown
from synthetic_instruction_tuner.reporting.report_data import ReportData
from synthetic_instruction_tuner.reporting.sections import costs, evidence, first_screen, setup, trust
from synthetic_instruction_tuner.reporting.sections.findings import ALPHA, all_tests
from synthetic_instruction_tuner.reporting.sections.references import REFERENCES
from synthetic_instruction_tuner.reporting.text_lengths import domains, lengths

SEVEN = ("1 Introduction", "2 Related work", "3 Method", "4 Set-up", "5 Results", "6 Discussion", "7 Conclusion")
NAMES = "differences filter_funnel lengths domains responder_scores training_losses preference_margins benchmarks"
LINKS = {name: f"../figures/{name}.png" for name in f"{NAMES} efficiency quality_and_cost".split()}
LONG, KOREAN = "m" * 120, "한국어-학생-모델"


def scored(*values: tuple[float, float]) -> ReportData:
    """A run with one test per (difference, p) of a share on 200 items, each of a student of its own."""
    rows = [row("base", "b", "share", 0.3, 0.02, model=f"s{k}", clusters=200) for k in range(len(values))]
    for k, (delta, p) in enumerate(values):
        found = {"base": Difference(delta, 0.02, p, detectable=0.06)}
        rows.append(row("sft", "b", "share", 0.3 + delta, 0.02, model=f"s{k}", clusters=200, differences=found))
    training = [
        {
            "method": "sft",
            "student": f"s{k}",
            "seconds": 60.0,
            "trainable_parameters": 1000,
            "total_parameters": 10_000,
            "peak_memory_gb": 1.0,
            "tokens_per_second": 1.0,
            "first_loss": 2.0,
            "final_loss": 1.0,
        }
        for k in range(len(values))
    ]
    return ReportData("r", "t4", comparison=corrected(rows), training=training, config={"seed": 5})


@pytest.mark.parametrize("links", [{}, LINKS], ids=["without figures", "with figures"])
def test_the_report_has_seven_sections_and_numbers_what_its_text_refers_to(links: dict[str, str]) -> None:
    text = render_markdown(full(), links)
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [name for name in headings if name[0].isdigit()] == list(SEVEN)
    assert [name for name in headings if name != "Contents"] == re.findall(r"^- \[([^]]+)\]\(#", text, re.MULTILINE)
    for kind in ("Figure", "Table"):
        captions = [int(n) for n in re.findall(rf"^\*\*{kind} (\d+)\.\*\*", text, re.MULTILINE)]
        assert captions == list(range(1, len(captions) + 1)) and (captions or not links)
        referred = {int(n) for n in re.findall(rf"(?<!\*){kind} (\d+)", text)}
        assert referred <= set(captions)
    assert len(re.findall(r"^!\[", text, re.MULTILINE)) == len(links)
    works = re.findall(r"^(\d+)\. .+\((https://[^)]+)\)$", text, re.MULTILINE)
    assert [int(n) for n, _ in works] == list(range(1, len(REFERENCES) + 1))
    assert {url for _, url in works} == {reference.url for reference in REFERENCES.values()}
    cited = {int(n) for n in re.findall(r"\[\\\[(\d+)\\\]\]\(#references\)", text)}
    assert cited == set(range(1, len(REFERENCES) + 1))


def test_links_of_the_page_lead_somewhere_and_long_parts_fold() -> None:
    page = render_html(render_markdown(full()), "t", {}, [*(r.url for r in REFERENCES.values())])
    ids = set(re.findall(r'id="([^"]+)"', page))
    assert {link[1:] for link in re.findall(r'href="(#[^"]+)"', page)} <= ids
    assert page.count("<details>") == page.count("</details>") == page.count("<summary>") >= 2
    assert "&lt;details&gt;" not in page and page.count('class="caption"') > 5


@pytest.mark.parametrize("text", ["<details><summary>x</summary>", "</details>", "**Figure 1.** x"])
def test_no_text_folds_a_part_or_is_a_caption(text: str) -> None:
    data = replace(full(), title=text, run_name=text)
    like = render_html(render_markdown(full()), "t", {})
    page = render_html(render_markdown(data), "t", {})
    for mark in ("<details>", "</details>", 'class="caption"'):
        assert page.count(mark) == like.count(mark)


VALUES = st.lists(
    st.tuples(st.sampled_from([-0.2, -0.01, 0.0, 0.03, 0.4]), st.sampled_from([1e-6, 0.004, 0.0099, 0.02, 0.9])),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_helped_hurt_and_undecided_share_out_all_tests(values: list[tuple[float, float]]) -> None:
    data = scored(*values)
    tests = all_tests(data)
    proven = [t for t in tests if t.difference.p_holm is not None and t.difference.p_holm < ALPHA]
    up, down = sum(t.difference.value > 0 for t in proven), sum(t.difference.value < 0 for t in proven)

    def counted(sentences: list[str], pattern: str) -> int:
        return sum(int(n) for sentence in sentences for n in re.findall(pattern, sentence))

    assert counted(evidence.helped(data), r"for (\d+) of \d+ student") == up
    assert counted(evidence.hurt(data), r"for (\d+) of \d+ student") == down
    assert counted(evidence.undecided(data), r": (\d+) of \d+ comparisons are open") == len(tests) - up - down
    out = first_screen.outcome(data)
    assert ("is better" in out or "better on" in out) == (up > 0) and ("worse on" in out) == (down > 0)
    assert f"{len(proven)} of {len(tests)} paired tests hold" in first_screen.trust(data)


def same_and(delta: float, p: float, n: int = 1000) -> ReportData:
    """A run in which one student of two scores the same before and after, on so many items, and the other does not."""
    rows = []
    for student, found in (("s0", Difference(0.0, 0.001, 1.0)), ("s1", Difference(delta, 0.02, p, detectable=0.06))):
        more: dict[str, Any] = {"model": student, "n": n, "clusters": n}
        rows.append(row("base", "nano_mmlu", "acc", 0.5, 0.02, **more))
        rows.append(row("sft", "nano_mmlu", "acc", 0.5 + found.value, 0.02, differences={"base": found}, **more))
    settings = {"evaluate": {"equivalence_margin": 0.02}}
    return ReportData("r", "t4", comparison=corrected(rows), config=settings)


def test_what_is_shown_to_be_equivalent_is_not_open() -> None:
    data = same_and(0.03, 0.3)
    assert ": 1 of 2 comparisons are open" in evidence.undecided(data)[0]
    assert "for 1 of 2 students" in evidence.equivalences(data)[0]
    assert "is better than base in 0 of 2 tests, worse in 0, equivalent in 1, and undecided in 1." in trust._elsewhere(
        data, "sft", "base"
    )
    proven = same_and(0.3, 1e-9)
    assert evidence.undecided(proven) == [] and len(evidence.helped(proven)) == 1
    text = render_markdown(proven)
    assert "holds after correction or is shown to be equivalent." in text and "leave comparisons open" not in text
    assert ": 2 of 2 comparisons are open" in evidence.undecided(replace(data, config={}))[0]
    assert ": 2 of 2 comparisons are open" in evidence.undecided(same_and(0.03, 0.3, n=20))[0]  # too few to show it


@pytest.mark.parametrize(("sign", "shown"), [(1, "b (+0.20 to 0.40, 2 of 2 students)"), (-1, "b (−0.20 to −0.40, ")])
def test_a_range_of_losses_reads_as_losses(sign: int, shown: str) -> None:
    assert shown in first_screen.outcome(scored((sign * 0.2, 1e-9), (sign * 0.4, 1e-9)))


def test_more_items_are_asked_for_only_where_they_would_help() -> None:
    (small,), (large,) = all_tests(scored((0.03, 0.3))), all_tests(scored((0.4, 1e-9)))
    assert (
        evidence.items_needed(small) == 200 * 2**2
    )  # a difference of half the detectable one needs four times as many
    assert (evidence.items_needed(large) or 0) < 200
    assert "about 800 items" in evidence.undecided(scored((0.03, 0.3)))[0]
    assert evidence.items_needed(all_tests(scored((0.0, 1.0)))[0]) is None


def test_a_point_costs_what_was_trained_over_what_was_gained() -> None:
    (one,) = costs.point_costs(scored((0.2, 1e-9)))
    assert one.gain == pytest.approx(20) and one.seconds_per_point == pytest.approx(3)
    assert one.parameters_per_point == pytest.approx(50) and one.unit == "percentage point"
    for values in ((-0.2, 1e-9), (0.2, 0.5), (0.0, 1.0)):
        (none,) = costs.point_costs(scored(values))
        assert none.seconds_per_point is None and none.parameters_per_point is None
        assert costs.per_point(scored(values)) == []
    assert costs.method_costs(ReportData("r", "p")) == []
    assert "Energy was not measured." in costs.method_costs(scored((0.2, 1e-9)))


def test_dpo_is_charged_with_the_sft_before_it_only_against_base() -> None:
    found = {(c.finding.variant, c.finding.reference): c.seconds for c in costs.point_costs(full())}
    data = full()
    own = {m: [t["seconds"] for t in data.training if t["method"] == m] for m in ("sft", "dpo")}
    assert found["dpo", "sft"] == pytest.approx(sum(own["dpo"]) / 3)
    assert found["dpo", "base"] == pytest.approx(sum(own["dpo"] + own["sft"]) / 3)


def test_the_first_screen_charges_dpo_with_the_sft_before_it() -> None:
    data = full()
    own = {m: [t["seconds"] for t in data.training if t["method"] == m] for m in ("sft", "dpo")}
    whole = round(sum(own["sft"] + own["dpo"]) / 3)
    assert f"{whole // 60} min {whole % 60:02d} s with SFT + DPO" in first_screen.cost(data)


@pytest.mark.parametrize(
    ("n", "share", "said"),
    [
        (6, 1 / 6, "no evidence that length alone decides (exact test, p = 0.22)"),
        (588, 0.54, "no evidence that length alone decides (exact test, p = 0.053)"),
        (588, 0.56, "the longer answer wins more often than chance (exact test, p = 0.0044)"),
        (588, 0.2, "the shorter answer wins more often than chance (exact test, p < 0.0001)"),
    ],
)
def test_length_decides_only_where_an_exact_test_says_so(n: int, share: float, said: str) -> None:
    length = {"n": n, "longer_chosen_share": share, "standard_error": math.sqrt(share * (1 - share) / n)}
    assert said in setup.length_bias(length | {"chosen_words": 1.0, "rejected_words": 2.0})


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        *((30.72, 3.23, "30.7 ± 3.2"), (-0.0255, 2.99, "0.0 ± 3.0"), (-0.154, 0.536, "−0.15 ± 0.54")),
        *((120.4, 31.0, "120 ± 31"), (0.0, 0.0, "0.000 ± 0.000"), (1.5, math.nan, "1.5 ± n/a")),
    ],
)
def test_a_value_has_the_digits_that_its_error_allows(value: float, error: float, shown: str) -> None:
    assert measured(value, error) == shown


def test_where_all_items_agree_a_score_has_its_interval() -> None:
    same = replace(row("base", "nano_mmlu", "acc", 1.0, 0.0), ci_low=0.676, ci_high=1.0)
    text = render_markdown(ReportData("r", "p", comparison=[same]))
    assert "1.000 ± 0.000 [0.676,\u00a01.000]" in text
    assert "1.000 ± 0.000<br />\n[0.676,\u00a01.000]</td>" in render_html(text, "t", {})
    assert "]" not in render_markdown(scored((0.2, 1e-9))).partition("| s | base |")[2].partition("\n")[0]


def test_a_reward_is_circular_only_where_its_model_chose_the_pairs() -> None:
    rows = [replace(r, headline=r.metric == "reward") for r in comparison() if r.benchmark == "nano_mt"]
    data = replace(full(), comparison=corrected(rows))
    data.config = {"models": {"reward": {"name": "my-rm"}}}
    told = trust.circular(data)
    assert "nano_mt (reward)" in told[0] and "my-rm" in told[0] and "No other headline score" in told[1]
    assert trust.circular(full())[0].startswith("No headline score")
    untrained = replace(data, training=[t for t in data.training if t["method"] != "dpo"])
    assert "proves little" in first_screen.trust(data) and "proves little" not in first_screen.trust(untrained)
    own = replace(data, sources=[{"kind": "pairs", "file": "x", "rows": 1, "malformed": 0, "hash": ""}])
    assert trust.circular(own)[0].startswith("No headline score")
    judged = replace(data, judging={"judge": "qwen, related to student qwen2 (qwen)"})
    assert any("judge of MT-Bench" in sentence for sentence in trust.circular(judged))


def test_contamination_is_told_with_what_it_changes() -> None:
    assert trust.contaminated(full()) == ["The training data were not checked for items of the benchmarks."]
    value = next(r.value for r in full().headline_rows if r.benchmark == "nano_ifeval" and r.variant == "sft")
    clean = {"model": "student-llama", "variant": "sft", "metric": "prompt_strict", "value": value - 0.02, "n": 233}
    clean |= {"standard_error": 0.03, "clusters": 233}
    seen = {"nano_ifeval": {"found": ["a"], "clean": [clean]}, "nano_mmlu": {"found": [], "clean": []}}
    told = trust.contaminated(replace(full(), contamination=seen))
    assert told[
        0
    ] == "nano_ifeval: 1 of the 240 items occurs in the training data. Without them scores change by at " + (
        "most 0.020."
    )
    assert told[1:] == ["No item of nano_mmlu occurs in the training data.", "Not checked: nano_mt."]


def missing(name: str) -> ReportData:
    """A run of which something is missing, or strange."""
    data = full()
    match name:
        case "no dpo":
            return full(("base", "sft", "prompt_tuning"))
        case "one student":
            one = [r for r in data.comparison if r.model == "student-llama"]
            return replace(
                data, comparison=corrected(one), training=[t for t in data.training if "llama" in t["student"]]
            )
        case "no evaluation":
            return replace(data, comparison=[], samples=[])
        case "no training":
            return replace(data, training=[], training_logs={})
        case "one variant":
            return full(("base",))
        case "20 records":
            report = data.filter_report | {"records": 20, "passed": 3, "kept": 3, "over": 0}
            return replace(data, filter_report=report, lengths=[("Instructions", [1], []), ("Responses", [0], [])])
        case "nothing":
            return ReportData("empty", "t4")
        case "a long name" | "a Korean name":
            new = LONG if "long" in name else KOREAN
            rows = [replace(r, model=r.model.replace("student-llama", new)) for r in data.comparison]
            training = [t | {"student": t["student"].replace("student-llama", new)} for t in data.training]
            return replace(data, title=new, run_name=new, comparison=rows, training=training)
    raise ValueError(name)


MISSING = {
    "no dpo": "Not trained: SFT + DPO.",
    "one student": "There is one student",
    "no evaluation": "Nothing was evaluated.",
    "no training": "Nothing was trained.",
    "one variant": "This run has no paired comparisons",
    "20 records": "20 records were checked",
    "nothing": "No record was filtered.",
    "a long name": LONG,
    "a Korean name": KOREAN,
}


@pytest.mark.parametrize("name", MISSING)
def test_a_run_without_something_has_a_report_that_says_so(name: str) -> None:
    text = render_markdown(missing(name))
    assert MISSING[name] in text
    headings = [h for h in re.findall(r"^## (.+)$", text, re.MULTILINE) if h[0].isdigit()]
    assert headings == list(SEVEN)
    tables = [
        t for t in MarkdownIt("commonmark").enable("table").parse(text) if t.type == "inline" and t.content[:2] == "| "
    ]
    assert tables == []  # a line of a table that is none


def test_lengths_and_domains_are_counted_before_and_after() -> None:
    raw: list[dict[str, Any]] = [
        {"instruction": "one two", "response": "a b c", "domain": "math"},
        {"instruction": "한국어 문장", "response": "", "domain": None},
    ]
    assert lengths(raw, raw[:1]) == [("Instructions", [2, 2], [2]), ("Responses", [3, 0], [3])]
    assert domains(raw, raw[:1]) == {"": (1, 0), "math": (1, 1)}
    assert domains([], []) == {} and lengths([], []) == [("Instructions", [], []), ("Responses", [], [])]


def test_unknown_errors_are_no_numbers() -> None:
    data = scored((0.2, 1e-9))
    data.comparison = [
        replace(r, differences={k: replace(d, standard_error=math.nan) for k, d in r.differences.items()})
        for r in data.comparison
    ]
    assert "nan" not in render_markdown(data).replace("nano", "")
