"""Stage generate: Magpie pairs, committed batch by batch.

Which records a batch holds depends only on the settings, the seed and the batches before it. With
`generate.until_kept` the filter's rules check every batch as soon as it is written, and decide what the next one holds.
Batches written under settings that do not change their texts (another count, other rules) are reused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config, fingerprint
from synthetic_instruction_tuner.data_files.exports import export_rows
from synthetic_instruction_tuner.data_generation.faults import ENOUGH_PROBES, PROBES, examine
from synthetic_instruction_tuner.data_generation.magpie_generator import failures, model_revision
from synthetic_instruction_tuner.data_generation.plan import Place, batches
from synthetic_instruction_tuner.data_generation.target import Target
from synthetic_instruction_tuner.engines.base import failure_note, most_frequent
from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.models.files import identity
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.own_data import records as own
from synthetic_instruction_tuner.run.stages import filter_inputs
from synthetic_instruction_tuner.run.stages.stage import Amount, Context, Outcome, Stage
from synthetic_instruction_tuner.run.store import Row, Store

if TYPE_CHECKING:
    from synthetic_instruction_tuner.data_generation.magpie_generator import Examine, MagpieGenerator

_Batch = tuple[int, range, list[Place] | None]  # batch number, record numbers, and their places if a target chose them
_GOAL = {"count", "until_kept", "exhausted_below", "patience", "min_healthy"}  # when to stop, not what to write


def part(config: Config) -> dict[str, Any]:
    """Returns what the records depend on: the generator and its settings, and the user's own files."""
    if not config.data.magpie:
        return own.part(config) | ({"answers": own.answers_part(config)} if config.data.prompts else {})
    generate = config.generate.model_dump(mode="json", exclude={"min_healthy"})
    return _source(config) | {"generate": generate} | _rules(config) | own.part(config)


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the exported files."""
    return [folder.raw, folder.raw.with_suffix(".parquet")]


def run(ctx: Context) -> Outcome:
    """Brings the user's own records, and writes the instructions and their responses."""
    read = own.bring(ctx, ctx.unit())
    ctx.store.set_fact("own_records", read.sources)
    notes, target = [read.note()] if read.sources else [], None
    if ctx.config.data.magpie:
        target = _write(ctx)
    else:
        for fact in ("generator_health", "generate_target"):
            ctx.store.set_fact(fact, None)
    rows = _Rows(ctx, ctx.unit())
    export_rows(rows, ctx.folder.raw)
    notes += _shortcomings(rows)
    if target is not None:
        ctx.store.set_fact("generate_target", target.to_json())
        for line in target.explanation().splitlines():
            ctx.display.say(f"  {line}", style="bold")
        notes.append(target.summary())
    skipped = "skipped: " if read.sources and not (ctx.config.data.magpie or ctx.config.data.prompts) else ""
    return Outcome(ctx.store.unit_digest(ctx.unit()), None, len(rows), skipped + "; ".join(notes))


def _write(ctx: Context) -> Target | None:
    """Writes Magpie's records; returns the target, if there is one."""
    unit, settings = ctx.unit(), ctx.config.generate
    target = None
    if settings.until_kept is not None:
        if (keep := ctx.config.filter.keep) is not None and keep < settings.until_kept:
            ctx.display.say(f"  filter.keep={keep} hands on fewer than generate.until_kept={settings.until_kept}")
        from synthetic_instruction_tuner.run.stages.batch_filter import BatchFilter

        target = Target(settings, BatchFilter(ctx.config.filter, filter_inputs.benchmark_sets(ctx.config)))
    with _Writer(ctx, unit, target) as writer:
        for batch in _batches(ctx.config, target):
            writer.bring(batch)
    return target


class _Rows(Sequence[Row]):
    """A unit's rows, read from the store each time, so that they are never all in memory."""

    def __init__(self, ctx: Context, unit: str) -> None:
        self._store, self._unit = ctx.store, unit

    def __len__(self) -> int:
        return self._store.row_count(self._unit)

    def __iter__(self) -> Iterator[Row]:
        return self._store.rows(self._unit)

    def __getitem__(self, place: Any) -> Any:
        raise TypeError("rows are read in order")


def _batches(config: Config, target: Target | None) -> Iterator[_Batch]:
    """Yields the batches; with a target, each must be checked before the next is requested."""
    if target is None:
        for number, numbers in enumerate(batches(config.generate)):
            yield number, numbers, None
        return
    number = 0
    while places := target.next_batch():
        yield number, range(target.made, target.made + len(places)), places
        number += 1


