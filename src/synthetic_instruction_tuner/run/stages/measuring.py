"""What every rule of the filter measured on every record, kept in a store, so that nothing is measured twice.

A rule's measurements are a unit named by what they depend on: the rule's version and settings, and the records. A
changed limit finds them all; a changed rule measures again, and the others do not. Rules that ask a model commit batch
by batch, so that an interruption costs one batch. A batch with a request that the engine gave up is not kept: the next
run asks again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from synthetic_instruction_tuner.config import Config, fingerprint
from synthetic_instruction_tuner.engines.failed_requests import failure_note
from synthetic_instruction_tuner.filtering.quality_filter import Measured
from synthetic_instruction_tuner.filtering.rule import Rule, TextRule
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.preference.reward.input import reward_settings
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.store import Store

BATCH = 4096  # records; of rules that need no model
REWARD_BATCHES = 4  # as many times prefer.batch answers are scored between commits
Commit = Callable[[str, int, list[dict[str, Any]]], None]


def measure(
    rules: Sequence[Rule],
    records: Sequence[Record],
    digest: str,
    store: Store,
    commit: Commit,
    config: Config,
    hardware: Hardware,
    display: Display,
) -> Measured:
    """Returns by rule what it measured on each record, measuring what the store lacks.

    Args:
        rules: the rules.
        records: the records.
        digest: a hash of the records.
        store: where measurements are kept.
        commit: commits a batch to the store.
        config: the models that rules ask, and how they run.
        hardware: where they run.
        display: shows progress.
    """
    measured = {}
    for rule in rules:
        extra = reward_settings(config.prefer) if rule.name == "reward" else None
        unit = f"filter:measured:{rule.name}:{fingerprint(rule.name, rule.version, rule.basis(), digest, extra)}"
        size = _batch_size(rule, config)
        batches = list(enumerate(records[i : i + size] for i in range(0, len(records), size)))
        found = _stored(store, unit)
        missing = [(number, batch) for number, batch in batches if number not in found]
        for number, values in _measured(rule, missing, config, hardware, display) if missing else ():
            found[number] = values
            if not any(map(_error, values)):
                commit(unit, number, [{"measured": values}])
        measured[rule.name] = [value for number, _ in batches for value in found[number]]
    return measured


def gave_up(measured: Measured) -> str:
    """Returns how often the engine of a rule's model gave a request up, and why; empty where it never did."""
    errors = Counter(error for values in measured.values() for value in values if (error := _error(value)))
    return failure_note(errors, "requests for tags")


def _stored(store: Store, unit: str) -> dict[int, list[Any]]:
    """What was measured before, by batch."""
    numbers = sorted(store.batch_numbers(unit))
    return {number: row["measured"] for number, row in zip(numbers, store.rows(unit), strict=True)}


def _error(value: Any) -> str:
    return str(value.get("error", "")) if isinstance(value, dict) else ""


def _batch_size(rule: Rule, config: Config) -> int:
    if isinstance(rule, TextRule):
        return BATCH
    return config.filter.tags.batch if rule.name == "tags" else REWARD_BATCHES * config.prefer.batch


def _measured(
    rule: Rule, batches: list[tuple[int, Sequence[Record]]], config: Config, hardware: Hardware, display: Display
) -> Iterator[tuple[int, list[Any]]]:
    count = sum(len(batch) for _, batch in batches)
    with display.task(f"judging: {rule.name.replace('_', ' ')}", count, "records") as advance:
        if isinstance(rule, TextRule):
            for number, batch in batches:
                yield number, [rule.measure(record) for record in batch]
                advance(len(batch))
        elif rule.name == "tags":
            yield from _tags(batches, config, hardware, advance)
        else:
            yield from _rewards(batches, config, hardware, advance)


def _tags(
    batches: list[tuple[int, Sequence[Record]]], config: Config, hardware: Hardware, advance: Any
) -> Iterator[tuple[int, list[Any]]]:
    from synthetic_instruction_tuner.engines.opening import open_engine
    from synthetic_instruction_tuner.filtering.rules.tagging import Tagger

    tags = config.filter.tags
    assert tags.model
    with open_engine(tags.model, config.engine, hardware) as (engine, template):
        tagger = Tagger(template, engine, tags.max_new_tokens)
        for number, batch in batches:
            yield number, list(tagger.tag(batch, advance))


def _rewards(
    batches: list[tuple[int, Sequence[Record]]], config: Config, hardware: Hardware, advance: Any
) -> Iterator[tuple[int, list[Any]]]:
    from synthetic_instruction_tuner.preference.reward.model import open_reward_model

    with open_reward_model(config.models.reward, config.prefer, config.engine, hardware) as reward:
        for number, batch in batches:
            scores = reward.score([(record.prompt_messages(), record.response) for record in batch], done=advance)
            yield number, [score if math.isfinite(score) else None for score in scores]
