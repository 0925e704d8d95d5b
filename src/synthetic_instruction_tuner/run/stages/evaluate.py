"""Stage evaluate: every variant of every student on the same items, then the comparison table.

A variant's answers to a benchmark are a unit of their own, named by what they depend on, so that a new DPO run does not
answer for the base model again. Rewards come last: the reward model is loaded once, after the students are closed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config, ModelConfig, fingerprint, tuned_students
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.evaluation.benchmarks.at_hand import data_keys, usable
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.methods import BASE, METHODS
from synthetic_instruction_tuner.models.adapters import adapter_digest
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.models.hardware import choose_dtype, detect
from synthetic_instruction_tuner.preference.reward.input import reward_settings
from synthetic_instruction_tuner.records import PreferencePair
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.number_formats import reader_format, trained_on
from synthetic_instruction_tuner.run.planning import evaluation_step
from synthetic_instruction_tuner.run.progress import Advance
from synthetic_instruction_tuner.run.seen_items import clean_scores, seen_items
from synthetic_instruction_tuner.run.stages import training
from synthetic_instruction_tuner.run.stages.judging import Answered, judge_answers, judging_part
from synthetic_instruction_tuner.run.stages.stage import Amount, Context, Outcome, Stage
from synthetic_instruction_tuner.run.store import Store
from synthetic_instruction_tuner.run.store.kept_answers import KeptAnswers

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

MT_BENCH = "mt_bench"  # its answers are rated by a judge
COMPARISON = "comparison"  # the unit that holds the comparison's rows
STATISTICS = 2  # raised when intervals, tests or the check of training data change: answers and scores stay


@dataclass(frozen=True, slots=True)
class Variant:
    """What is evaluated: a student with or without an adapter."""

    student: ModelConfig
    name: str
    adapter: Path | None

    @property
    def label(self) -> str:
        """Its name in files and progress lines."""
        return f"{self.student.name}-{self.name}"


def part(config: Config) -> dict[str, Any]:
    """Returns what the results depend on, beside the adapters."""
    data = data_keys(config.evaluate)
    return {
        "evaluate": config.evaluate.key_part(),
        "students": [identity(m) for m in config.models.students],
        "reward": identity(config.models.reward) | reward_settings(config.prefer),
        "engine": config.engine.key_part(),
        "statistics": STATISTICS,
        **({"benchmarks": data} if data else {}),
        **judging_part(config),
    }


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the results' files and the comparison table."""
    return [folder.comparison, *(folder.results / f"{v.label}.json" for v in variants(config, folder))]


def variants(config: Config, folder: RunFolder) -> list[Variant]:
    """Returns everything that is evaluated, student by student, in the order of `methods.VARIANTS`."""
    found = []
    for student in config.models.students:
        found.append(Variant(student, BASE, None))
        for method in METHODS:
            if student in tuned_students(config, method):
                found.append(Variant(student, method.name, folder.adapter(method.name, student.name)))
    return found


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
    missing = {v.label: [n for n in names if not ctx.store.batch_numbers(_unit(ctx, v, n))] for v in chosen}
    steps = [evaluation_step(v.student.name, v.name, name) for v in chosen for name in missing[v.label]]
    total = len(chosen) * len(names)
    with ctx.display.task("evaluating", total, "benchmarks", total - len(steps), steps) as advance:
        for variant in chosen:
            _answer(ctx, variant, missing[variant.label], advance)
    _reward(ctx, chosen)
    results = {(v.student.name, v.name): [_result(ctx, v, name) for name in names] for v in chosen}
    if MT_BENCH in names:
        _judge(ctx, chosen, results)
    for variant in chosen:
        _write(ctx, variant, results[variant.student.name, variant.name])
    rows = comparison.compare(results)
    store_rows(ctx, rows)
    comparison.write_csv([*rows, *finished_rows(ctx)], ctx.folder.comparison)
    unit = ctx.input_unit("prefer") if "prefer" in ctx.keys else ""
    pairs = [PreferencePair.from_json(row) for row in ctx.store.rows(unit)]
    seen = seen_items(ctx.config, training.filtered_records(ctx), pairs)
    ctx.store.set_fact("contamination", clean_scores(results, seen))
    items = sum(len(result.items) for result in results[chosen[0].student.name, BASE])
    return Outcome(fingerprint(comparison.csv_text(rows)), items, len(chosen), f"{len(rows)} scores")


def store_rows(ctx: Context, rows: Sequence[ComparisonRow]) -> None:
    """Commits the comparison in place of another one under this key: damaged answers may have been given anew."""
    unit, payload = ctx.unit(COMPARISON), [row.to_json() for row in rows]
    if list(ctx.store.rows(unit)) != payload:
        ctx.store.drop_unit(unit)
        ctx.commit(unit, 0, payload)


