from __future__ import annotations

import csv
from pathlib import Path

import pytest

from synthetic_instruction_tuner.evaluation import statistics
from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow, compare, write_csv
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult


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
    assert base.p_to_base is base.delta_to_base is base.delta_to_sft is sft.p_to_sft is None
    assert (sft.delta_to_base, sft.p_to_base) == (pytest.approx(2 / 3), statistics.mcnemar(20, 0))
    assert (dpo.delta_to_sft, dpo.p_to_sft) == (pytest.approx(5 / 30), statistics.mcnemar(5, 0))
    assert (dpo.n, dpo.clusters, dpo.n_truncated, row("dpo", "other").n) == (30, 30, 3, 60)


def test_holm_runs_over_all_headline_tests_and_apart_over_the_others() -> None:
    for metric in ("score", "other"):
        rows = [row(v, metric) for v in ("sft", "dpo")]
        raw = [rows[0].p_to_base, rows[1].p_to_base, rows[1].p_to_sft]
        corrected = [rows[0].p_to_base_holm, rows[1].p_to_base_holm, rows[1].p_to_sft_holm]
        assert corrected == statistics.holm([p for p in raw if p is not None])


def test_a_single_variant_or_missing_metric_has_nothing_to_compare_with() -> None:
    other = {("n", "base"): [result(BASE)], ("n", "sft"): [result(SFT, extra=False)]}
    rows = compare({("m", "sft"): [result(SFT)]} | other)
    assert [r.metric for r in rows] == ["score", "other", "score", "other", "score"]
    assert rows[0].p_to_base is None and rows[-1].p_to_base is not None


def test_different_items_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different items"):
        compare({("m", "base"): [result(BASE)], ("m", "sft"): [result(SFT[:9])]})


def test_the_csv_has_a_line_per_row_and_every_field(tmp_path: Path) -> None:
    rows = compare(RESULTS)
    write_csv(rows, tmp_path / "table.csv")
    read = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert len(read) == len(rows) and set(read[0]) == set(ComparisonRow.__dataclass_fields__)
    assert float(read[2]["value"]) == pytest.approx(rows[2].value, rel=1e-5) and read[0]["p_to_base"] == ""