class _Writer:
    """Puts batches into the store: reuses those of this key or an earlier one, and generates the others.

    The generator is loaded when the first batch has to be written.
    """

    def __init__(self, ctx: Context, unit: str, target: Target | None) -> None:
        self.ctx, self.unit, self.target = ctx, unit, target
        self.have = {n: size for n, size in ctx.store.batch_sizes(unit).items() if n >= 0}  # below are the user's own
        self.donors = {donor: _record_numbers(ctx.store.batch_sizes(donor)) for donor in _donors(ctx)}
        self.stack = ExitStack()
        self.generator: MagpieGenerator | None = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *error: Any) -> None:
        self.stack.__exit__(*error)

    def bring(self, batch: _Batch) -> None:
        number, numbers, places = batch
        if number not in self.have:
            donor = next((d for d, batches in self.donors.items() if batches.get(number) == numbers), None)
            if donor is not None:
                self.ctx.store.adopt_batch(donor, self.unit, number)
            else:
                self._write(number, numbers, places)
            self.have[number] = len(numbers)
        if self.target is not None:
            rows = self.ctx.store.batch_rows(self.unit, number)
            passed = self.target.take([Record.from_json(row) for row in rows])
            if self.generator is not None:
                self.advance(passed, self.target.yield_note())

    def _write(self, number: int, numbers: range, places: list[Place] | None) -> None:
        generator = self.generator = self.generator or self._open()
        texts = 0

        def done(n: int) -> None:
            nonlocal texts
            texts += n
            if self.target is None:
                self.advance(n)
            else:
                whole = 2 * len(numbers) * self.ctx.config.generate.turns
                batch = f"{texts / whole:.0%} of the next {len(numbers)}"
                self.advance(0, "; ".join(filter(None, (self.target.yield_note(), batch))))

        look = self._probe(generator, len(numbers)) if number == 0 else None
        records = generator.generate(numbers, done, places=places, examine=look)
        if len(records) >= ENOUGH_PROBES:
            _require_served(records)
        self.ctx.commit(self.unit, number, [record.to_json() for record in records])

    def _open(self) -> MagpieGenerator:
        from synthetic_instruction_tuner.data_generation.magpie_generator import MagpieGenerator

        config, model = self.ctx.config, self.ctx.config.models.generator
        engine, template = self.stack.enter_context(self.ctx.engine(model))
        label, settings = f"writing with {model.name}", config.generate
        if self.target is None:
            texts = 2 * settings.turns
            task = self.ctx.display.task(label, texts * settings.count, "texts", texts * sum(self.have.values()))
        else:
            task = self.ctx.display.task(label, self.target.wanted, "that pass", self.target.passed)
        self.advance = self.stack.enter_context(task)
        return MagpieGenerator(
            settings,
            template,
            engine,
            seed=config.seed,
            model_name=model.name,
            revision=model_revision(model),
            engine_facts=self.ctx.engine_facts(model),
        )

    def _probe(self, generator: MagpieGenerator, size: int) -> Examine | None:
        """Returns what examines the first batch; where that is too small, probes more instructions at once."""
        wanted = min(PROBES, self.ctx.config.generate.count)
        if size >= wanted:
            return self._check
        self._check(generator.ask(range(wanted)))
        return None

    def _check(self, records: Sequence[Record]) -> None:
        """Stops before anything is answered when the first instructions are unusable, or there are none."""
        _require_served(records[:PROBES])
        probes = [record for record in records[:PROBES] if not failures(record.provenance)]
        cut = [record.provenance["instruction_finish"] == "length" for record in probes]
        health = examine([record.instruction for record in probes], cut)
        self.ctx.store.set_fact("generator_health", health.to_json())
        if problem := health.problem(self.ctx.config.generate.min_healthy):
            raise problem


def _require_served(records: Sequence[Record]) -> None:
    """Stops the run where the engine failed on every record: it would fail on the next ones, too."""
    reasons = [failures(record.provenance) for record in records]
    if all(reasons):
        raise RunError(
            f"The engine failed on all {len(records)} requests.",
            most_frequent(Counter(why for those in reasons for why in those)),
            "Change the settings or the server accordingly, then run the same command again to continue.",
        )


def _shortcomings(rows: Iterable[Row]) -> list[str]:
    """Returns how many records lack a text, and how often and why the engine failed."""
    empty, reasons = 0, Counter[str]()
    for row in rows:
        failed = failures(row["provenance"])
        reasons.update(failed)
        empty += not failed and not (row["instruction"] and row["response"])
    return [note for note in (f"{empty} empty" if empty else "", failure_note(reasons)) if note]


def _donors(ctx: Context) -> list[str]:
    """Returns the units of earlier keys whose batches equal those of this key, and adds this key to them."""
    name = f"generate_units:{_writing_key(ctx.config)}"
    known: list[str] = ctx.store.fact(name) or []
    if ctx.unit() not in known:
        ctx.store.set_fact(name, [*known, ctx.unit()])
    return [unit for unit in reversed(known) if unit != ctx.unit()]


def _record_numbers(sizes: dict[int, int]) -> dict[int, range]:
    """Returns which records each batch holds. With a target, batches differ in size and must be read."""
    found: dict[int, range] = {}
    start = 0
    while (size := sizes.get(len(found))) is not None:  # after a gap it is not known
        found[len(found)] = range(start, start + size)
        start += size
    return found


def _writing_key(config: Config) -> str:
    """Returns a hash of what a batch's texts depend on, given its number and how many records it has."""
    generate = config.generate.model_dump(mode="json", exclude=_GOAL)
    key: list[Any] = [STAGE.version, _source(config), generate]
    if config.generate.domains:  # which record belongs to which domain depends on the target
        key += [config.generate.count, config.generate.until_kept, _rules(config)]
    return fingerprint(*key)


def _source(config: Config) -> dict[str, Any]:
    return {
        "model": identity(config.models.generator),
        "seed": config.seed,
        "engine": config.engine.key_part(),
    }


def _rules(config: Config) -> dict[str, Any]:
    """The filter that decides how many records to generate, if there is a target; rules with a model come later."""
    if config.generate.until_kept is None:
        return {}
    depends = filter_inputs.part(config)
    for name in ("keep", "tags", "min_reward"):
        depends["filter"].pop(name)
    return {name: depends[name] for name in ("filter", "benchmarks", "evaluate") if name in depends}


def so_far(config: Config, folder: RunFolder, store: Store, key: str) -> Amount:
    """Returns how many records are written."""
    wanted = config.generate.count if config.generate.until_kept is None and not config.data.given else None
    return Amount(store.row_count(f"generate:{key}"), wanted, "records")


STAGE = Stage(
    "generate",
    "Generate: a chat model writes instructions and answers",
    (),
    part,
    outputs,
    run,
    version=3,
    so_far=so_far,
)
