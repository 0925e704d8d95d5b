"""One run as the notebooks share it: each runs what is missing up to its stage, then reads what is in the folder."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config, load_config
from synthetic_instruction_tuner.data_files import read_records
from synthetic_instruction_tuner.data_files.own_data.sources import read_pairs
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.models.hardware import Hardware, detect
from synthetic_instruction_tuner.models.quiet_libraries import quiet_libraries
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.reporting.formatting import duration
from synthetic_instruction_tuner.run.execution import execute
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.notebooks.colab import drive_folder
from synthetic_instruction_tuner.run.pipeline import ordered
from synthetic_instruction_tuner.run.profiles import AUTO, fitting_profile
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.remaining import Ahead, look_ahead
from synthetic_instruction_tuner.run.stages.evaluate import comparison_rows
from synthetic_instruction_tuner.run.stages.variants.variant import variants
from synthetic_instruction_tuner.run.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from synthetic_instruction_tuner.evaluation.agent_bench.results import TaskResult
    from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

DPI = 100  # pixels per inch of a figure
ASKED_FROM = 600.0  # seconds that finished work took: it is replaced only where that is wanted


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure that a notebook shows as the last value of a cell.

    Attributes:
        figure: as matplotlib has it.
    """

    figure: Figure

    def _repr_png_(self) -> bytes:
        """Returns what the notebook shows."""
        stream = io.BytesIO()
        self.figure.savefig(stream, format="png", dpi=DPI)
        return stream.getvalue()


