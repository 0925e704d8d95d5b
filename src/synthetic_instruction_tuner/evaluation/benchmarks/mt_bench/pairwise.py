"""Pairwise grading: the judge compares two models' answers, each shown first once.

A win counts only if both orders agree; where they differ, or one of them cannot be read, the comparison is a tie
(Zheng et al. 2023, section 3.4). How often they differ, which position wins and how often the longer answer does are
shown beside the result: a judge that decides by place or length has not read the answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from synthetic_instruction_tuner.chat.verdicts import Winner, read_winner
from synthetic_instruction_tuner.engines.base import Done
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.files import TURNS, MtBench
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.grading import Answers
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.judge import Judge, Judged
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.prompts import COMPARE_AGAIN, pair_prompt
from synthetic_instruction_tuner.records import Message

SIMILAR = 1.2  # the longer answer has at most this many times the words of the shorter one
_WON = {"first": 1.0, "second": 0.0, "tie": 0.5}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers to one turn.

    Attributes:
        question, turn: what was answered; turns count from 0.
        forward, backward: the winner with our answer shown first, and with theirs; None: the reply cannot be read.
        words: how many our answer and theirs have.
    """

    question: int
    turn: int
    forward: Winner | None
    backward: Winner | None
    words: tuple[int, int]

    @property
    def readable(self) -> bool:
        """Whether both replies could be read."""
        return self.forward is not None and self.backward is not None

    @property
    def consistent(self) -> bool:
        """Whether both orders have the same winner, or both are ties."""
        if self.forward is None or self.backward is None:
            return False
        return _WON[self.forward] == 1 - _WON[self.backward]

    @property
    def won(self) -> float:
        """1 for a win, 0 for a loss, 0.5 for a tie."""
        return _WON[self.forward] if self.consistent and self.forward is not None else 0.5


@dataclass(frozen=True, slots=True)
class PairSummary:
    """What the comparisons of two variants of a student say.

    Attributes:
        model, ours, theirs: the student and the variants.
        judge: its name.
        wins, ties, losses: of our answers; comparisons whose orders differ are ties.
        win_rate: wins and half of the ties, of all; with its standard error over questions and a 95 % interval.
        p: of the paired test that both are equally good.
        consistent: comparisons whose orders agree, of `compared` with two readable replies.
        first_share: share of the single decided replies that the answer shown first won; None without any.
        longer_share: share of the wins and losses that the longer answer won; None without any.
        similar_win_rate: the win rate among answers of similar length, `similar` comparisons; None without any.
        mean_words: of our answers and of theirs.
        unreadable: replies that could not be read, of two for each comparison.
    """

    model: str
    ours: str
    theirs: str
    judge: str
    wins: int
    ties: int
    losses: int
    win_rate: float
    standard_error: float
    low: float
    high: float
    p: float
    consistent: int
    compared: int
    first_share: float | None
    longer_share: float | None
    similar_win_rate: float | None
    similar: int
    mean_words: tuple[float, float]
    unreadable: int

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PairSummary:
        """Returns the summary that `to_json` wrote."""
        return cls(**(data | {"mean_words": tuple(data["mean_words"])}))


def compare_answers(
    bench: MtBench, ours: Answers, theirs: Answers, judge: Judge, done: Done | None = None
) -> list[Comparison]:
    """Returns the comparisons of two models' answers, turn by turn, for the questions that both have answered.

    Raises:
        RunError: see `Judge.ask`.
    """
    chosen = [q for q in bench.questions if q.number in ours and q.number in theirs]
    places = [(question, turn) for question in chosen for turn in range(TURNS)]
    prompts: list[list[Message]] = []
    for question, turn in places:
        one, other = ours[question.number], theirs[question.number]
        prompts += [pair_prompt(bench, question, *order, turn) for order in ((one, other), (other, one))]
    judged: list[Judged[Winner]] = judge.ask(prompts, read_winner, COMPARE_AGAIN, done)
    return [
        Comparison(
            question.number,
            turn,
            judged[2 * i].verdict,
            judged[2 * i + 1].verdict,
            (_words(ours[question.number][turn]), _words(theirs[question.number][turn])),
        )
        for i, (question, turn) in enumerate(places)
    ]


def summarize(model: str, ours: str, theirs: str, judge: str, comparisons: Sequence[Comparison]) -> PairSummary:
    """Returns what the comparisons say; those of one question are a cluster."""
    from synthetic_instruction_tuner.evaluation import statistics

    clusters: dict[int, list[float]] = {}
    for one in comparisons:
        clusters.setdefault(one.question, []).append(one.won)
    found = statistics.estimate(list(clusters.values()))
    tested = statistics.compare(list(clusters.values()), [[0.5] * len(own) for own in clusters.values()])
    first = [won for one in comparisons for won in _first_won(one)]
    decided = [one for one in comparisons if one.won != 0.5 and one.words[0] != one.words[1]]
    longer = [float((one.words[0] > one.words[1]) == (one.won == 1)) for one in decided]
    similar = [one.won for one in comparisons if max(one.words) <= SIMILAR * min(one.words)]
    return PairSummary(
        model=model,
        ours=ours,
        theirs=theirs,
        judge=judge,
        wins=sum(one.won == 1 for one in comparisons),
        ties=sum(one.won == 0.5 for one in comparisons),
        losses=sum(one.won == 0 for one in comparisons),
        win_rate=found.value,
        standard_error=found.standard_error,
        low=max(0.0, found.low),
        high=min(1.0, found.high),
        p=tested.p,
        consistent=sum(one.consistent for one in comparisons),
        compared=sum(one.readable for one in comparisons),
        first_share=_mean(first),
        longer_share=_mean(longer),
        similar_win_rate=_mean(similar),
        similar=len(similar),
        mean_words=(_mean([o.words[0] for o in comparisons]) or 0.0, _mean([o.words[1] for o in comparisons]) or 0.0),
        unreadable=sum((one.forward is None) + (one.backward is None) for one in comparisons),
    )


def _first_won(one: Comparison) -> list[float]:
    """Returns 1 for each of the two replies that the answer shown first won, 0 for each that it lost."""
    return [float(winner == "first") for winner in (one.forward, one.backward) if winner in ("first", "second")]


def _words(text: str) -> int:
    return len(text.split())


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
