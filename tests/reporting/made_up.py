"""A made-up run for the report's tests."""

from __future__ import annotations

import math
import random
from typing import Any

from synthetic_instruction_tuner.evaluation.comparison import REFERENCES, ComparisonRow, corrected
from synthetic_instruction_tuner.evaluation.statistics import Difference
from synthetic_instruction_tuner.methods import VARIANTS
from synthetic_instruction_tuner.reporting.report_data import ReportData, Sample, StageLine

STUDENTS = ("student-llama", "student-mistral", "student-qwen2")
HEADLINES = ("prompt_strict", "accuracy", "passed")
GAIN = {variant: 0.2 for variant in VARIANTS} | {"base": 0.0, "sft": 0.3, "prompt_tuning": 0.08, "dpo": 0.33}


RECOVERY = {
    "reason": "diverged",
    "step": 7,
    "back_to": 5,
    "micro_batch": 2,
    "learning_rate": 0.5,
    "skipped": 5,
    "detail": "not a finite number: loss",
}


def row(variant: str, benchmark: str, metric: str, value: float, error: float, **more: Any) -> ComparisonRow:
    """Returns a row of which only the score counts."""
    low, high = value - 1.96 * error, value + 1.96 * error
    given: dict[str, Any] = {"model": "s", "headline": True, "n": 240, "clusters": 240} | more
    return ComparisonRow(
        variant=variant,
        benchmark=benchmark,
        metric=metric,
        value=value,
        standard_error=error,
        ci_low=low,
        ci_high=high,
        **given,
    )


def comparison(students: tuple[str, ...] = STUDENTS, variants: tuple[str, ...] = tuple(GAIN)) -> list[ComparisonRow]:
    rng, rows = random.Random(1), []
    metrics = (
        ("nano_ifeval", "prompt_strict", 0.2),
        ("nano_ifeval", "instruction_strict", 0.3),
        ("nano_mmlu", "accuracy", 0.31),
    )
    metrics += (("nano_mt", "passed", 0.15), ("nano_mt", "reward", -1.5))
    for student in students:
        for variant in variants:
            for benchmark, metric, start in metrics:
                gain = 0.0 if benchmark == "nano_mmlu" else GAIN[variant] * (4 if metric == "reward" else 1)
                value = start + gain + rng.uniform(-0.02, 0.02)
                error = 0.09 if metric == "reward" else math.sqrt(value * (1 - value) / 240)
                differences = {}
                for reference in REFERENCES:
                    if variant not in ("base", reference):
                        delta = gain - (GAIN[reference] if gain else 0) + rng.uniform(-0.02, 0.02)
                        differences[reference] = Difference(delta, error, math.erfc(abs(delta) / error / 2))
                more = {"model": student, "headline": metric in HEADLINES, "differences": differences}
                rows.append(row(variant, benchmark, metric, value, error, **more))
    return corrected(rows)


