"""Measures a judge before its numbers are believed: does it follow a known order, and does it fall for anything?

Two parts. The judge rates the published answers of models whose order is known; its ratings must follow it. Then it
gets answers that were made from good ones, so that it is known which is better (`probes`), rated one by one and
compared in both orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.chat.verdicts import read_rating, read_winner
from synthetic_instruction_tuner.engines.base import Done
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.files import TURNS, MtBench, Question
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.grading import Answers, score_answers
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.judge import Judge, Judged
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.probes import PROBES, Probe
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.prompts import (
    COMPARE_AGAIN,
    RATE_AGAIN,
    pair_prompt,
    single_prompt,
)

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.rank_correlation import Correlation

KNOWN_ORDER = ("gpt-4", "vicuna-13b-v1.3", "rwkv-4-raven-14b", "stablelm-tuned-alpha-7b")
"""Models with published answers, best first, by GPT-4's ratings and by people's votes (lmsys.org, June 2023)."""

PROBED = 20  # questions that are probed
PASSING = 0.8  # share of a probe's answers that must come out right
WEAKEST = 0.3  # lower end of Kendall's interval that a judge must exceed
FEWEST_WORDS = 20  # of an answer that is good enough to be made worse


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How often a judge was right about one probe, with a 95 % interval.

    Attributes:
        name, title: the probe's.
        grading: single or pairwise.
        right, n: answers.
        low, high: the interval of their share.
        unreadable: replies that could not be read; their answers are not right.
    """

    name: str
    title: str
    grading: str
    right: int
    n: int
    low: float
    high: float
    unreadable: int = 0

    @property
    def passed(self) -> bool:
        """Whether the judge is right often enough."""
        return self.n > 0 and self.right >= PASSING * self.n


