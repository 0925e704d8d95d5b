"""What a run does with MT-Bench: the student answers here, the judge rates when the students are closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.config.sections.evaluate import EvaluateConfig, MtBenchConfig
from synthetic_instruction_tuner.evaluation.benchmarks.base import Benchmark, Metric, Work
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.answering import answer_questions
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.files import (
    COUNT,
    SOURCE,
    TURNS,
    MtBench,
    Question,
    lacking_files,
    missing_file,
    read_mt_bench,
)
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.grading import HEADLINE, NAME, UNREADABLE
from synthetic_instruction_tuner.evaluation.benchmarks.published import Availability, nothing, place_of
from synthetic_instruction_tuner.evaluation.benchmarks.rewards import REWARD, with_rewards
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.benchmark_lm import BenchmarkLM
    from synthetic_instruction_tuner.evaluation.breakdowns import Breakdown


def published(settings: MtBenchConfig) -> MtBench:
    """Returns the questions of the settings, with the judge's prompts and the references.

    Raises:
        UserError: files are missing or damaged.
    """
    place = place_of(NAME, settings.data_dir)
    if place is None:
        raise missing_file(settings.data_dir)
    return read_mt_bench(place.folder, settings.judge.references).first(settings.items)


def configured(config: EvaluateConfig) -> MtBench:
    """Returns the questions that the settings of stage evaluate choose; see `published`."""
    settings = config.settings(NAME)
    assert isinstance(settings, MtBenchConfig)
    return published(settings)


def usable(config: EvaluateConfig) -> bool:
    """Returns whether this machine has the files that the settings need."""
    settings = config.settings(NAME)
    return isinstance(settings, MtBenchConfig) and at_hand(settings).usable


def items(settings: MtBenchConfig) -> Sequence[Question]:
    """Returns the questions; none where this machine does not have all the files."""
    return published(settings).questions if at_hand(settings).usable else ()


def at_hand(settings: MtBenchConfig) -> Availability:
    """Returns what this machine has: questions, references and the judge's prompts; without one of them, nothing.

    Raises:
        UserError: a file is damaged.
    """
    place = place_of(NAME, settings.data_dir)
    if place is None:
        return nothing(NAME)
    if lacking := lacking_files(place.folder, settings.judge.references):
        missing = f"Its {place.origin} lacks {', '.join(lacking)}."
        own = place.origin == "folder"
        how = f"Put them there; they are in {SOURCE}." if own else missing_file(settings.data_dir).fix
        return Availability(0, place.origin, missing=missing, how=how)
    bench = read_mt_bench(place.folder, settings.judge.references)
    whole = len(bench.questions) >= COUNT
    missing = "" if whole else f"Only {len(bench.questions)} of its {COUNT} questions are on this machine."
    how = "" if whole else missing_file(settings.data_dir).fix
    count = min(len(bench.questions), settings.items)
    return Availability(count, place.origin, bench.asked, missing, how, whole, len(bench.questions), COUNT)


def data_key(settings: MtBenchConfig) -> str:
    """Returns a hash of what students are asked; empty where there are no files."""
    return published(settings).asked if at_hand(settings).usable else ""


def evaluate(lm: BenchmarkLM, settings: MtBenchConfig) -> BenchmarkResult:
    """Returns the model's answers, unrated; the judge comes when the students are closed."""
    bench = published(settings)
    answered, cut, empty = answer_questions(lm.completions, lm.template, bench.questions, settings.max_new_tokens)
    lm.n_truncated += cut
    lm.n_empty += empty
    return BenchmarkResult(NAME, HEADLINE, answered)


def breakdowns(result: BenchmarkResult) -> Sequence[Breakdown]:
    """Returns the ratings by category; none of answers that have not been rated."""
    from synthetic_instruction_tuner.evaluation.breakdowns import Breakdown, by_label

    if HEADLINE not in result.metrics:
        return ()
    return (Breakdown("categories", "Rating by category", HEADLINE, tuple(by_label(result, HEADLINE))),)


BENCHMARK = Benchmark(
    name=NAME,
    title="MT-Bench: two turns, rated by a judge",
    metrics=(
        Metric(HEADLINE, "mean rating of the judge over both turns, 1 to 10", column="MT-Bench", span=9.0, lowest=1.0),
        Metric("turn_1", "mean rating of the first answer", span=9.0, lowest=1.0),
        Metric("turn_2", "mean rating of the second answer", span=9.0, lowest=1.0),
        Metric(UNREADABLE, "share of ratings that could not be read, each counted as 1", better="lower"),
        Metric(REWARD, "mean score of the reward model over both turns, a logit; a second opinion", span=None),
    ),
    items=items,
    evaluate=evaluate,
    work=lambda settings: Work(settings.items, answers=TURNS, max_new_tokens=settings.max_new_tokens),
    add_rewards=with_rewards,
    form="Every variant, the untuned model too, answers under the chat template: the second turn needs a conversation.",
    at_hand=at_hand,
    data_key=data_key,
    breakdowns=breakdowns,
)
