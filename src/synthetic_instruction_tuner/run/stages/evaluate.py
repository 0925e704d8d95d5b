"""Stage evaluate: every variant of every student on the same items, then the comparison table.

A variant's answers to a benchmark are a unit of their own, named by what they depend on, so that a new DPO run does not
answer for the base model again. Rewards come last: the reward model is loaded once, after the students are closed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config, fingerprint
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.evaluation.benchmarks.at_hand import data_keys, usable
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.methods import BASE, METHODS
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.models.hardware import choose_dtype, detect
from synthetic_instruction_tuner.models.number_format import NumberFormat
from synthetic_instruction_tuner.preference.reward.input import reward_settings
from synthetic_instruction_tuner.records import PreferencePair
from synthetic_instruction_tuner.run.costs.counts import benchmark_work
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.number_formats import reader_format, trained_on
from synthetic_instruction_tuner.run.seen_items import clean_scores, seen_items
from synthetic_instruction_tuner.run.stages import training
from synthetic_instruction_tuner.run.stages.judging import Answered, judge_answers, judging_part
from synthetic_instruction_tuner.run.stages.stage import Amount, Context, Outcome, Stage
from synthetic_instruction_tuner.run.stages.variants.answering import answer_missing
from synthetic_instruction_tuner.run.stages.variants.keys import (
    VERSION,
    answers_unit,
    precision_key,
    template_key,
    unit_of,
)
from synthetic_instruction_tuner.run.stages.variants.variant import Variant, variants
from synthetic_instruction_tuner.run.store import Store
from synthetic_instruction_tuner.run.store.kept_answers import kept_count

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

MT_BENCH = "mt_bench"  # its answers are rated by a judge
COMPARISON = "comparison"  # the unit that holds the comparison's rows
STATISTICS = 4  # raised when intervals, tests or the check of training data change: answers and scores stay


def part(config: Config) -> dict[str, Any]:
    """Returns what the results depend on, beside the adapters."""
    data = data_keys(config.evaluate)
    templates = [template_key(m) for m in config.models.students]
    return {
        "evaluate": config.evaluate.key_part(),
        "students": [identity(m) for m in config.models.students],
        "reward": identity(config.models.reward) | reward_settings(config.prefer),
        "engine": config.engine.key_part(),
        "statistics": STATISTICS,
        **({"benchmarks": data} if data else {}),
        **({"templates": templates} if any(templates) else {}),
        **judging_part(config),
    }


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the results' files, the comparison table, and what the training data hold of the benchmarks."""
    results = (folder.results / f"{variant.label}.json" for variant in variants(config, folder))
    return [folder.comparison, folder.contamination, *results]


def comparison_rows(store: Store) -> list[ComparisonRow]:
    """Returns the rows of the latest comparison; none where nothing has been compared yet."""
    from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow

    state = store.stage(STAGE.name)
    unit = f"{STAGE.name}:{state.key}:{COMPARISON}" if state else ""
    return [ComparisonRow.from_json(row) for row in store.rows(unit)]


