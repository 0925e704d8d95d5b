"""What the preference pairs are like: who wins, by how much, and whether it is only length that wins."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from ..atomicfiles import write_text
from ..records import Answer, PreferencePair
from .preference_builder import Refusal

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class PreferenceReport:
    """Statistics of preference pairs, as plain JSON values; the same for the same input, whatever the answers' order.

    Scores are the reward model's logits, lengths are words.

    Attributes:
        pairs: how many pairs were built.
        refused: records that gave none.
        refusals: how many for each reason.
        models: per responder its answers, scores, and how often it was chosen and rejected.
        wins: for each two responders whose answer to the same record scored higher.
        margin: distribution of the score difference.
        length: whether the longer answer tends to win.
        samples: a few pairs.
    """

    pairs: int
    refused: int
    refusals: dict[str, int]
    models: dict[str, Any]
    wins: list[dict[str, Any]]
    margin: dict[str, Any]
    length: dict[str, Any]
    samples: list[dict[str, Any]]

    @classmethod
    def from_pairs(
        cls, pairs: Sequence[PreferencePair], refusals: Sequence[Refusal], answers: Iterable[Answer], samples: int = 3
    ) -> PreferenceReport:
        """Returns the statistics of the pairs, the refusals, and every scored answer, used in a pair or not."""
        answers = list(answers)
        return cls(
            pairs=len(pairs),
            refused=len(refusals),
            refusals=dict(sorted(Counter(r.reason for r in refusals).items())),
            models=_models(answers, pairs),
            wins=_wins(answers),
            margin=describe([pair.margin for pair in pairs]),
            length=_length(pairs),
            samples=[_sample(pair) for pair in pairs[:samples]],
        )

    def main_refusal(self) -> str:
        """Returns the most frequent reason for refusing a record, with its count, in words."""
        if not self.refusals:
            return "no record was refused"
        reason, count = max(self.refusals.items(), key=lambda item: item[1])
        return f"{count:,} of {self.pairs + self.refused:,} records were refused as {reason.replace('_', ' ')}"

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return asdict(self)

    def to_markdown(self) -> str:
        """Returns the statistics as a Markdown page."""
        return _page(self)

    def write(self, path: Path) -> None:
        """Writes the JSON file and, with the suffix ``.md``, the page, each whole or not at all."""
        write_text(path.with_suffix(".md"), self.to_markdown())
        write_text(path, json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n")


def describe(values: Sequence[float]) -> dict[str, Any]:
    """Returns n, mean, standard deviation (of the sample) and linearly interpolated quantiles; NaN is left out."""
    values = sorted(v for v in values if math.isfinite(v))
    if not values:
        return {"n": 0, "mean": None, "sd": None, "quantiles": {}}
    return {
        "n": len(values),
        "mean": _rounded(statistics.fmean(values)),
        "sd": _rounded(statistics.stdev(values)) if len(values) > 1 else None,
        "quantiles": {f"{q:g}": _rounded(_quantile(values, q)) for q in QUANTILES},
    }


def cohens_d(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Returns Cohen's d, the difference of the means over the pooled standard deviation; None where it is undefined."""
    if len(first) < 2 or len(second) < 2:
        return None
    freedom = len(first) + len(second) - 2
    pooled = ((len(first) - 1) * statistics.variance(first) + (len(second) - 1) * statistics.variance(second)) / freedom
    return (statistics.fmean(first) - statistics.fmean(second)) / math.sqrt(pooled) if pooled > 0 else None


def _page(report: PreferenceReport) -> str:
    length, margin = report.length, report.margin
    quantiles = ", ".join(f"{float(q):.0%}: {_show(value)}" for q, value in margin["quantiles"].items())
    lines = [
        "# Preference pairs",
        "",
        f"{report.pairs} pairs; {report.refused} records refused.",
        "",
        *_table(("refused because", "records"), report.refusals.items()),
        "## Responders",
        "",
        "Score is the reward model's logit. Chosen and rejected are shares of the pairs.",
        "",
        *_table(
            ("model", "answers", "cut off", "mean score", "sd", "5 %", "median", "95 %", "words", "chosen", "rejected"),
            (_model_cells(name, model) for name, model in report.models.items()),
        ),
        "## Who beats whom",
        "",
        *_table(
            ("first", "second", "first wins", "second wins", "ties", "first wins, share ± SE"),
            (_win_cells(row) for row in report.wins),
        ),
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
    ]
    return "\n".join([*lines, *_sample_lines(report.samples)]).rstrip() + "\n"


