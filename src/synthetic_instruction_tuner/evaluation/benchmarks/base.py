"""What a benchmark is: one module or package in this package that exports ``BENCHMARK``.

To add one, write ``evaluation/benchmarks/NAME.py`` and give it settings, a field and its name in
``config/sections/evaluate.py``. Evaluation, planning, the contamination check, tables and the report read the rest
from the `Benchmark`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol

from synthetic_instruction_tuner.config import BENCHMARKS, NANO_BENCHMARKS, PUBLIC_BENCHMARKS
from synthetic_instruction_tuner.config.sections.agents import NANO_AGENTS, PUBLIC_AGENTS, TOOL_CALLS
from synthetic_instruction_tuner.records import Message

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.benchmark_lm import BenchmarkLM
    from synthetic_instruction_tuner.evaluation.benchmarks.published import Availability
    from synthetic_instruction_tuner.evaluation.breakdowns import Breakdown
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult


class Item(Protocol):
    """One task of a benchmark."""

    @property
    def id(self) -> str:
        """Its name, the same in every run."""
        ...

    @property
    def prompt(self) -> str:
        """The first thing that the model is asked. The contamination check looks for it in training data."""
        ...


class RewardModel(Protocol):
    """The reward model that a benchmark needs."""

    def score(self, items: Sequence[tuple[Sequence[Message], str]]) -> list[float]:
        """Returns one score per (prompt, answer); higher is better."""
        ...


Better = Literal["higher", "lower"]
ScoreSaved = Callable[[Sequence[Any], Sequence[Sequence[str]], Any], "BenchmarkResult"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that a benchmark gives.

    Attributes:
        name: as in results and tables.
        title: what it is, for people.
        column: its heading in the table at the end of a run; empty: it is not in that table.
        random_level: the score that needs no skill; None where no such level is known, as for rewards.
        span: from the worst score to the best: 1 for a share of right answers, 9 for points from 1 to 10; None where
            there is no worst and no best. Margins of equivalence are shares of it.
        lowest: the smallest possible value, where there is a span.
        better: which way it should go; lower is better for shares of failures.
    """

    name: str
    title: str
    column: str = ""
    random_level: float | None = None
    span: float | None = 1.0
    lowest: float = 0.0
    better: Better = "higher"

    def within(self, low: float, high: float) -> tuple[float, float]:
        """Returns the limits of an interval, none of them beyond the values that are possible."""
        if self.span is None:
            return low, high
        return max(low, self.lowest), min(high, self.lowest + self.span)


@dataclass(frozen=True, slots=True)
class Work:
    """What one variant costs on a benchmark, for planning.

    Attributes:
        items: how many items there are.
        answers: texts that are generated per item; 0 where answers are chosen by log-likelihood.
        max_new_tokens: the longest of these texts.
        scored_tokens: tokens per item that are read to compute log-likelihoods.
        shared_tokens: tokens in all that several items have in common, and that are read once for them.
        untuned_answers: further texts per item of an untuned model, such as those in plain text.
        forms: forms of the prompt in which options are chosen by log-likelihood.
    """

    items: int
    answers: int = 0
    max_new_tokens: int = 0
    scored_tokens: int = 0
    shared_tokens: int = 0
    untuned_answers: int = 0
    forms: int = 1

    def asked(self, untuned: bool) -> int:
        """Returns how many answers a variant gives in all; for progress.

        Args:
            untuned: whether it is a base model.
        """
        written = self.answers + untuned * self.untuned_answers
        return self.items * (written + (self.forms if self.scored_tokens else 0))


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark. ``settings`` is always its own section of the configuration, ``evaluate.NAME``.

    Attributes:
        name: as in settings, results and tables.
        title: what it measures, for people.
        metrics: what it gives; the first is the headline, by which variants are compared.
        items: returns the items for the settings; fewer are the first of more.
        evaluate: runs a model on the items and returns scored results.
        work: returns what that costs.
        add_rewards: adds the metrics that need a reward model, which is opened after the students are closed; None
            where no metric does.
        score_saved: scores saved answers without a model, given the answered items, the texts of each, one per turn,
            and the settings; None where that is impossible.
        at_hand: returns what this machine has of its files; None where the package generates the items. It raises a
            UserError for damaged files.
        data_key: returns a hash of the files that it reads; what answers and scores depend on beside the settings.
        breakdowns: returns its tables by kind of item.
        form: which form of the prompt the headline asks in, and why, in a sentence or two for the report.
    """

    name: str
    title: str
    metrics: tuple[Metric, ...]
    items: Callable[[Any], Sequence[Item]]
    evaluate: Callable[[BenchmarkLM, Any], BenchmarkResult]
    work: Callable[[Any], Work]
    add_rewards: Callable[[BenchmarkResult, RewardModel], BenchmarkResult] | None = None
    score_saved: ScoreSaved | None = None
    at_hand: Callable[[Any], Availability] | None = None
    data_key: Callable[[Any], str] | None = None
    breakdowns: Callable[[BenchmarkResult], Sequence[Breakdown]] | None = None
    form: str = ""

    @property
    def headline(self) -> str:
        """The metric by which variants are compared."""
        return self.metrics[0].name

    def metric(self, name: str) -> Metric:
        """Returns the metric of this name; one that the benchmark does not describe has its name as its title."""
        return next((metric for metric in self.metrics if metric.name == name), Metric(name, name))


def plain_name(name: str) -> str:
    """Returns a benchmark's name without the judge's, which results have in their names."""
    return name.partition(" (judge: ")[0]


def kind_of(name: str) -> str:
    """Returns whose world a benchmark or a result is of: ``public`` or ``nano``; empty where nobody knows."""
    name = plain_name(name).removesuffix(TOOL_CALLS)
    public, nano = (*PUBLIC_BENCHMARKS, *PUBLIC_AGENTS), (*NANO_BENCHMARKS, *NANO_AGENTS)
    return "public" if name in public else "nano" if name in nano else ""


def public_first(names: Iterable[str]) -> list[str]:
    """Returns the distinct names with the public benchmarks before the others, otherwise in their order."""
    return sorted(dict.fromkeys(names), key=lambda name: kind_of(name) != "public")


def benchmark(name: str) -> Benchmark:
    """Returns the benchmark of this name, or of a result's name, which may go on with the judge's.

    Raises:
        KeyError: there is none.
    """
    name = plain_name(name)
    if name not in BENCHMARKS:
        raise KeyError(name)
    found: Benchmark = import_module(f"{__package__}.{name}").BENCHMARK
    return found


def described_metric(name: str, metric: str) -> Metric | None:
    """Returns what a benchmark says about one of its metrics; None where there is no such benchmark or metric."""
    found = benchmark(name).metrics if plain_name(name) in BENCHMARKS else ()
    return next((some for some in found if some.name == metric), None)