def run(ctx: Context) -> Outcome:
    """Evaluates the variants and compares them."""
    from synthetic_instruction_tuner.evaluation import comparison
    from synthetic_instruction_tuner.run.stages.agents.units import finished_rows

    chosen = variants(ctx.config, ctx.folder)
    names = usable(ctx.config.evaluate)
    answer_missing(ctx, chosen, names)
    _reward(ctx, chosen)
    results = {(v.student.name, v.name): [_result(ctx, v, name) for name in names] for v in chosen}
    if MT_BENCH in names:
        _judge(ctx, chosen, results)
    for variant in chosen:
        _write(ctx, variant, results[variant.student.name, variant.name])
    unit = ctx.input_unit("prefer") if "prefer" in ctx.keys else ""
    pairs = [PreferencePair.from_json(row) for row in ctx.store.rows(unit)]
    seen = seen_items(ctx.config, training.filtered_records(ctx), pairs)
    found = clean_scores(results, seen)
    ctx.store.set_fact("contamination", found)
    write_text(ctx.folder.contamination, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    rows = comparison.compare(results, seen)
    store_rows(ctx, rows)
    comparison.write_csv([*rows, *finished_rows(ctx)], ctx.folder.comparison)
    items = sum(len(result.items) for result in results[chosen[0].student.name, BASE])
    return Outcome(fingerprint(comparison.csv_text(rows)), items, len(chosen), f"{len(rows)} scores")


def store_rows(ctx: Context, rows: Sequence[ComparisonRow]) -> None:
    """Commits the comparison in place of another one under this key: damaged answers may have been given anew."""
    unit, payload = ctx.unit(COMPARISON), [row.to_json() for row in rows]
    if list(ctx.store.rows(unit)) != payload:
        ctx.store.drop_unit(unit)
        ctx.commit(unit, 0, payload)


def _reward(ctx: Context, chosen: list[Variant]) -> None:
    """Lets the reward model score the answers of all variants that it has not scored yet."""
    rewarded = [found for name in usable(ctx.config.evaluate) if (found := benchmark(name)).add_rewards]
    missing = [(v, b) for v in chosen for b in rewarded if not ctx.store.batch_numbers(_rewarded_unit(ctx, v, b.name))]
    if not missing:
        return
    from synthetic_instruction_tuner.preference.reward.model import open_reward_model

    config = ctx.config
    ctx.opens(config.models.reward, reader_format(config, ctx.hardware))
    with (
        open_reward_model(config.models.reward, config.prefer, config.engine, ctx.hardware) as reward,
        ctx.display.task("scoring the answers", len(missing), "variants") as advance,
    ):
        for variant, found in missing:
            assert found.add_rewards
            answered = _read(ctx, unit_of(ctx, variant, found.name))
            result = found.add_rewards(answered, reward)
            unit = _rewarded_unit(ctx, variant, found.name)
            ctx.commit(unit, 0, [result.to_json() | {"seconds": answered.seconds}])
            advance(1)


def _judge(ctx: Context, chosen: list[Variant], results: dict[tuple[str, str], list[BenchmarkResult]]) -> None:
    """Puts the judge's ratings into the results."""
    place = usable(ctx.config.evaluate).index(MT_BENCH)
    answered = [
        Answered(v.student.name, v.name, unit_of(ctx, v, MT_BENCH), results[v.student.name, v.name][place])
        for v in chosen
    ]
    for key, rated in judge_answers(ctx, answered).items():
        results[key][place] = rated


def _result(ctx: Context, variant: Variant, name: str) -> BenchmarkResult:
    rewarded = benchmark(name).add_rewards is not None
    return _read(ctx, (_rewarded_unit if rewarded else unit_of)(ctx, variant, name))


def _read(ctx: Context, unit: str) -> BenchmarkResult:
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

    row = dict(next(ctx.store.rows(unit)))
    return BenchmarkResult.from_json(row, seconds=row.pop("seconds"))


def so_far(config: Config, folder: RunFolder, store: Store, key: str) -> Amount:
    """Returns how many answers there are, variant by variant."""
    chosen, names = variants(config, folder), usable(config.evaluate)
    keys = {m.name: state.key for m in METHODS if (state := store.stage(m.name))}
    compute, _ = choose_dtype(detect(config.engine.device), config.engine.dtype)
    n = of = 0
    for variant in chosen:
        held = NumberFormat(trained_on(store, keys, variant.student) or compute, compute, "")
        for name in names:
            asked = benchmark_work(name, config.evaluate).asked(variant.name == BASE)
            of += asked
            if variant.adapter is None or variant.adapter.is_dir():
                unit = answers_unit(config, variant, name, held)
                n += asked if store.batch_numbers(unit) else min(kept_count(store, unit), asked)
    return Amount(n, of, "answers")


def _rewarded_unit(ctx: Context, variant: Variant, name: str) -> str:
    config = ctx.config
    held = precision_key(reader_format(config, ctx.hardware))
    reward = fingerprint(identity(config.models.reward), reward_settings(config.prefer), *held)
    return f"{unit_of(ctx, variant, name)}:rewarded:{reward}"


def _write(ctx: Context, variant: Variant, results: list[BenchmarkResult]) -> None:
    data = {
        "model": variant.student.name,
        "variant": variant.name,
        "benchmarks": [result.to_json() for result in results],
    }
    write_text(ctx.folder.results / f"{variant.label}.json", json.dumps(data, indent=1, ensure_ascii=False) + "\n")


STAGE = Stage(
    "evaluate",
    "Evaluate: base and tuned models on the same items",
    ("filter", *(method.name for method in METHODS)),
    part,
    outputs,
    run,
    version=VERSION,
    units=("items", "variants"),
    joint="x",
    so_far=so_far,
)
