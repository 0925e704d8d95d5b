"""The report on preference pairs: which model wins, by how much, and whether length alone wins; its Markdown page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import fingerprint
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.escaping import fenced, markdown
from synthetic_instruction_tuner.preference.pair_statistics import PairStatistics
from synthetic_instruction_tuner.preference.summary_statistics import share, share_error

RULES = (  # the settings that decide which pairs scored answers make, and what scores the answers
    "samples",
    "on_policy",
    "scorer",
    "rejected",
    "min_margin",
    "max_similarity",
    "max_length_ratio",
    "max_chosen_share",
    "truncated",
)


@dataclass(frozen=True, slots=True)
class PreferenceReport:
    """Statistics of preference pairs, as plain JSON values. The order of the answers does not matter.

    Scores are the reward model's logits or the judge's scores; lengths are in words.

    Attributes:
        pairs: number of pairs.
        skipped: number of records without a pair.
        skip_reasons: their number for each reason.
        guards: for each guard the records that it skipped and the pairs for which it passed over an answer.
        truncated: how many answers, chosen answers and rejected answers hit the token limit.
        models: for each model its answers, scores, and how often it was chosen and rejected.
        wins: for every two models how often the answer of each has the higher score.
        margin: distribution of the score difference.
        length: whether longer answers tend to win.
        judge: statistics of the judgments, such as position bias; None if a reward model scored.
        settings, settings_hash: the settings that decide which pairs are made.
        samples: a few pairs.
        scored_by: where the scores are from, in words; None if models of a run gave them.
    """

    pairs: int
    skipped: int
    skip_reasons: dict[str, int]
    guards: list[dict[str, Any]]
    truncated: dict[str, int]
    models: dict[str, Any]
    wins: list[dict[str, Any]]
    margin: dict[str, Any]
    length: dict[str, Any]
    judge: dict[str, Any] | None
    settings: dict[str, Any]
    settings_hash: str
    samples: list[dict[str, Any]]
    scored_by: str | None = None

    @classmethod
    def from_statistics(cls, statistics: PairStatistics, scored_by: str | None = None) -> PreferenceReport:
        """Returns the report of these counts, with the settings in force."""
        config = statistics.config
        rules = {name: value for name, value in config.model_dump(mode="json").items() if name in RULES}
        if config.scorer == "judge":
            rules["judge"] = {"mode": config.judge.mode, "criteria": config.judge.criteria}
        return cls(
            pairs=statistics.pairs,
            skipped=statistics.skipped,
            skip_reasons=statistics.skip_reasons(),
            guards=statistics.guards(),
            truncated=statistics.truncated(),
            models=statistics.models(),
            wins=statistics.wins(),
            margin=statistics.margin(),
            length=statistics.length(),
            judge=statistics.judge.to_json() if statistics.judge else None,
            settings=rules,
            settings_hash=fingerprint(rules),
            samples=statistics.samples(),
            scored_by=scored_by,
        )

    def main_skip_reason(self) -> str:
        """Returns the most frequent reason for skipping a record, with its count, in words."""
        if not self.skip_reasons:
            return "no record was skipped"
        reason, count = max(self.skip_reasons.items(), key=lambda item: item[1])
        return f"{count:,} of {self.pairs + self.skipped:,} records were skipped: {reason.replace('_', ' ')}"

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        plain = asdict(self)
        if self.scored_by is None:
            del plain["scored_by"]
        return plain

    def to_markdown(self) -> str:
        """Returns the statistics as a Markdown page."""
        return report_page(self.to_json())

    def write(self, path: Path, values: Mapping[str, Any] | None = None) -> None:
        """Writes the JSON file and, with the suffix ``.md``, the page, each whole or not at all.

        Args:
            path: the JSON file.
            values: what it holds, if that is more than `to_json` returns.
        """
        write_text(path.with_suffix(".md"), self.to_markdown())
        write_text(path, json.dumps(values or self.to_json(), indent=2, ensure_ascii=False) + "\n")


def report_page(report: Mapping[str, Any]) -> str:
    """Returns the page of a `PreferenceReport`'s JSON values."""
    cut = report["truncated"]
    lines = [
        "# Preference pairs",
        "",
        f"{report['pairs']} pairs; {report['skipped']} records skipped. Rules: `{report['settings_hash']}`.",
        "",
        "Records skipped: records that gave no pair. Answers passed over: pairs for which the guard ruled out a better "
        "chosen or a worse rejected answer.",
        "",
        *_table(
            ("guard", "records skipped", "answers passed over"),
            ((row["guard"], row["skipped"], row["passed_over"]) for row in report["guards"]),
        ),
        f"Cut off at the token limit: {cut['answers']} answers. Of these {cut['chosen']} were chosen and "
        f"{cut['rejected']} were rejected.",
        "",
        "## Models",
        "",
        f"{_score_words(report)} Chosen and rejected: shares of the pairs.",
        "",
        *_table(
            ("model", "answers", "cut off", "mean score", "sd", "5 %", "median", "95 %", "words", "chosen", "rejected"),
            (_model_cells(name, model) for name, model in report["models"].items()),
        ),
        "## Wins between models",
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
    if scored_by := report.get("scored_by"):
        return f"Scores: {markdown(scored_by)}."
    if judge is None:
        return "The score is the reward model's logit."
    if judge["mode"] == "pointwise":
        return "The score is the judge's rating, 1 to 10."
    return "The score is the share of comparisons won, from 0 to 1; a tie counts half."


def _margin_and_length(margin: Mapping[str, Any], length: Mapping[str, Any]) -> list[str]:
    quantiles = ", ".join(f"{float(q):.0%}: {_show(value)}" for q, value in margin["quantiles"].items())
    return [
        "## Margin and length",
        "",
        f"Margin: mean {_show(margin['mean'])}, sd {_show(margin['sd'])}, n {margin['n']}; quantiles {quantiles}",
        "",
        f"The longer answer was chosen in {_show(length['longer_chosen_share'])} ± {_show(length['standard_error'])} "
        f"of the {length['n']} pairs of unequal length (0.5: no length bias).",
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
        "## Judge",
        "",
        f"{judge['judgments']} judgments; {judge['unparsable']} could not be parsed and do not count.",
        "",
    ]
    if judge["mode"] == "pairwise":
        lines += [
            f"Position: the answer shown first won {_show(judge['first_share'])} ± {_show(judge['first_error'])} of "
            f"{judge['decided']} decided judgments (0.5: no position bias). Of {judge['compared']} comparisons in both "
            f"orders, {judge['consistent']} had the same result in both; in {judge['flipped']} the same position won "
            f"both times, and they count as ties.",
            "",
        ]
    return lines


def _show(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3g}"


def _table(head: Sequence[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    body = [f"| {' | '.join(markdown(cell) for cell in row)} |" for row in rows]
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
        lines += ["Instruction:", "", fenced(sample["instruction"]), ""]
        for side in ("chosen", "rejected"):
            model, score = markdown(sample[f"{side}_model"]), _show(sample[f"{side}_score"])
            lines += [f"{side.capitalize()} ({model}, {score}):", "", fenced(sample[side]), ""]
    return lines