def _models(answers: Sequence[Answer], pairs: Sequence[PreferencePair]) -> dict[str, Any]:
    by_model: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_model[answer.model].append(answer)
    chosen, rejected = Counter(p.chosen_model for p in pairs), Counter(p.rejected_model for p in pairs)
    return {
        name: {
            "answers": len(mine),
            "truncated": sum(a.truncated for a in mine),
            "words": _rounded(statistics.fmean(len(a.text.split()) for a in mine)),
            "score": describe([a.score for a in mine if a.score is not None]),
            "chosen": chosen[name],
            "rejected": rejected[name],
            "chosen_share": _share(chosen[name], len(pairs)),
            "rejected_share": _share(rejected[name], len(pairs)),
        }
        for name, mine in sorted(by_model.items())
    }


def _wins(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Returns for each two models how often each one's answer to the same record has the higher score."""
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for answer in answers:
        if answer.score is not None and math.isfinite(answer.score):
            scores[answer.record_id][answer.model] = answer.score
    rows = []
    for first, second in combinations(sorted({a.model for a in answers}), 2):
        signs = Counter(
            (mine[first] > mine[second]) - (mine[first] < mine[second])
            for mine in scores.values()
            if first in mine and second in mine
        )
        rows.append({"first": first, "second": second, "wins": signs[1], "losses": signs[-1], "ties": signs[0]})
    return rows


def _length(pairs: Sequence[PreferencePair]) -> dict[str, Any]:
    chosen = [float(len(p.chosen.split())) for p in pairs]
    rejected = [float(len(p.rejected.split())) for p in pairs]
    unequal = [a > b for a, b in zip(chosen, rejected, strict=True) if a != b]
    share = _share(sum(unequal), len(unequal))
    d = cohens_d(chosen, rejected)
    return {
        "n": len(unequal),
        "longer_chosen_share": share,
        "standard_error": _share_error(sum(unequal), len(unequal)),
        "chosen_words": _rounded(statistics.fmean(chosen)) if chosen else None,
        "rejected_words": _rounded(statistics.fmean(rejected)) if rejected else None,
        "cohens_d": None if d is None else _rounded(d),
    }


def _sample(pair: PreferencePair) -> dict[str, Any]:
    names = ("instruction", "chosen", "chosen_model", "rejected", "rejected_model")
    return {name: getattr(pair, name) for name in names} | {
        "chosen_score": _rounded(pair.chosen_score),
        "rejected_score": _rounded(pair.rejected_score),
    }


def _quantile(ordered: Sequence[float], q: float) -> float:
    at = q * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def _share(count: int, total: int) -> float | None:
    return _rounded(count / total) if total else None


def _share_error(count: int, total: int) -> float | None:
    return _rounded(math.sqrt(count * (total - count) / total) / total) if total else None


def _rounded(value: float) -> float:
    return round(value, 6)


def _show(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3g}"


def _table(head: Sequence[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    body = [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *body, ""] if body else []


def _model_cells(name: str, model: dict[str, Any]) -> list[Any]:
    score = model["score"]
    shown = [score["mean"], score["sd"], *(score["quantiles"].get(q) for q in ("0.05", "0.5", "0.95")), model["words"]]
    shares = (model["chosen_share"], model["rejected_share"])
    return [name, model["answers"], model["truncated"], *(_show(v) for v in (*shown, *shares))]


def _win_cells(row: dict[str, Any]) -> list[Any]:
    decided = row["wins"] + row["losses"]
    share = f"{_show(_share(row['wins'], decided))} ± {_show(_share_error(row['wins'], decided))}"
    return [row["first"], row["second"], row["wins"], row["losses"], row["ties"], share]


def _sample_lines(samples: Sequence[dict[str, Any]]) -> list[str]:
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
