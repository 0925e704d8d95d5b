"""A run's folder: its paths, and the lock that lets only one process at a time work in it."""

from __future__ import annotations

import contextlib
import difflib
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from synthetic_instruction_tuner.config import Config, parse_config
from synthetic_instruction_tuner.errors import SitError, UserError
from synthetic_instruction_tuner.methods import Method
from synthetic_instruction_tuner.run.kept_settings import kept_settings
from synthetic_instruction_tuner.run.store import Store
from synthetic_instruction_tuner.run.store.file import RUN_STORE, require_current_format

MOST_SHOWN = 5  # runs that a message names


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run."""

    root: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.root / "config.json"

    @property
    def store(self) -> Path:
        """The run's SQLite store."""
        return self.root / RUN_STORE

    @property
    def raw(self) -> Path:
        """Generated pairs; a Parquet file of the same name is beside it."""
        return self.root / "data/raw/instructions_raw.json"

    @property
    def filtered(self) -> Path:
        """Pairs that passed the filter."""
        return self.root / "data/filtered/instructions_filtered.json"

    @property
    def filter_report(self) -> Path:
        """The filter's report; a Markdown file of the same name is beside it."""
        return self.root / "data/filtered/filter_report.json"

    @property
    def pairs(self) -> Path:
        """Preference pairs."""
        return self.root / "data/preference/preference_pairs.json"

    @property
    def preference_report(self) -> Path:
        """The preference data's report."""
        return self.root / "data/preference/preference_report.json"

    @property
    def data_card(self) -> Path:
        """The card of the data, which makes their folder a data set."""
        return self.root / "data/README.md"

    @property
    def progress(self) -> Path:
        """What a run is doing now; there only while one is at work."""
        return self.root / "progress.json"

    def model(self, method: str, student: str) -> Path:
        """The folder of one training: adapter, log, metrics and the order of the data."""
        return self.root / "models" / method / student

    def adapter(self, method: str, student: str) -> Path:
        """The folder of a student's finished adapter."""
        return self.model(method, student) / "final"

    def training_log(self, method: str, student: str) -> Path:
        """The losses of a training, one JSON object per line."""
        return self.model(method, student) / "training_log.jsonl"

    def training_metrics(self, method: Method) -> Path:
        """Cost and outcome of training with one method, for all its students."""
        return self.metrics / method.metrics_file

    @property
    def results(self) -> Path:
        """Evaluation results, one JSON file per student and variant."""
        return self.root / "evaluation/results"

    @property
    def agents(self) -> Path:
        """Agents: results, and one JSON Lines file of conversations per benchmark, student and variant."""
        return self.root / "evaluation/agents"

    def dialogues(self, benchmark: str, label: str) -> Path:
        """The conversations of a variant on an agent benchmark."""
        return self.agents / f"{benchmark}-{label}.jsonl"

    @property
    def metrics(self) -> Path:
        """Efficiency metrics and the comparison table."""
        return self.root / "evaluation/metrics"

    @property
    def comparison(self) -> Path:
        """The long table of all comparisons."""
        return self.metrics / "comparison_summary.csv"

    @property
    def contamination(self) -> Path:
        """Which benchmark items the training data contain, and the scores on the others."""
        return self.metrics / "contamination.json"

    @property
    def figures(self) -> Path:
        """Charts."""
        return self.root / "evaluation/figures"

    @property
    def report(self) -> Path:
        """The report; an HTML file of the same name is beside it."""
        return self.root / "docs/report.md"

    @property
    def presentation(self) -> Path:
        """The slides; a Markdown file of the same name is beside them."""
        return self.root / "docs/presentation.pptx"

    @property
    def staged(self) -> Path:
        """What is pushed, as the Hub will have it; it can be made again."""
        return self.root / "push"

    def holds_run(self) -> bool:
        """Returns whether a run was started here."""
        if self.config.exists() or not self.store.exists():
            return self.config.exists()
        try:
            store = Store.open(self.store, readonly=True)
        except SitError:
            return True  # damaged: there was something
        try:
            return store.stage("generate") is not None  # else the run was killed before it had stored its settings
        finally:
            store.close()

    def require_run(self, start: str = "sit run") -> None:
        """Stops where no run was started; nothing is created.

        Args:
            start: the command that starts one.

        Raises:
            UserError: there is no run, with the runs that may have been meant.
        """
        if not self.holds_run():
            cause = "The folder holds no run." if self.root.is_dir() else "There is no such folder."
            raise UserError(f"There is no run in {shown(self.root)}.", cause, self._instead(start))

    def _instead(self, start: str) -> str:
        """What to do where no run is here: names like this one, or the runs nearby."""
        runs = self.runs_nearby()
        by_name = {path.name: path for path in runs}
        if meant := [by_name[name] for name in difflib.get_close_matches(self.root.name, by_name, n=2, cutoff=0.7)]:
            return f"Did you mean {' or '.join(map(shown, meant))}? '{start}' starts a new run."
        start = f"Start one with '{start}', or name its folder with --run-dir"
        more = f" and {len(runs) - MOST_SHOWN} more" if len(runs) > MOST_SHOWN else ""
        return f"{start}. Runs nearby: {', '.join(map(shown, runs[:MOST_SHOWN]))}{more}." if runs else f"{start}."

    def runs_nearby(self) -> list[Path]:
        """Returns the runs beside this folder, in this directory and below ``runs``."""
        found: dict[Path, Path] = {}
        for place in (self.root.parent, Path("runs"), Path()):
            with contextlib.suppress(OSError):
                for path in sorted(place.iterdir()):
                    if (path / "config.json").is_file() and (path / RUN_STORE).is_file():
                        found.setdefault(path.resolve(), path)
        return [path for path in found.values() if path.resolve() != self.root.resolve()]

    def require_current_format(self) -> None:
        """Stops where the run was made by another version of sit; reads only.

        Raises:
            UserError: it was.
        """
        require_current_format(self.store)

    def read_config(self) -> Config:
        """Returns the configuration of the run that was started here.

        Raises:
            UserError: there is no run, another version made it, or its configuration cannot be read.
        """
        self.require_current_format()
        self.require_run()
        fix = "Name its settings again: 'sit run' with --run-dir and --profile or --config. What fits them is kept."
        try:
            text = kept_settings(self.store) or self.config.read_bytes().decode("utf-8", "replace")
        except OSError as error:
            cause = error.strerror or str(error)
            raise UserError(f"The settings of the run in {self.root} cannot be read.", cause, fix) from None
        try:
            return parse_config(json.loads(text))
        except ValueError:
            problem, cause = f"{self.config} is damaged.", "It is not valid JSON."
        except UserError as error:
            problem, cause = f"{self.config} does not hold the settings of a run.", error.problem
        raise UserError(problem, cause, fix)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Holds the folder while the block runs; the lock is released when the process ends, however it ends.

        Raises:
            UserError: another process holds it, or it cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.root / ".lock")
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"The run in {self.root} is in use.",
                "Another process is working in it.",
                "Wait for it to end ('sit status' shows where it is), or use another --run-dir.",
            ) from None
        except OSError as error:
            cause = error.strerror or str(error)
            raise UserError(f"The run folder {self.root} cannot be used.", cause, "Choose another --run-dir.") from None
        try:
            yield
        finally:
            lock.release()


def shown(path: Path) -> str:
    """Returns a path as it is written on a command line; what a terminal would act on is escaped."""
    text = str(path)
    return shlex.quote(text) if text.isprintable() else ascii(text)
