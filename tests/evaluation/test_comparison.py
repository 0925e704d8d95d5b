from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.evaluation import statistics
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


def test_rows_of_earlier_versions_are_read() -> None:
    (first, *_) = compare(RESULTS)
    data = {name: value for name, value in first.to_json().items() if name not in ("n_unparsed", "kind")}
    assert ComparisonRow.from_json(data) == first


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