def _answer(ctx: Context, variant: Variant, missing: Sequence[str], advance: Advance) -> None:
    from synthetic_instruction_tuner.evaluation.evaluator import Evaluator

    if not missing:
        return
    evaluator = Evaluator(ctx.config.evaluate)
    with ctx.engine(variant.student, variant.adapter, student=True) as (engine, template):
        for name in missing:
            kept = KeptAnswers(ctx.store, _unit(ctx, variant, name)) if benchmark(name).data_key else None
            result = evaluator.evaluate(
                name, engine, template, template.tokenizer, untuned=variant.name == BASE, memory=kept
            )
            ctx.commit(_unit(ctx, variant, name), 0, [result.to_json() | {"seconds": result.seconds}])
            if kept is not None:
                kept.forget()
            advance(1, f"{variant.label} {name} is done")


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
            answered = _read(ctx, _unit(ctx, variant, found.name))
            result = found.add_rewards(answered, reward)
            unit = _rewarded_unit(ctx, variant, found.name)
            ctx.commit(unit, 0, [result.to_json() | {"seconds": answered.seconds}])
            advance(1)


def _judge(ctx: Context, chosen: list[Variant], results: dict[tuple[str, str], list[BenchmarkResult]]) -> None:
    """Puts the judge's ratings into the results."""
    place = usable(ctx.config.evaluate).index(MT_BENCH)
    answered = [
        Answered(v.student.name, v.name, _unit(ctx, v, MT_BENCH), results[v.student.name, v.name][place])
        for v in chosen
    ]
    for key, rated in judge_answers(ctx, answered).items():
        results[key][place] = rated


def _result(ctx: Context, variant: Variant, name: str) -> BenchmarkResult:
    rewarded = benchmark(name).add_rewards is not None
    return _read(ctx, (_rewarded_unit if rewarded else _unit)(ctx, variant, name))


def _read(ctx: Context, unit: str) -> BenchmarkResult:
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

    row = dict(next(ctx.store.rows(unit)))
    return BenchmarkResult.from_json(row, seconds=row.pop("seconds"))


def so_far(config: Config, folder: RunFolder, store: Store, key: str) -> Amount:
    """Returns how many benchmarks are answered, variant by variant."""
    there = [v for v in variants(config, folder) if v.adapter is None or v.adapter.is_dir()]
    names = usable(config.evaluate)
    keys = {m.name: state.key for m in METHODS if (state := store.stage(m.name))}
    held = {v.student.name: trained_on(store, keys, v.student) or "" for v in there}
    units = (_answers_unit(config, v, name, held[v.student.name]) for v in there for name in names)
    answered = sum(bool(store.batch_numbers(unit)) for unit in units)
    return Amount(answered, len(variants(config, folder)) * len(names), "benchmarks")


def _unit(ctx: Context, variant: Variant, name: str) -> str:
    held = ctx.number_format(variant.student, student=True)
    return _answers_unit(ctx.config, variant, name, held.weights if held.quantized else "")


def _answers_unit(config: Config, variant: Variant, name: str, quantized: str) -> str:
    """Names a variant's answers to a benchmark by all that they depend on, the benchmark's own settings among it.

    Args:
        config: the run's settings.
        variant: who answers.
        name: the benchmark.
        quantized: how its weights are held, such as ``nf4``; "" where they are not quantized.
    """
    adapter = adapter_digest(variant.adapter, variant.student) if variant.adapter else None
    files = _files_key(config, name)
    key = fingerprint(
        STAGE.version,
        name,
        config.evaluate.settings(name).answers_part(),
        identity(variant.student),
        adapter,
        config.engine.key_part(),
        *((quantized,) if quantized else ()),
        *files,
    )
    return f"evaluate:{variant.label}:{name}:{key}"


def _files_key(config: Config, name: str) -> list[str]:
    """Returns what answers to a public benchmark depend on besides: its files, and the precision of this machine.

    The benchmarks of the nano world have no files, and their keys stay what they were.
    """
    data_key = benchmark(name).data_key
    if data_key is None:
        return []
    dtype, _ = choose_dtype(detect(config.engine.device), config.engine.dtype)
    return [data_key(config.evaluate.settings(name)), dtype]


def _rewarded_unit(ctx: Context, variant: Variant, name: str) -> str:
    reward = fingerprint(identity(ctx.config.models.reward), reward_settings(ctx.config.prefer))
    return f"{_unit(ctx, variant, name)}:rewarded:{reward}"


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
    units=("items", "variants"),
    joint="x",
    so_far=so_far,
)
