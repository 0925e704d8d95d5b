from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.config import BENCHMARKS
from synthetic_instruction_tuner.evaluation import statistics
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.evaluation.breakdowns import by_label
from synthetic_instruction_tuner.evaluation.comparison import REFERENCES, ComparisonRow, compare, csv_text, write_csv
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult
from synthetic_instruction_tuner.methods import VARIANTS


def result(values: list[float], benchmark: str = "b", extra: bool = True) -> BenchmarkResult:
    items = []
    for i, value in enumerate(values):
        scores: dict[str, tuple[float, ...]] = {"score": (value,)}
        if extra:
            scores["other"] = (value / 2, value / 3)
        items.append(ItemResult(f"i{i}", ("p",), ("o",), scores))
    return BenchmarkResult(benchmark, "score", tuple(items), n_truncated=3)


BASE = [0.0] * 30
SFT = [1.0] * 20 + [0.0] * 10
DPO = [1.0] * 25 + [0.0] * 5
RESULTS = {("m", "base"): [result(BASE)], ("m", "sft"): [result(SFT)], ("m", "dpo"): [result(DPO)]}


def row(variant: str, metric: str = "score") -> ComparisonRow:
    return next(r for r in compare(RESULTS) if (r.variant, r.metric) == (variant, metric))


def test_rows_pair_each_variant_with_base_and_sft() -> None:
    keys = [(v, m) for v in ("base", "sft", "dpo") for m in ("score", "other")]
    assert [(r.variant, r.metric) for r in compare(RESULTS)] == keys
    base, sft, dpo = row("base"), row("sft"), row("dpo")
    assert not base.differences and list(sft.differences) == ["base"] and list(dpo.differences) == ["base", "sft"]
    to_base, to_sft = sft.differences["base"], dpo.differences["sft"]
    assert (to_base.value, to_base.p) == (pytest.approx(2 / 3), statistics.mcnemar(20, 0))
    assert (to_sft.value, to_sft.p) == (pytest.approx(5 / 30), statistics.mcnemar(5, 0))
    assert (dpo.n, dpo.clusters, dpo.n_truncated, row("dpo", "other").n) == (30, 30, 3, 60)


def test_holm_runs_over_all_headline_tests_and_apart_over_the_others() -> None:
    for metric in ("score", "other"):
        made = [d for variant in ("sft", "dpo") for d in row(variant, metric).differences.values()]
        assert len(made) == 3
        assert [d.p_holm for d in made] == statistics.holm([d.p for d in made])


def test_a_single_variant_or_missing_metric_has_nothing_to_compare_with() -> None:
    other = {("n", "base"): [result(BASE)], ("n", "sft"): [result(SFT, extra=False)]}
    rows = compare({("m", "sft"): [result(SFT)]} | other)
    assert [r.metric for r in rows] == ["score", "other", "score", "other", "score"]
    assert not rows[0].differences and list(rows[-1].differences) == ["base"]


def test_different_items_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different items"):
        compare({("m", "base"): [result(BASE)], ("m", "sft"): [result(SFT[:9])]})


def test_the_csv_has_a_line_per_row_and_every_field(tmp_path: Path) -> None:
    rows = compare(RESULTS)
    write_csv(rows, tmp_path / "table.csv")
    read = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert len(read) == len(rows) and list(read[0]) == list(rows[0].to_json())
    assert {"kind", "n_truncated", "n_empty", "n_unparsed"} < set(read[0])
    assert float(read[2]["value"]) == pytest.approx(rows[2].value, rel=1e-5) and read[0]["p_to_base"] == ""


def test_public_and_nano_benchmarks_are_told_apart_and_unread_answers_are_counted() -> None:
    names = {"ifeval": "public", "mt_bench (judge: x)": "public", "nano_mmlu": "nano", "b": ""}
    made = {("m", "base"): [replace(result(BASE, name), n_unparsed=2, n_empty=1) for name in names]}
    table = list(csv.DictReader(csv_text(compare(made)).splitlines()))
    assert {line["benchmark"]: line["kind"] for line in table} == names
    assert {(line["n_truncated"], line["n_empty"], line["n_unparsed"]) for line in table} == {("3", "1", "2")}


