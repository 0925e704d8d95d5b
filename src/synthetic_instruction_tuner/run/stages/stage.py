"""What the stages of a run share: the stage's own description and the context that it works in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.engines.choice import choose_engine, on_a_server
from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.models.hardware import Hardware, choose_device, choose_dtype
from synthetic_instruction_tuner.models.number_format import NumberFormat
from synthetic_instruction_tuner.models.peak_memory import peak_memory_gb
from synthetic_instruction_tuner.models.quantization.held import settled
from synthetic_instruction_tuner.reporting.formatting import counted
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.number_formats import student_format, trained_on, writer_format
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.store import Row, Store
from synthetic_instruction_tuner.run.store.served_texts import ServedTexts

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.engines.base import Engine
    from synthetic_instruction_tuner.engines.variants import OpenVariant


FORMATS = "number_formats"
"""The fact that holds, by their paths, how models were held whose weights were quantized."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a finished stage.

    Attributes:
        digest: hash of the output; the keys of later stages are made from it.
        rows_in, rows_out: counts for the stage table.
        note: a short remark for the stage table.
        files: what it has written besides its `outputs`.
    """

    digest: str
    rows_in: int | None = None
    rows_out: int | None = None
    note: str = ""
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of a stage is done: ``n`` of ``of`` units; ``of`` is None where the end is not known before."""

    n: int
    of: int | None
    unit: str

    def describe(self) -> str:
        """Returns it in words: 12 of 40 records."""
        return counted(self.n, self.unit) if self.of is None else f"{self.n:,} of {counted(self.of, self.unit)}"


@dataclass(frozen=True, slots=True)
class Stage:
    """One entry of the pipeline.

    Attributes:
        name: as in the store and on the command line.
        title: what it does, for people.
        inputs: the stages whose output it reads.
        part: the settings (and models) that its result depends on.
        outputs: the files that it leaves; missing and damaged ones make it run again.
        run: does the work, resuming what the store already has.
        version: raised when the code changes what comes out.
        units: what `Outcome.rows_in` and `Outcome.rows_out` count, in the plural.
        joint: what stands between the two.
        so_far: how much the store has under a key; None where a stage is done in one piece.
        skipped: why a run with the user's own data does not need its work; empty where it does.
    """

    name: str
    title: str
    inputs: tuple[str, ...]
    part: Callable[[Config], dict[str, Any]]
    outputs: Callable[[Config, RunFolder], list[Path]]
    run: Callable[[Context], Outcome]
    version: int = 1
    units: tuple[str, str] = ("records", "records")
    joint: str = "->"
    so_far: Callable[[Config, RunFolder, Store, str], Amount] | None = None
    skipped: str = ""

    def flow(self, rows_in: int | None, rows_out: int | None) -> str:
        """Returns what went in and what came out: 958 records -> 1 adapter."""
        counts = zip((rows_in, rows_out), self.units, strict=True)
        return f" {self.joint} ".join(counted(n, unit) for n, unit in counts if n is not None)


