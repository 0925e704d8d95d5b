"""Stage generate: Magpie pairs, committed batch by batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config import Config
from ..folder import RunFolder
from ..modelfiles import identity
from ..recordfiles import export_rows
from .context import Context, Outcome, Stage


def part(config: Config) -> dict[str, Any]:
    """Returns what the generated pairs depend on."""
    return {
        "generate": config.generate.model_dump(mode="json"),
        "model": identity(config.models.generator),
        "seed": config.seed,
        "engine": config.engine.model_dump(mode="json"),
    }


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the exported files."""
    return [folder.raw, folder.raw.with_suffix(".parquet")]


def run(ctx: Context) -> Outcome:
    """Writes the instructions and their responses."""
    unit, settings = ctx.unit(), ctx.config.generate
    ranges = list(enumerate(_batches(settings.count, settings.batch)))
    have = ctx.store.batch_numbers(unit)
    missing = [(number, numbers) for number, numbers in ranges if number not in have]
    if missing:
        _generate(ctx, unit, missing)
    rows = list(ctx.store.rows(unit))
    export_rows(rows, ctx.folder.raw)
    empty = sum(not row["instruction"] or not row["response"] for row in rows)
    return Outcome(ctx.store.unit_digest(unit), None, len(rows), f"{empty} empty" if empty else "")


def _batches(count: int, size: int) -> list[range]:
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def _generate(ctx: Context, unit: str, missing: list[tuple[int, range]]) -> None:
    from ..data_generation.magpie_generator import MagpieGenerator

    done = ctx.store.row_count(unit)
    model, config = ctx.config.models.generator, ctx.config
    with (
        ctx.engine(model) as (engine, template),
        ctx.display.task(f"writing with {model.name}", 2 * config.generate.count, "texts", 2 * done) as advance,
    ):
        generator = MagpieGenerator(config.generate, template, engine, seed=config.seed, model_name=model.name)
        for number, numbers in missing:
            records = generator.generate(numbers, done=advance)
            ctx.commit(unit, number, [record.to_json() for record in records])


STAGE = Stage("generate", "Generate: a chat model writes instructions and answers", (), part, outputs, run, 2)
