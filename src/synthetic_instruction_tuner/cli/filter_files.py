"""``sit filter FILES -o DIR``: the rules on the user's own files, with progress, benchmarks and models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.data_files.atomic_writing import write_error
from synthetic_instruction_tuner.evaluation.benchmarks.sources import fetch
from synthetic_instruction_tuner.filtering.files import check_places, filter_files
from synthetic_instruction_tuner.filtering.quality_filter import Measured, QualityFilter
from synthetic_instruction_tuner.filtering.report import FilterReport
from synthetic_instruction_tuner.filtering.rule import TextRule
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.preference.reward.input import reward_settings
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.stages.judging import benchmark_sets
from synthetic_instruction_tuner.run.stages.measuring import gave_up, measure
from synthetic_instruction_tuner.run.store import Store

MEASURED = ".measured.sqlite"  # what models said, so that an interrupted call goes on and a changed limit asks none


def filter_own_files(config: Config, files: Sequence[Path], output: Path, *, quiet: bool) -> FilterReport:
    """Filters the user's files into a folder and returns the report."""
    check_places(files, output)
    with Display(quiet=quiet) as display:
        fetch(config.filter.contamination, display.say)
        display.say(f"Judging {', '.join(map(str, files))}")

        def ask(quality: QualityFilter, records: Sequence[Record]) -> Measured:
            return _ask_models(quality, records, config, output, display)

        with display.task("judging", 0, "records") as advance:
            return filter_files(
                files,
                output,
                config.filter,
                lambda _: advance(1),
                benchmark_sets(config),
                reward=config.models.reward,
                measure=ask,
                scoring=reward_settings(config.prefer),
            )


def _ask_models(
    quality: QualityFilter, records: Sequence[Record], config: Config, output: Path, display: Display
) -> Measured:
    """What the models say whose word some rules need; kept in the output's folder."""
    asking = [rule for rule in quality.rules if not isinstance(rule, TextRule)]
    if not asking:
        return {}
    whole = hashlib.sha256()
    for record in records:
        whole.update(json.dumps(record.to_json(), sort_keys=True).encode())
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(output, error) from error
    store = Store.open(output / MEASURED)

    def commit(unit: str, number: int, rows: list[dict[str, Any]]) -> None:
        store.commit_batch(unit, number, rows)

    try:
        hardware = detect(config.engine.device)
        measured = measure(asking, records, whole.hexdigest(), store, commit, config, hardware, display)
        if failed := gave_up(measured):
            display.say(f"Some records have no tags: {failed}. The same call asks for them again.")
        return measured
    finally:
        store.close()
