"""Stage evaluate: every variant of every student on the same items, then the comparison table.

A variant's answers to a benchmark are a unit of their own, named by what they depend on, so that a new DPO run does not
answer for the base model again. Rewards come last: the reward model is loaded once, after the students are gone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config, ModelConfig, fingerprint
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.preference.reward.input import reward_settings
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.stages import prompt_tuning, training
from synthetic_instruction_tuner.run.stages.stage import Context, Outcome, Stage

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

NEEDS_REWARD = "nano_mt"


@dataclass(frozen=True, slots=True)
class Variant:
    """One thing that is measured: a student with or without an adapter."""

    student: ModelConfig
    name: str
    adapter: Path | None

    @property
    def label(self) -> str:
        """Its name in files and progress lines."""
        return f"{self.student.name}-{self.name}"


def part(config: Config) -> dict[str, Any]:
    """Returns what the results depend on, beside the adapters."""
    return {
        "evaluate": config.evaluate.model_dump(mode="json"),
        "students": [identity(m) for m in config.models.students],
        "reward": identity(config.models.reward) | reward_settings(config.prefer),
        "engine": config.engine.key_part(),
    }


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the results' files and the comparison table."""
    return [folder.comparison, *(folder.results / f"{v.label}.json" for v in variants(config, folder))]


def variants(config: Config, folder: RunFolder) -> list[Variant]:
    """Returns everything that is measured, student by student."""
    tuned = {m.name for m in prompt_tuning.students(config)}
    found = []
    for student in config.models.students:
        names = ["base", *(["prompt_tuning"] if student.name in tuned else []), "sft", "dpo"]
        for name in names:
            adapter = None if name == "base" else training.adapter_folder(folder, name, student.name)
            found.append(Variant(student, name, adapter))
    return found


def run(ctx: Context) -> Outcome:
    """Measures the variants and compares them."""
    from synthetic_instruction_tuner.evaluation import comparison
    from synthetic_instruction_tuner.evaluation.evaluator import Evaluator

    chosen = variants(ctx.config, ctx.folder)
    names = ctx.config.evaluate.benchmarks
    with ctx.display.task("evaluating", len(chosen) * len(names), "benchmarks") as advance:
        for variant in chosen:
            _answer(ctx, variant, advance)
    _reward(ctx, chosen)
    results = {(v.student.name, v.name): [_result(ctx, v, name) for name in names] for v in chosen}
    for variant in chosen:
        _write(ctx, variant, results[variant.student.name, variant.name])
    rows = comparison.compare(results)
    comparison.write_csv(rows, ctx.folder.comparison)
    instructions = [record.instruction for record in training.filtered_records(ctx)]
    ctx.store.set_fact("contamination", Evaluator(ctx.config.evaluate).contamination(instructions))
    items = sum(len(result.items) for result in results[chosen[0].student.name, "base"])
    return Outcome(fingerprint(comparison.csv_text(rows)), items, len(chosen), f"{len(rows)} comparisons")


def _answer(ctx: Context, variant: Variant, advance: Any) -> None:
    from synthetic_instruction_tuner.evaluation.evaluator import Evaluator

    names = ctx.config.evaluate.benchmarks
    missing = [name for name in names if not ctx.store.batch_numbers(_unit(ctx, variant, name))]
    advance(len(names) - len(missing))
    if not missing:
        return
    evaluator = Evaluator(ctx.config.evaluate)
    with ctx.engine(variant.student, variant.adapter, student=True) as (engine, template):
        for name in missing:
            result = evaluator.evaluate(name, engine, template, template.tokenizer)
            ctx.commit(_unit(ctx, variant, name), 0, [result.to_json() | {"seconds": result.seconds}])
            advance(1, f"{variant.label} {name}")


def _reward(ctx: Context, chosen: list[Variant]) -> None:
    """Lets the reward model score the conversations of all variants that have none yet."""
    if NEEDS_REWARD not in ctx.config.evaluate.benchmarks:
        return
    missing = [v for v in chosen if not ctx.store.batch_numbers(_rewarded_unit(ctx, v))]
    if not missing:
        return
    from synthetic_instruction_tuner.evaluation.benchmarks import nano_mt
    from synthetic_instruction_tuner.preference.reward.model import open_reward_model

    config = ctx.config
    with (
        open_reward_model(config.models.reward, config.prefer, config.engine, ctx.hardware) as reward,
        ctx.display.task("scoring the conversations", len(missing), "variants") as advance,
    ):
        for variant in missing:
            answered = _read(ctx, _unit(ctx, variant, NEEDS_REWARD))
            result = nano_mt.add_rewards(answered, reward)
            ctx.commit(_rewarded_unit(ctx, variant), 0, [result.to_json() | {"seconds": answered.seconds}])
            advance(1)


def _result(ctx: Context, variant: Variant, benchmark: str) -> BenchmarkResult:
    unit = _rewarded_unit(ctx, variant) if benchmark == NEEDS_REWARD else _unit(ctx, variant, benchmark)
    return _read(ctx, unit)


def _read(ctx: Context, unit: str) -> BenchmarkResult:
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

    row = dict(next(ctx.store.rows(unit)))
    return BenchmarkResult.from_json(row, seconds=row.pop("seconds"))


def _unit(ctx: Context, variant: Variant, benchmark: str) -> str:
    settings = ctx.config.evaluate.model_dump(mode="json")
    relevant = {"max_new_tokens": settings["max_new_tokens"]}
    relevant |= {k: v for k, v in settings.items() if k.startswith(benchmark.removeprefix("nano_") + "_")}
    adapter = training.adapter_digest(variant.adapter) if variant.adapter else None
    key = fingerprint(
        STAGE.version,
        benchmark,
        relevant,
        identity(variant.student),
        adapter,
        ctx.config.engine.key_part(),
    )
    return f"evaluate:{variant.label}:{benchmark}:{key}"


def _rewarded_unit(ctx: Context, variant: Variant) -> str:
    reward = fingerprint(identity(ctx.config.models.reward), reward_settings(ctx.config.prefer))
    return f"{_unit(ctx, variant, NEEDS_REWARD)}:rewarded:{reward}"


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
    ("filter", "sft", "prompt_tuning", "dpo"),
    part,
    outputs,
    run,
)
