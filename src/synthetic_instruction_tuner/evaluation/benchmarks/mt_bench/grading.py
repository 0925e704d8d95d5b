"""Single grading: the judge rates each answer from 1 to 10, turn by turn.

A reply that cannot be read, also the second time, is neither left out nor a number that no judge gives: it counts as
the lowest rating, and how many there are stands beside the score. Judges fail most often on confused answers, so
leaving these out would favor the model that gives them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from synthetic_instruction_tuner.chat.verdicts import LOWEST, read_rating
from synthetic_instruction_tuner.engines.base import Done
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.files import TURNS, MtBench, Question
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.judge import Judge, Judged
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.prompts import RATE_AGAIN, prompt_name, single_prompt
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult

NAME, HEADLINE = "mt_bench", "rating"
UNREADABLE = "unreadable"

Answers = Mapping[int, Sequence[str]]
"""The answers to both turns, by the question's number."""


@dataclass(frozen=True, slots=True)
class Rating:
    """The judge's rating of one answer.

    Attributes:
        question, turn: what was answered; turns count from 0.
        prompt: the name of the published prompt.
        value: 1 to 10; None where the reply could not be read.
        reply: what the judge wrote.
        asked: how often it was asked.
        fault: why there is no reply; empty where there is one.
    """

    question: int
    turn: int
    prompt: str
    value: float | None
    reply: str
    asked: int
    fault: str = ""

    @property
    def counted(self) -> float:
        """The rating as it enters the score."""
        return LOWEST if self.value is None else self.value

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return asdict(self)


def score_answers(
    bench: MtBench, answers: Answers, judge: Judge, done: Done | None = None
) -> tuple[BenchmarkResult, list[Rating]]:
    """Returns the judge's ratings of a model's answers, as a result and one by one.

    Args:
        bench: questions, references and the judge's prompts.
        answers: a model's; questions without any are left out.
        judge: the judge.
        done: called with the number of answers that have been rated.

    Raises:
        ValueError: none of the questions is answered.
        RunError: see `Judge.ask`.
    """
    chosen = [question for question in bench.questions if question.number in answers]
    if not chosen:
        raise ValueError("none of the questions is answered")
    places = [(question, turn) for question in chosen for turn in range(TURNS)]
    prompts = [single_prompt(bench, question, answers[question.number], turn) for question, turn in places]
    judged = judge.ask(prompts, read_rating, RATE_AGAIN, done)
    ratings = [_rating(question, turn, one) for (question, turn), one in zip(places, judged, strict=True)]
    pairs = [ratings[i : i + TURNS] for i in range(0, len(ratings), TURNS)]
    items = [_item(question, answers[question.number], own) for question, own in zip(chosen, pairs, strict=True)]
    empty = sum(not text.strip() for item in items for text in item.outputs)
    unread = sum(rating.value is None for rating in ratings)
    return BenchmarkResult(named(judge.name), HEADLINE, tuple(items), n_empty=empty, n_unparsed=unread), ratings


def with_ratings(result: BenchmarkResult, rated: BenchmarkResult) -> BenchmarkResult:
    """Returns a student's result with the ratings of its answers, under the name that holds the judge's."""
    scores = {item.id: item.scores for item in rated.items}
    items = tuple(replace(item, scores=scores[item.id] | item.scores) for item in result.items)
    unread = sum(int(value) for item in rated.items for value in item.scores[UNREADABLE])
    return replace(result, benchmark=rated.benchmark, headline=HEADLINE, items=items, n_unparsed=unread)


def named(judge: str) -> str:
    """Returns the benchmark's name with the judge's: numbers of two judges are never the same benchmark's."""
    return f"{NAME} (judge: {judge})"


def _rating(question: Question, turn: int, judged: Judged[float]) -> Rating:
    name = prompt_name("single", question, turn)
    return Rating(question.number, turn, name, judged.verdict, judged.text, judged.asked, judged.fault)


def _item(question: Question, answers: Sequence[str], ratings: Sequence[Rating]) -> ItemResult:
    scores = {HEADLINE: tuple(rating.counted for rating in ratings)}
    scores |= {f"turn_{rating.turn + 1}": (rating.counted,) for rating in ratings}
    scores[UNREADABLE] = tuple(float(rating.value is None) for rating in ratings)
    return ItemResult(question.id, question.turns, tuple(answers), scores, (question.category,))