@dataclass(frozen=True, slots=True)
class Session:
    """A run's settings, folder and machine.

    Attributes:
        config: the settings.
        folder: the paths of the run.
        hardware: this machine.
    """

    config: Config
    folder: RunFolder
    hardware: Hardware

    @classmethod
    def open(
        cls,
        profile: str = "nano",
        limit: int | None = None,
        settings: Sequence[str] = (),
        *,
        drive: bool = False,
        folder: Path | None = None,
    ) -> Session:
        """Returns the session of the run in a folder; shows where that is, and what is done there.

        Args:
            profile: a profile's name; ``auto``: the one that fits this machine, or that the run in the folder began
                with, so that it goes on when the next session has another GPU.
            limit: caps every count; None: the profile's counts.
            settings: further settings, such as ``generate.count=100``.
            drive: whether runs are on Google Drive, which stays when a Colab session is lost.
            folder: the run's folder; ``runs/notebooks-PROFILE``, there or here, when None.

        Raises:
            UserError: wrong settings, or no Google Drive.
        """
        quiet_libraries()
        root = RunFolder(folder or (drive_folder() if drive else Path("runs")) / f"notebooks-{profile}")
        hardware = detect()
        begun = root.read_config().profile if profile == AUTO and root.holds_run() else None
        config = load_config(begun or profile, None, settings, limit, auto=lambda: fitting_profile(hardware))
        session = cls(config, root, hardware)
        session._say_where()
        return session

    def _say_where(self) -> None:
        ahead = look_ahead(self.config, self.folder, self.hardware)
        done = [stage.step.stage.name for stage in ahead.stages if stage.condition == "done"]
        counts = f", at most {self.config.limit:,} of everything" if self.config.limit else ""
        display = Display()
        display.say(f"Profile {self.config.profile} ({self.config.description}){counts}")
        display.say(f"On {self.hardware.describe()}")
        display.say(f"Run folder: {self.folder.root}. Done there: {', '.join(done) or 'nothing yet'}.")

    @property
    def stages(self) -> list[str]:
        """The run's stages, in their order."""
        return [stage.name for stage in ordered(self.config)]

    def run_until(self, stage: str, *, replace: bool = False) -> None:
        """Runs what is missing up to a stage; goes on where an earlier session was stopped.

        Args:
            stage: the last stage that runs.
            replace: whether finished work that took more than ten minutes may give way to other settings.

        Raises:
            UserError: see `execute`; or such work would be replaced.
            RunError: see `execute`.
        """
        try:
            execute(self.config, self.folder, Display(), until=stage, agree=None if replace else _keep_long_work)
        finally:
            gc.unfreeze()  # a stage sets apart what is in memory when it begins, here also what the user's cells hold

    def generated(self) -> list[Record]:
        """Returns the generated records."""
        return list(read_records([self.folder.raw], []))

    def kept(self) -> list[Record]:
        """Returns the records that the filter keeps."""
        return list(read_records([self.folder.filtered], []))

    def pairs(self) -> list[PreferencePair]:
        """Returns the preference pairs."""
        return list(read_pairs(str(self.folder.pairs), []))

    def training(self) -> list[dict[str, Any]]:
        """Returns the metrics of every training that is done, such as seconds and trainable_parameters."""
        texts = [text for method in METHODS if (text := _text(self.folder.training_metrics(method)))]
        return [metrics for text in texts for metrics in json.loads(text)["students"]]

    def comparison(self) -> list[ComparisonRow]:
        """Returns all scores with their errors and paired differences; none before evaluate."""
        with closing(Store.open(self.folder.store, readonly=True)) as store:
            return comparison_rows(store)

    def results(self, student: str, variant: str) -> list[BenchmarkResult]:
        """Returns a variant's results on every benchmark, item by item.

        Args:
            student: its name.
            variant: one of `methods.VARIANTS`.
        """
        from synthetic_instruction_tuner.evaluation import BenchmarkResult

        file = self.folder.results / f"{student}-{variant}.json"
        return [BenchmarkResult.from_json(one) for one in json.loads(file.read_text(encoding="utf-8"))["benchmarks"]]

    def played(self) -> dict[tuple[str, str, str], list[TaskResult]]:
        """Returns the agents' conversations, by benchmark, student and variant; none before agents."""
        from synthetic_instruction_tuner.evaluation.agent_bench.results import TaskResult

        found = {}
        for variant in variants(self.config, self.folder):
            for benchmark in self.config.agents.benchmarks:
                if text := _text(self.folder.dialogues(benchmark, variant.label)):
                    tasks = [TaskResult.from_json(json.loads(line)) for line in text.splitlines()]
                    found[benchmark, variant.student.name, variant.name] = tasks
        return found

    def figure(self, name: str) -> Picture:
        """Draws a figure of the report from what is done so far.

        Args:
            name: such as ``filter_funnel``; the error of an unknown one lists all.

        Raises:
            UserError: there is no such figure, or nothing to draw yet.
        """
        from synthetic_instruction_tuner.reporting.figures.drawing import draw
        from synthetic_instruction_tuner.reporting.report_data import ReportData
        from synthetic_instruction_tuner.reporting.text_lengths import domains, lengths

        before = [record.to_json() for record in self.generated()] if self.folder.raw.exists() else []
        after = [record.to_json() for record in self.kept()] if self.folder.filtered.exists() else []
        data = ReportData(
            run_name=self.folder.root.name,
            profile=self.config.profile,
            config=self.config.model_dump(mode="json"),
            filter_report=_text(self.folder.filter_report),
            preference_report=_text(self.folder.preference_report),
            training=self.training(),
            training_logs=self._logs(),
            comparison=self.comparison() if self.folder.store.exists() else (),
            lengths=lengths(before, after),
            domains=domains(before, after),
        )
        return Picture(draw(name, data))

    def _logs(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        logs = {}
        for method in METHODS:
            for student in self.config.models.students:
                if text := _text(self.folder.training_log(method.name, student.name)):
                    logs[method.name, student.name] = [json.loads(line) for line in text.splitlines()]
        return logs


def _text(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.exists() else None


def _keep_long_work(ahead: Ahead) -> None:
    if ahead.lost_seconds >= ASKED_FROM:
        stages = ", ".join(stage.step.stage.name for stage in ahead.replaced)
        raise UserError(
            f"Finished work that took {duration(ahead.lost_seconds)} would be replaced: {stages}.",
            "The settings above are not those that it was done with.",
            "Set them back, use another folder, or call run_until with replace=True.",
        )
