"""Which stages a run with the user's own data does not need, and which of them read files instead of asking models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.config.sections.data import KINDS, Kind
from synthetic_instruction_tuner.data_files.hub_rows import is_hub_name
from synthetic_instruction_tuner.data_files.own_data.sources import (
    Stamp,
    path_of,
    prompt_rows,
    require_all,
    source_fault,
    stamp_of,
)
from synthetic_instruction_tuner.data_files.reading import count_rows, file_name
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.methods import METHODS

STAGE_OF: dict[Kind, str] = {"records": "generate", "prompts": "generate", "pairs": "prefer"}
COUNTED = 20_000_000  # bytes of a file whose rows are counted for the plan
ROW = 1000  # bytes of a row, where they are not
UNKNOWN_ROWS = 1000  # of a data set of the Hub
READ_PER_SECOND = 1500  # rows, with storing and exporting them


def skip_reasons(config: Config) -> dict[str, str]:
    """Returns the stages that this run does not need, each with the reason; some of them read files instead."""
    data = config.data
    found: dict[str, str] = {}
    if not data.has_records:
        why = f"skipped: {named(data.pairs)} has the pairs, so the run starts at DPO"
        found |= dict.fromkeys(("generate", "filter", *(m.name for m in METHODS if m.trains_on == "records")), why)
    elif data.records and not (data.magpie or data.prompts):
        found["generate"] = f"skipped: records are read from {named(data.records)}"
    if data.pairs:
        found["prefer"] = f"skipped: pairs are read from {named(data.pairs)}"
    return found


def reads(config: Config, stage: str) -> bool:
    """Returns whether a stage reads files of the user's own."""
    return any(STAGE_OF[kind] == stage and config.data.files(kind) for kind in KINDS)


def reading_seconds(config: Config, stage: str) -> float:
    """Returns what a stage takes, roughly, that reads files and does nothing else."""
    rows = sum(expected_rows(config, kind) for kind in KINDS if STAGE_OF[kind] == stage)
    return rows / READ_PER_SECOND


def without_models(config: Config) -> set[str]:
    """Returns the stages before the training that load no model because of the user's own data."""
    data = config.data
    found = {"generate"} if not (data.magpie or data.prompts) else set()
    found |= {"prefer"} if data.pairs else set()
    return found if data.has_records else found | {"filter"}


def named(files: Sequence[str]) -> str:
    """Returns files in words: a.jsonl, or a.jsonl and 2 more."""
    first = file_name(path_of(files[0]))
    return f"{first} and {len(files) - 1} more" if len(files) > 1 else first


def data_faults(config: Config) -> list[UserError]:
    """Returns what is wrong with the user's own files, each as far as its first usable row."""
    wanted = [(kind, name) for kind in KINDS for name in config.data.files(kind)]
    return [fault for kind, name in wanted if (fault := source_fault(kind, name))]


def require_pairs(config: Config, stages: Sequence[str]) -> None:
    """Reads the user's pairs, and data sets of the Hub, before long work begins: they are needed only after it.

    Raises:
        UserError: one cannot be read.
    """
    for kind in KINDS:
        for name in config.data.files(kind):
            if STAGE_OF[kind] in stages and (kind == "pairs" or is_hub_name(Path(name))):
                require_all(kind, name)


def expected_rows(config: Config, kind: Kind) -> int:
    """Returns how many rows of this kind a run will read, roughly where a file is large."""
    found = sum(_rows(name) for name in config.data.files(kind))
    return min(found, config.data.count) if config.data.count else found


def _rows(name: str) -> int:
    path = path_of(name)
    if is_hub_name(path):
        return UNKNOWN_ROWS
    stamp = stamp_of(path)
    return _counted(path, stamp) if stamp else 0


@lru_cache(maxsize=256)
def _counted(path: Path, _stamp: Stamp) -> int:
    size = path.stat().st_size
    if path.suffix.lower() == ".parquet" or size > COUNTED:
        return count_rows([path]) or round(size / ROW)
    try:
        return sum(1 for _ in prompt_rows(path))
    except UserError:
        return 0