def full(variants: tuple[str, ...] = tuple(GAIN)) -> ReportData:
    rng = random.Random(2)
    methods = [v for v in variants if v != "base"]
    rules = [
        ("not_empty", 3),
        ("length", 212),
        ("word_repetition", 18),
        ("line_repetition", 0),
        ("refusal", 26),
        ("language", 4),
    ]
    rules += [("diversity", 141)]
    funnel, left = [], 1500
    for rule, dropped in rules:
        funnel.append(
            {"rule": rule, "records_in": left, "dropped": dropped, "share": dropped / 1500, "alone": dropped + 2}
        )
        left -= dropped
    quantiles = {"0": -4, "0.05": -2.5, "0.25": -1.0, "0.5": 0.1, "0.75": 1.2, "0.95": 2.4, "1": 4.0}
    models = {
        f"responder-{name}": {
            "answers": 672,
            "truncated": 4,
            "words": 41.2,
            "score": {"n": 672, "mean": shift, "sd": 1.3, "quantiles": {q: v + shift for q, v in quantiles.items()}},
            "chosen": c,
            "rejected": 600 - c,
            "chosen_share": c / 600,
            "rejected_share": 1 - c / 600,
        }
        for name, shift, c in (("llama", -0.8, 100), ("mistral", 0.1, 200), ("qwen2", 0.9, 300))
    }
    logs = {
        (m, s): [
            {"step": i, "loss": (0.6 if m == "dpo" else 2.5) * math.exp(-i / 60) + 0.3 + rng.uniform(0, 0.1)}
            | (
                {
                    "reward_margin": i / 90,
                    "reward_accuracy": 0.5 + i / 400,
                    "chosen_reward": -i / 400,
                    "rejected_reward": -i / 50,
                }
                if m == "dpo"
                else {}
            )
            for i in range(5, 190, 5)
        ]
        for m in methods
        for s in STUDENTS
        if m != "prompt_tuning" or s == STUDENTS[0]
    }
    trained = dict.fromkeys(VARIANTS, 110_592) | {"prompt_tuning": 3_840}
    seconds = dict.fromkeys(VARIANTS, 48.2) | {"prompt_tuning": 61.0, "dpo": 33.1}
    training = [
        {
            "method": m,
            "student": s,
            "seconds": seconds[m] + 3 * i,
            "tokens_per_second": 5100.0,
            "peak_memory_gb": 1.31 + 0.1 * i,
            "trainable_parameters": trained[m],
            "total_parameters": 2_400_000 + trained[m],
            "first_loss": 2.9,
            "final_loss": 0.4,
            "examples": 1000,
            "seed": 17,
            "dtype": "float32",
        }
        for i, (m, s) in enumerate(logs)
    ]
    if training:
        training[0] |= {"mfu": 0.31, "energy_wh": 41.7, "cost": 0.02, "warnings": ["the loss did not fall | <b>"]}
        training[-1]["recoveries"] = [RECOVERY | {"skipped": None}, RECOVERY]
    evil = "<script>alert('x')</script> | a *b* `c` ```\n"
    evil += "~~~ [link](javascript:alert(1)) <img src=x onerror=alert(2)>\n# no heading"
    return ReportData(
        run_name="demo",
        profile="nano",
        config={
            "profile": "nano",
            "seed": 17,
            "models": {"generator": {"path": "nano:generator", "name": "generator"}},
        },
        hardware={"device": "cpu", "device_name": "x86_64", "cores": 2, "memory_gb": 15.6, "gpu_memory_gb": None},
        stages=[
            StageLine("generate", "done", None, 1500, 93.0, 1.1),
            {"name": "filter", "status": "done", "rows_in": 1500},
        ],
        filter_report={
            "records": 1500,
            "passed": left,
            "kept": 1000,
            "over": left - 1000,
            "malformed": 0,
            "funnel": funnel,
            "settings_hash": "abc123",
            "rules_hash": "def456",
            "settings": {},
        },
        preference_report={
            "pairs": 600,
            "skipped": 21,
            "skip_reasons": {"identical_answers": 15, "equal_scores": 6},
            "models": models,
            "wins": [{"first": "responder-llama", "second": "responder-qwen2", "wins": 200, "losses": 470, "ties": 2}],
            "margin": {"n": 600, "mean": 2.1, "sd": 1.0, "quantiles": quantiles},
            "length": {
                "n": 588,
                "longer_chosen_share": 0.54,
                "standard_error": 0.0206,
                "chosen_words": 42.0,
                "rejected_words": 39.5,
                "cohens_d": 0.12,
            },
            "samples": [],
        },
        training=training,
        training_logs=logs,
        comparison=comparison(variants=variants),
        samples=[Sample("student-llama", evil, {v: evil for v in variants})],
        lengths=[("Instructions", [3, 8, 8, 9, 400], [8, 8, 9]), ("Responses", [0, 20, 30, 31, 90], [20, 30, 31])],
        domains={"math": (500, 300), "writing": (1000, 700)},
        links={"comparison": "../evaluation/metrics/comparison_summary.csv", "config": "../config.json"},
    )
