"""The statistics of preference pairs as a Markdown page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from synthetic_instruction_tuner.preference.statistics import share, share_error

PASSED_OVER = "answers passed over"


def page(report: Mapping[str, Any]) -> str:
    """Returns the page of a `PreferenceReport`'s JSON values."""
    cut = report["truncated"]
    lines = [
        "# Preference pairs",
        "",
        f"{report['pairs']} pairs; {report['refused']} records refused. Rules: `{report['settings_hash']}`.",
        "",
        "Refused are records that gave no pair. Passed over: pairs in which the guard kept a better chosen or a worse "
        "rejected answer out.",
        "",
        *_table(
            ("guard", "records refused", PASSED_OVER),
            ((row["guard"], row["refused"], row["passed_over"]) for row in report["guards"]),
        ),
        f"Cut off at the token limit: {cut['answers']} answers, {cut['chosen']} of them chosen, "
        f"{cut['rejected']} rejected.",
        "",
        "## Models",
        "",
        f"{_score_words(report)} Chosen and rejected are shares of the pairs.",
        "",
        *_table(
            ("model", "answers", "cut off", "mean score", "sd", "5 %", "median", "95 %", "words", "chosen", "rejected"),
            (_model_cells(name, model) for name, model in report["models"].items()),
        ),
        "## Who beats whom",
        "",
        *_table(
            ("first", "second", "first wins", "second wins", "ties", "first wins, share ± SE"),
            (_win_cells(row) for row in report["wins"]),
        ),
        *_margin_and_length(report["margin"], report["length"]),
        *(_judge(report["judge"]) if report["judge"] else ()),
    ]
    return "\n".join([*lines, *_sample_lines(report["samples"])]).rstrip() + "\n"


def _score_words(report: Mapping[str, Any]) -> str:
    judge = report["judge"]
    if judge is None:
        return "Score is the reward model's logit."
    if judge["mode"] == "pointwise":
        return "Score is the judge's rating, 1 to 10."
    return "Score is the share of comparisons won, a tie counting half, from 0 to 1."


def _margin_and_length(margin: Mapping[str, Any], length: Mapping[str, Any]) -> list[str]:
    quantiles = ", ".join(f"{float(q):.0%}: {_show(value)}" for q, value in margin["quantiles"].items())
    return [
        "## Margin and length",
        "",
        f"Margin: mean {_show(margin['mean'])}, sd {_show(margin['sd'])}, n {margin['n']}; quantiles {quantiles}",
        "",
        f"Share of the {length['n']} pairs of unequal length whose longer answer was chosen: "
        f"{_show(length['longer_chosen_share'])} ± {_show(length['standard_error'])} (0.5: no length bias).",
        "",
        f"Mean words: chosen {_show(length['chosen_words'])}, rejected {_show(length['rejected_words'])}; "
        f"Cohen's d {_show(length['cohens_d'])}.",
        "",
        f"Of all answers to a prompt, the longest was the best in {_show(length['longest_best_share'])} of "
        f"{length['prompts']} prompts (by chance: {_show(length['longest_best_by_chance'])}).",
        "",
    ]


def _judge(judge: Mapping[str, Any]) -> list[str]:
    lines = [
        "## The judge",
        "",
        f"{judge['verdicts']} verdicts, {judge['unparsable']} of them unparsable and not counted.",
        "",
    ]
    if judge["mode"] == "pairwise":
        lines += [
            f"Position: the answer shown first won {_show(judge['first_share'])} ± {_show(judge['first_error'])} of "
            f"{judge['decided']} decided verdicts (0.5: no position bias). Of {judge['compared']} comparisons made in "
            f"both orders, {judge['consistent']} came out the same both ways; {judge['flipped']} went by position and "
            f"count as ties.",
            "",
        ]
    return lines


def _show(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3g}"


def _table(head: Sequence[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    body = [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *body, ""] if body else ["None.", ""]


def _model_cells(name: str, model: Mapping[str, Any]) -> list[Any]:
    score = model["score"]
    shown = [score["mean"], score["sd"], *(score["quantiles"].get(q) for q in ("0.05", "0.5", "0.95")), model["words"]]
    shares = (model["chosen_share"], model["rejected_share"])
    return [name, model["answers"], model["truncated"], *(_show(v) for v in (*shown, *shares))]


def _win_cells(row: Mapping[str, Any]) -> list[Any]:
    decided = row["wins"] + row["losses"]
    shown = f"{_show(share(row['wins'], decided))} ± {_show(share_error(row['wins'], decided))}"
    return [row["first"], row["second"], row["wins"], row["losses"], row["ties"], shown]


def _sample_lines(samples: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["## Samples", ""] if samples else []
    for sample in samples:
        lines += ["Instruction:", "", *_quoted(sample["instruction"])]
        for side in ("chosen", "rejected"):
            lines += [f"{side.capitalize()} ({sample[f'{side}_model']}, {_show(sample[f'{side}_score'])}):", ""]
            lines += _quoted(sample[side])
    return lines


def _quoted(text: str) -> list[str]:
    """Returns the text as an indented block, in which no mark-up counts."""
    return [*(f"    {line}" for line in text.splitlines()), ""]
