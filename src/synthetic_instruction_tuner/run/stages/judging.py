"""The judge's part of stage evaluate: it is opened once, after the students are closed, and rates what they said.

Its replies are kept under a unit of their own as they come. A variant's ratings are a unit named by its answers and by
all that the judge's verdict depends on, so another judge, or other references, never ask a student again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from synthetic_instruction_tuner.config import Config, fingerprint
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.benchmark import configured, usable
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.files import TURNS
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.grading import (
    NAME,
    Answers,
    score_answers,
    with_ratings,
)
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.opening import judge_key, open_judge
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.pairwise import compare_answers, summarize
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.relatives import judge_label
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult
from synthetic_instruction_tuner.methods import BASE, METHODS
from synthetic_instruction_tuner.models.quantization.held import writing_format
from synthetic_instruction_tuner.run.costs.judging import judging_label
from synthetic_instruction_tuner.run.stages.stage import Context
from synthetic_instruction_tuner.run.stages.variants.keys import precision_key
from synthetic_instruction_tuner.run.store import Store
from synthetic_instruction_tuner.run.store.judge_replies import JudgeReplies

PAIRS = "mt_bench_pairs"
"""The fact that holds the comparisons of variants, as `PairSummary.to_json` gives them."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A variant's answers: the student, the variant, the unit that holds them, and the answers themselves."""

    student: str
    variant: str
    unit: str
    result: BenchmarkResult

    @property
    def answers(self) -> Answers:
        """The texts by the question's number."""
        return {int(item.id.rpartition("-")[2]): item.outputs for item in self.result.items}


def judge_answers(ctx: Context, answered: Sequence[Answered]) -> dict[tuple[str, str], BenchmarkResult]:
    """Returns the rated results by student and variant; rates, and compares, what has not been judged yet.

    Raises:
        UserError: there is no judge, or it cannot be used.
        RunError: it does not answer or makes no sense; what it has said is kept.
    """
    settings = ctx.config.evaluate.mt_bench.judge
    bench = configured(ctx.config.evaluate)
    pairs = _pairs(answered) if settings.pairwise else []
    rate = [one for one in answered if not ctx.store.batch_numbers(_rated_unit(ctx, one, bench.digest))]
    compare = [pair for pair in pairs if not ctx.store.batch_numbers(_pair_unit(ctx, *pair, bench.digest))]
    if settings.model and (rate or compare):
        label = judge_label(settings, ctx.config)
        judge_id = fingerprint(judge_key(settings, ctx.config.engine))
        kept = JudgeReplies(ctx.store, ":".join(("evaluate:judge", judge_id, *_held(ctx))))
        replies = TURNS * len(bench.questions) * (len(rate) + 2 * len(compare))
        with (
            open_judge(settings, ctx.config.engine, ctx.hardware, label, kept) as judge,
            ctx.display.task(judging_label(settings.model.name), replies, "replies") as advance,
        ):
            for one in rate:
                rated, ratings = score_answers(bench, one.answers, judge, advance)
                row = rated.to_json() | {"ratings": [rating.to_json() for rating in ratings]}
                ctx.commit(_rated_unit(ctx, one, bench.digest), 0, [row])
            for ours, theirs in compare:
                made = compare_answers(bench, ours.answers, theirs.answers, judge, advance)
                summary = summarize(ours.student, ours.variant, theirs.variant, label, made)
                ctx.commit(_pair_unit(ctx, ours, theirs, bench.digest), 0, [summary.to_json()])
    summaries = [next(ctx.store.rows(_pair_unit(ctx, *pair, bench.digest))) for pair in pairs]
    if summaries or ctx.store.fact(PAIRS):
        ctx.store.set_fact(PAIRS, summaries)
    units = {(one.student, one.variant): (one, _rated_unit(ctx, one, bench.digest)) for one in answered}
    return {key: with_ratings(one.result, _rated(ctx.store, unit)) for key, (one, unit) in units.items()}


def judging_part(config: Config) -> dict[str, Any]:
    """Returns what verdicts depend on beside the settings; nothing for a run without MT-Bench."""
    if NAME not in config.evaluate.benchmarks or config.evaluate.mt_bench.judge.model is None:
        return {}
    return {"judge": _judged_by(config, configured(config.evaluate).digest if usable(config.evaluate) else "")}


def _rated(store: Store, unit: str) -> BenchmarkResult:
    row = dict(next(store.rows(unit)))
    del row["ratings"]
    return BenchmarkResult.from_json(row)


def _pairs(answered: Sequence[Answered]) -> list[tuple[Answered, Answered]]:
    """Returns each tuned variant with the one that it started from: SFT with base, DPO with SFT."""
    known = {(one.student, one.variant): one for one in answered}
    starts = {method.name: method.starts_from or BASE for method in METHODS}
    found = []
    for one in answered:
        start = known.get((one.student, starts.get(one.variant, "")))
        start = start or (known.get((one.student, BASE)) if one.variant != BASE else None)
        if start is not None:
            found.append((one, start))
    return found


def _judged_by(config: Config, digest: str) -> str:
    settings = config.evaluate.mt_bench.judge
    return fingerprint(settings.key_part(), judge_key(settings, config.engine), judge_label(settings, config), digest)


def _held(ctx: Context) -> tuple[str, ...]:
    """Returns in which number format a judge that runs here is held on this machine, as a part of a key."""
    model, engine = ctx.config.evaluate.mt_bench.judge.model, ctx.config.engine
    if model is None or model.url is not None:
        return ()
    return precision_key(writing_format(model, ctx.hardware, engine.dtype, engine.batch_size))


def _rated_unit(ctx: Context, one: Answered, digest: str) -> str:
    return ":".join((one.unit, "rated", _judged_by(ctx.config, digest), *_held(ctx)))


def _pair_unit(ctx: Context, ours: Answered, theirs: Answered, digest: str) -> str:
    judged = (_judged_by(ctx.config, digest), *_held(ctx))
    return ":".join(("evaluate", ours.student, "pairs", fingerprint(ours.unit, theirs.unit), *judged))
