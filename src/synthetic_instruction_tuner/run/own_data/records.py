"""The user's own records and instructions in stage generate: read batch by batch, and answered where they must be.

They come before Magpie's records in the stage's output: their batches have negative numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config, fingerprint
from synthetic_instruction_tuner.config.sections.data import Kind
from synthetic_instruction_tuner.data_files.own_data.sources import (
    read_own_records,
    read_prompts,
)
from synthetic_instruction_tuner.data_files.reading import Malformed
from synthetic_instruction_tuner.data_generation.magpie_generator import failures, model_revision
from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.own_data.needs import expected_rows
from synthetic_instruction_tuner.run.own_data.reading import Read, contents, read_files, write_malformed
from synthetic_instruction_tuner.run.stages.stage import Context

if TYPE_CHECKING:
    from synthetic_instruction_tuner.data_generation.prompt_answers import PromptAnswers

RECORDS, PROMPTS = -2_000_000_000, -1_000_000_000  # the numbers of the first batches
PORTION = 1000  # records committed at once


def part(config: Config) -> dict[str, Any]:
    """Returns what the records depend on: the files' content."""
    return contents(config, ("records", "prompts"))


def answers_part(config: Config) -> dict[str, Any]:
    """Returns what an answer to an instruction depends on, besides the instruction."""
    generate = config.generate
    return {
        "model": identity(config.models.generator),
        "seed": config.seed,
        "engine": config.engine.key_part(),
        "response": generate.response.model_dump(mode="json"),
        "thinking": generate.thinking,
        "batch": generate.batch,
    }


def bring(ctx: Context, unit: str) -> Read:
    """Puts the user's records into the unit, answered by the generator where they are instructions alone."""
    data, read = ctx.config.data, Read()
    taken = {f"raw-{number:06d}" for number in range(ctx.config.generate.count)} if data.mix else set()
    if data.records:
        total = expected_rows(ctx.config, "records")
        with ctx.display.task("reading", total, "records") as advance:
            _commit(ctx, unit, RECORDS, _records(ctx.config, "records", read, taken), PORTION, _as_they_are, advance)
    if data.prompts:
        _answer(ctx, unit, read, taken)
    write_malformed(ctx.folder.raw.parent / "malformed.jsonl", read.malformed)
    return read


def _answer(ctx: Context, unit: str, read: Read, taken: set[str]) -> None:
    """Has the instructions answered. All are read once before, so that a bad row comes to light at the beginning."""
    total = sum(1 for _ in _records(ctx.config, "prompts", Read(), set(taken)))
    with ExitStack() as stack:
        answering = _Answering(ctx, unit, stack, total)
        batches = _records(ctx.config, "prompts", read, taken)
        _commit(ctx, unit, PROMPTS, batches, ctx.config.generate.batch, answering, lambda n: None)


class _Answering:
    """Answers batches of instructions. The generator is loaded when the first has to be asked.

    An instruction that an earlier file had, too, under the same id and the same settings, keeps its answer.
    """

    def __init__(self, ctx: Context, unit: str, stack: ExitStack, total: int) -> None:
        self.ctx, self.stack, self.total, self.done = ctx, stack, total, 0
        self.answers: PromptAnswers | None = None
        name = f"prompt_units:{fingerprint(answers_part(ctx.config))}"
        units: list[str] = ctx.store.fact(name) or []
        if unit not in units:
            ctx.store.set_fact(name, [*units, unit])
        self.earlier = {_key(row): row for other in units if other != unit for row in _answered_rows(ctx, other)}

    def __call__(self, batch: Sequence[Record]) -> list[Record]:
        known = {record.id: row for record in batch if (row := self.earlier.get(_key(record.to_json())))}
        asked = [record for record in batch if record.id not in known]
        answered = {record.id: record for record in (self._ask(asked) if asked else [])}
        self.done += len(known)
        return [answered.get(record.id) or _as_before(record, known[record.id]) for record in batch]

    def skip(self, n: int) -> None:
        """Counts what was answered before."""
        self.done += n

    def _ask(self, records: Sequence[Record]) -> list[Record]:
        answers = self.answers = self.answers or self._open()
        found = answers.answer(records, self.advance)
        if len(found) > 1 and all(failures(record.provenance) for record in found):
            why = failures(found[0].provenance)[0]
            fix = "Change the settings or the server accordingly, then run the same command again to continue."
            raise RunError(f"The engine failed on all {len(found)} requests.", why, fix)
        return found

    def _open(self) -> PromptAnswers:
        from synthetic_instruction_tuner.data_generation.prompt_answers import PromptAnswers

        config, model = self.ctx.config, self.ctx.config.models.generator
        engine, template = self.stack.enter_context(self.ctx.engine(model))
        task = self.ctx.display.task(f"answering with {model.name}", self.total, "answers", self.done)
        self.advance = self.stack.enter_context(task)
        return PromptAnswers(
            config.generate,
            template,
            engine,
            seed=config.seed,
            model_name=model.name,
            revision=model_revision(model),
            engine_facts=self.ctx.engine_facts(model),
        )


def _commit(
    ctx: Context,
    unit: str,
    first: int,
    records: Iterator[Record],
    size: int,
    make: Callable[[Sequence[Record]], Sequence[Record]],
    advance: Callable[[int], None],
) -> None:
    """Commits the records in batches, those that the store has not got yet."""
    have = ctx.store.batch_numbers(unit)
    number = first
    while batch := list(islice(records, size)):
        if number not in have:
            ctx.commit(unit, number, [record.to_json() for record in make(batch)])
        elif isinstance(make, _Answering):
            make.skip(len(batch))
        advance(len(batch))
        number += 1


def _records(config: Config, kind: Kind, read: Read, taken: set[str]) -> Iterator[Record]:
    def reader(name: str, malformed: list[Malformed]) -> Iterator[Record]:
        if kind == "prompts":
            return read_prompts(name, malformed, taken)
        return read_own_records(name, malformed, taken, config.data.keep_thoughts)

    return read_files(config, kind, read, reader)


def _as_they_are(batch: Sequence[Record]) -> Sequence[Record]:
    return batch


def _answered_rows(ctx: Context, unit: str) -> Iterator[dict[str, Any]]:
    for number in sorted(ctx.store.batch_numbers(unit)):
        if PROMPTS <= number < 0:
            rows = ctx.store.batch_rows(unit, number)
            yield from (row for row in rows if not failures(row["provenance"]))


def _key(row: dict[str, Any]) -> str:
    return fingerprint(row["id"], row["system"], row["history"], row["instruction"])


def _as_before(record: Record, row: dict[str, Any]) -> Record:
    """The record with the answer that it got before; where it is from may have changed."""
    earlier = {name: value for name, value in row["provenance"].items() if name not in ("source", "fields")}
    return replace(
        record,
        response=row["response"],
        thinking=row["thinking"],
        provenance=record.provenance | earlier,
    )