class Stopwatch:
    """Seconds since the last lap."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def lap(self) -> float:
        """Returns the seconds since the last call, or since construction."""
        now = time.monotonic()
        seconds, self._start = now - self._start, now
        return seconds


@dataclass(slots=True)
class Context:
    """Where a stage works: configuration, folder, store, display, and its own key."""

    config: Config
    folder: RunFolder
    store: Store
    display: Display
    hardware: Hardware
    stage: str
    key: str
    keys: dict[str, str]
    watch: Stopwatch = field(default_factory=Stopwatch)
    served: ServedTexts | None = None
    said: set[str] = field(default_factory=set)

    @property
    def device(self) -> str:
        """Where models run."""
        return choose_device(self.hardware, self.config.engine.device)

    @property
    def dtype(self) -> str:
        """The type of the models' weights."""
        return choose_dtype(self.hardware, self.config.engine.dtype)[0]

    def number_format(self, model: ModelConfig, *, student: bool = False) -> NumberFormat:
        """Returns in which format a model's weights are held in this stage; a student's is the same in all."""
        if not student:
            return writer_format(self.config, self.hardware, model, self.stage)
        return student_format(self.config, self.hardware, model, trained_on(self.store, self.keys, model))

    def opens(self, model: ModelConfig, held: NumberFormat) -> None:
        """Says how a model that is loaded now is held, where it is quantized, and keeps that for the report."""
        known: dict[str, str] = self.store.fact(FORMATS) or {}
        if held.quantized and (line := f"  {model.name}: {held.describe()}") not in self.said:
            self.display.say(line)
            self.said.add(line)
        if known.get(model.path) != (held.name if held.quantized else None):
            others = {path: name for path, name in known.items() if path != model.path}
            self.store.set_fact(FORMATS, others | ({model.path: held.name} if held.quantized else {}))

    def engine_facts(self, model: ModelConfig) -> dict[str, str]:
        """Returns what the provenance of a text says about the engine that writes it."""
        from synthetic_instruction_tuner.data_generation.magpie_generator import engine_facts

        if on_a_server(model, self.config.engine):
            return engine_facts("server", model)
        held = self.number_format(model)
        kind = choose_engine(settled(model, held), self.config.engine, self.hardware).kind
        return engine_facts(kind, model, held.weights if held.quantized else "")

    def unit(self, *parts: str) -> str:
        """Returns the name of a unit of work under this stage's key."""
        return ":".join((self.stage, self.key, *parts))

    def input_unit(self, stage: str, *parts: str) -> str:
        """Returns the name of a unit that an earlier stage has filled."""
        return ":".join((stage, self.keys[stage], *parts))

    def commit(self, unit: str, number: int, rows: Sequence[Row]) -> None:
        """Commits a batch, with the time that it took."""
        seconds = self.watch.lap()
        self.store.commit_batch(unit, number, rows, seconds)
        if self.served is not None:
            self.served.forget()
        self.store.add_time(self.stage, seconds, peak_memory_gb())

    @contextmanager
    def engine(
        self, model: ModelConfig, adapter: Path | None = None, *, student: bool = False
    ) -> Iterator[tuple[Engine, ChatTemplate]]:
        """Opens a model for text; its memory is given back, and that is checked, when the block ends.

        What a server has finished of a batch that is then not committed is kept for the next attempt.
        """
        from synthetic_instruction_tuner.engines.opening import open_engine

        engine, given = self.config.engine, model
        if student or not on_a_server(model, engine):
            held = self.number_format(model, student=student)
            self.opens(model, held)
            model = settled(model, held)
        kind = choose_engine(model, engine, self.hardware, student=student or adapter is not None).kind
        self.served = ServedTexts(self.store, self.stage, given, engine) if kind == "server" else None
        try:
            with open_engine(model, engine, self.hardware, adapter, student=student, finished=self.served) as opened:
                if slow := opened[0].capabilities.slow:
                    self.display.say(f"{model.name}: {slow}")
                yield opened
        except BaseException:
            if self.served is not None:
                self.served.save_if_possible()
            raise
        finally:
            self.served = None

    @contextmanager
    def variants(self, student: ModelConfig, adapters: Sequence[Path | None]) -> Iterator[OpenVariant]:
        """Opens a student, whose base model is loaded once, and yields what opens it with one of the adapters."""
        from synthetic_instruction_tuner.engines.opening import open_variants

        held = self.number_format(student, student=True)
        self.opens(student, held)
        with open_variants(settled(student, held), self.config.engine, self.hardware, adapters) as opened:
            yield opened

    def require_rows(self, count: int, what: str, cause: str, fix: str) -> None:
        """Stops the run when nothing is left to work on."""
        if count == 0:
            raise RunError(f"There are no {what}.", cause, fix)