def test_every_metric_has_its_score_on_the_items_that_are_not_in_the_training_data() -> None:
    judged = {key: [replace(found[0], benchmark="b (judge: x)")] for key, found in RESULTS.items()}
    rows = compare(judged, {"b": {"i0", "i25", "elsewhere"}})
    sft = next(r for r in rows if (r.variant, r.metric) == ("sft", "score"))
    assert sft.n_seen == 2 and sft.clean and (sft.clean.value, sft.clean.n) == (19 / 28, 28)
    assert all(r.clean and r.clean.clusters == 28 for r in rows)
    assert [replace(r, n_seen=0, clean=None) for r in rows] == [replace(r, clean=None) for r in compare(judged)]
    line = list(csv.DictReader(csv_text(rows).splitlines()))[2]
    assert (line["n_seen"], line["clean_n"]) == ("2", "28")
    assert float(line["clean_value"]) == pytest.approx(19 / 28, rel=1e-5)


def test_without_seen_items_the_clean_score_is_the_score_and_without_others_there_is_none() -> None:
    assert all(r.clean == r.clean and r.clean and r.clean.value == r.value for r in compare(RESULTS))
    none = compare(RESULTS, {"b": {f"i{n}" for n in range(30)}})
    assert all(r.clean is None and r.n_seen == 30 for r in none)
    assert {line["clean_value"] for line in csv.DictReader(csv_text(none).splitlines())} == {""}


def test_intervals_of_ratings_hold_possible_ratings_only() -> None:
    name, given = "mt_bench (judge: x)", [(1.0, 1.0), (1.0, 2.0), (9.0, 10.0)]
    items = tuple(ItemResult(f"i{n}", ("p",), ("o",), {"rating": r}, ("math",)) for n, r in enumerate(given))
    for kept in (items, items[:2], items[:1]):
        made = BenchmarkResult(name, "rating", kept)
        for found in (made.estimate(), *(value for _, value in by_label(made, "rating"))):
            assert math.isnan(found.low) or 1 <= found.low <= found.value <= found.high <= 10
    ones = BenchmarkResult(name, "rating", tuple(replace(i, scores={"rating": (1.0, 1.0)}) for i in items))
    assert {(found.low, found.high) for _, found in by_label(ones, "rating")} == {(1.0, 1.0)}  # not a share's


def test_shares_of_failures_are_better_when_lower() -> None:
    names = ("rating", "unreadable")
    items = tuple(ItemResult(f"i{n}", ("p",), ("o",), {name: (0.0,) for name in names}) for n in range(5))
    rows = compare({("m", "base"): [BenchmarkResult("mt_bench (judge: x)", "rating", items)]})
    assert [row.better for row in rows] == ["higher", "lower"] and row("base").better == ""
    described = [m for name in BENCHMARKS for m in benchmark(name).metrics]
    assert {m.name for m in described if m.better == "lower"} == {"unreadable"}


def test_rows_of_earlier_versions_are_read() -> None:
    (first, *_) = compare(RESULTS)
    lacking = ("n_unparsed", "kind", "better", "n_seen")
    data = {n: value for n, value in first.to_json().items() if n not in lacking and not n.startswith("clean")}
    assert ComparisonRow.from_json(data) == replace(first, clean=None)


SCORES = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=6)


@given(st.dictionaries(st.sampled_from(VARIANTS), SCORES, min_size=1), st.booleans())
def test_rows_survive_the_store(values: dict[str, list[float]], extra: bool) -> None:
    size = min(map(len, values.values()))
    rows = compare({("m", variant): [result(own[:size], extra=extra)] for variant, own in values.items()})
    stored = json.loads(json.dumps([row.to_json() for row in rows], allow_nan=False))
    again = [ComparisonRow.from_json(data) for data in stored]
    assert [row.to_json() for row in again] == stored and csv_text(again) == csv_text(rows)
    assert [repr(row) for row in again] == [repr(row) for row in rows]  # repr: nan is not equal to itself


def test_the_columns_keep_their_names() -> None:
    columns = csv_text(compare(RESULTS)).splitlines()[0].split(",")
    assert columns[:4] == ["model", "variant", "benchmark", "metric"]
    assert columns[-5:] == ["delta_to_sft", "se_to_sft", "p_to_sft", "p_to_sft_holm", "detectable_to_sft"]
    assert REFERENCES == ("base", "sft")