@dataclass(frozen=True, slots=True)
class JudgeCheck:
    """What is known of a judge.

    Attributes:
        judge: its name.
        models: published models, best first, each with the judge's mean rating and its standard error; empty where
            there are no published answers.
        spearman, kendall: rank correlations of its ratings with the known order; None without published answers.
        probes: what it does on made-up answers.
        unreadable, replies: ratings of published answers that could not be read, of how many.
    """

    judge: str
    models: tuple[tuple[str, float, float], ...]
    spearman: Correlation | None
    kendall: Correlation | None
    probes: tuple[ProbeResult, ...]
    unreadable: int = 0
    replies: int = 0

    @property
    def in_order(self) -> bool:
        """Whether the models' mean ratings have the known order."""
        means = [mean for _, mean, _ in self.models]
        return all(a > b for a, b in pairwise(means))

    def failures(self, grading: str) -> list[str]:
        """Returns why this kind of grading is not to be trusted; nothing where it is."""
        found = [f"{p.title}: {p.right} of {p.n}" for p in self.probes if p.grading == grading and not p.passed]
        if self.kendall is not None and grading == "single":
            if not self.in_order:
                found.append("the published models do not have their known order")
            if self.kendall.low <= WEAKEST:
                found.append(f"its ratings follow the known order too loosely (Kendall's tau {self.kendall.value:.2f})")
        return found

    def verdict(self) -> str:
        """Returns the judgment on the judge, in a sentence or two."""
        parts = []
        for grading in ("single", "pairwise"):
            if not any(probe.grading == grading for probe in self.probes):
                continue
            failed = self.failures(grading)
            how = "ratings" if grading == "single" else "comparisons"
            parts.append(
                f"Its {how} can be used." if not failed else f"Its {how} are not reliable: {'; '.join(failed)}."
            )
        if self.kendall is None:
            parts.append("Its ratings were not compared with a known order: the published answers are not here.")
        return " ".join(parts)

    @property
    def reliable(self) -> bool:
        """Whether its ratings can be used."""
        return not self.failures("single")

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values, with the verdict."""
        data = asdict(self)
        data["probes"] = [asdict(probe) | {"passed": probe.passed} for probe in self.probes]
        return data | {"reliable": self.reliable, "in_order": self.in_order, "verdict": self.verdict()}


def check_judge(
    bench: MtBench, judge: Judge, published: Mapping[str, Answers], *, probed: int = PROBED, done: Done | None = None
) -> JudgeCheck:
    """Returns what the judge does on published answers and on probes.

    Args:
        bench: questions, references and the judge's prompts.
        judge: the judge.
        published: answers by model, those of `KNOWN_ORDER`; may be empty: then only the probes are made, of the
            reference answers.
        probed: questions that are probed.
        done: called with the number of replies that are settled; `replies_needed` says how many there are.

    Raises:
        RunError: see `Judge.ask`.
    """
    from synthetic_instruction_tuner.evaluation import statistics
    from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.rank_correlation import rank_correlations

    known, rated = _known(bench, published)
    models, ratings, unreadable, replies = [], [], 0, 0
    for name in known:
        result, single = score_answers(rated, published[name], judge, done)
        found = statistics.estimate(result.clusters(result.headline))
        models.append((name, found.value, found.standard_error))
        ratings.append(result.clusters(result.headline))
        unreadable += sum(rating.value is None for rating in single)
        replies += len(single)
    spearman = kendall = None
    if len(known) > 1:
        spearman, kendall = rank_correlations(ratings)
    good = _good_answers(bench, published, probed)
    probes = [*_single_probes(bench, judge, good, done), *_pair_probes(bench, judge, good, done)]
    return JudgeCheck(judge.name, tuple(models), spearman, kendall, tuple(probes), unreadable, replies)


def replies_needed(bench: MtBench, published: Mapping[str, Answers], probed: int = PROBED) -> int:
    """Returns how many replies a check needs, without those that are asked for again."""
    known, rated = _known(bench, published)
    good = len(_good_answers(bench, published, probed))
    return len(known) * TURNS * len(rated.questions) + good * (len(PROBES) + 2 * (len(PROBES) - 1) + 1)


def _known(bench: MtBench, published: Mapping[str, Answers]) -> tuple[list[str], MtBench]:
    """Returns the models of the known order that have answers, and the questions that all of them have answered."""
    names = [name for name in KNOWN_ORDER if name in published]
    kept = tuple(q for q in bench.questions if all(q.number in published[name] for name in names))
    return (names, MtBench(kept, bench.prompts, bench.references)) if kept else ([], bench)


def _good_answers(bench: MtBench, published: Mapping[str, Answers], most: int) -> list[tuple[Question, str]]:
    """Returns questions with good answers to their first turn, spread over the categories."""
    best: Answers = next((published[name] for name in KNOWN_ORDER if name in published), {})
    texts = {q.number: [*best.get(q.number, ()), *q.references, ""][0] for q in bench.questions}
    fit = MtBench(tuple(q for q in bench.questions if len(texts[q.number].split()) >= FEWEST_WORDS), bench.prompts)
    return [(question, texts[question.number]) for question in fit.first(most).questions]


def _single_probes(
    bench: MtBench, judge: Judge, good: Sequence[tuple[Question, str]], done: Done | None
) -> list[ProbeResult]:
    def rated(texts: Sequence[str]) -> list[Judged[float]]:
        prompts = [single_prompt(bench, q, (text,), 0) for (q, _), text in zip(good, texts, strict=True)]
        return judge.ask(prompts, read_rating, RATE_AGAIN, done)

    plain, found = rated([text for _, text in good]), []
    for probe in PROBES[1:]:  # the same answer is rated the same: it is the same prompt
        changed = rated([probe.change(text) for _, text in good])
        pairs = [(a.verdict, b.verdict) for a, b in zip(plain, changed, strict=True)]
        right = sum(a is not None and b is not None and (b < a or (b == a and not probe.worse)) for a, b in pairs)
        found.append(_probe(probe, "single", right, len(pairs), sum(b is None for _, b in pairs)))
    return found


def _pair_probes(
    bench: MtBench, judge: Judge, good: Sequence[tuple[Question, str]], done: Done | None
) -> list[ProbeResult]:
    found = []
    for probe in PROBES:
        orders = (False,) if probe.name == "same" else (False, True)
        prompts = []
        for question, text in good:
            shown = ((text,), (probe.change(text),))
            prompts += [pair_prompt(bench, question, *(shown[::-1] if turned else shown), 0) for turned in orders]
        judged = [one.verdict for one in judge.ask(prompts, read_winner, COMPARE_AGAIN, done)]
        groups = [judged[i : i + len(orders)] for i in range(0, len(judged), len(orders))]
        right = sum(_right(probe, group) for group in groups)
        found.append(_probe(probe, "pairwise", right, len(groups), sum(one is None for one in judged)))
    return found


def _right(probe: Probe, winners: Sequence[str | None]) -> bool:
    """Returns whether the judge is right about a probe; the good answer is first in the first order."""
    if any(winner is None for winner in winners):
        return False
    if probe.name == "same":
        return winners[0] == "tie"
    if probe.worse:
        return list(winners) == ["first", "second"]
    return list(winners) != ["second", "first"]


def _probe(probe: Probe, grading: str, right: int, n: int, unreadable: int) -> ProbeResult:
    from synthetic_instruction_tuner.evaluation.statistics import wilson

    low, high = wilson(right, n) if n else (0.0, 1.0)
    return ProbeResult(probe.name, probe.title, grading, right, n, low, high, unreadable)
