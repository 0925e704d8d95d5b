"""What a run does with MT-Bench: the student answers here, the judge rates when the students are closed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.evaluation.benchmarks.base import Benchmark, Metric, Work
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.answering import answer_questions
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.files import (
    TURNS,
    MtBench,
    missing_files,
    read_mt_bench,
)
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.grading import HEADLINE, NAME, UNREADABLE
from synthetic_instruction_tuner.evaluation.benchmarks.published import place_of
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.harness import EngineLM


def published(settings: Any) -> MtBench:
    """Returns the questions of the settings, with the judge's prompts and the references.

    Raises:
        UserError: the files are not at hand, or damaged.
    """
    place = place_of(NAME, settings.data_dir)
    if place is None:
        raise missing_files(Path(settings.data_dir or "DATA_DIR") / NAME / "question.jsonl")
    return read_mt_bench(place.folder, settings.judge.references).first(settings.items)


def evaluate(lm: EngineLM, settings: Any) -> BenchmarkResult:
    """Returns the model's answers, unrated; the judge comes when the students are closed."""
    bench = published(settings)
    items, cut, empty = answer_questions(lm.engine, lm.template, bench.questions, settings.max_new_tokens)
    lm.n_truncated += cut
    lm.n_empty += empty
    return BenchmarkResult(NAME, HEADLINE, items)


BENCHMARK = Benchmark(
    name=NAME,
    title="MT-Bench: two turns, rated by a judge from 1 to 10",
    metrics=(
        Metric(HEADLINE, "mean rating of the judge over both turns, 1 to 10", column="MT-Bench", span=9.0),
        Metric("turn_1", "mean rating of the first answer", span=9.0),
        Metric("turn_2", "mean rating of the second answer", span=9.0),
        Metric(UNREADABLE, "share of ratings that could not be read, each counted as 1"),
    ),
    items=lambda settings: published(settings).questions,
    evaluate=evaluate,
    work=lambda settings: Work(settings.items, answers=TURNS, max_new_tokens=settings.max_new_tokens),
)
