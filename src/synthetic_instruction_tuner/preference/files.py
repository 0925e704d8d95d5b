"""Makes preference pairs of answers that already have scores: what `sit prefer scored.jsonl -o out` does.

No model is loaded. The guards, ties and margins are those of a run: `PreferenceBuilder` makes the pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from synthetic_instruction_tuner.config import PreferConfig
from synthetic_instruction_tuner.data_files.atomic_writing import atomic_file, json_bytes
from synthetic_instruction_tuner.data_files.exports import trainer_row
from synthetic_instruction_tuner.data_files.own_data.output_folder import OutputFolder
from synthetic_instruction_tuner.data_files.own_data.scored_answers import Scored, read_scored
from synthetic_instruction_tuner.data_files.reading import SAID, Malformed, said_malformed
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.preference.pair_selection import SkippedRecord
from synthetic_instruction_tuner.preference.pair_statistics import PairStatistics
from synthetic_instruction_tuner.preference.preference_builder import PreferenceBuilder
from synthetic_instruction_tuner.preference.report import PreferenceReport
from synthetic_instruction_tuner.records import PreferencePair

REPORT = "preference_report.json"  # written last: where it exists, the output is complete


@dataclass(frozen=True, slots=True)
class FilesReport:
    """What came of the user's scored answers.

    Attributes:
        pairs: the report on the pairs, as a run has it.
        prompts: how many prompts with scored answers there were.
        fields: how many prompts were judged by which field.
        malformed: the rows that are no answers with scores.
        unused: prompts that were not needed, because there were as many pairs as wanted.
    """

    pairs: PreferenceReport
    prompts: int
    fields: dict[str, int]
    malformed: list[Malformed] = field(default_factory=list)
    unused: int = 0

    def summary(self) -> str:
        """Returns the counts in a few sentences."""
        report = self.pairs
        became = "became a pair" if report.pairs == 1 else "became pairs"
        lines = [f"Of {self.prompts:,} prompts with scored answers, {report.pairs:,} {became}."]
        if report.skipped:
            reasons = ", ".join(f"{reason.replace('_', ' ')} {n:,}" for reason, n in report.skip_reasons.items())
            lines.append(f"{report.skipped:,} gave no pair: {reasons}.")
        if self.unused:
            lines.append(f"{self.unused:,} were not needed (prefer.pairs).")
        lines.append(f"Scores: {_counted(self.fields)}.")
        if self.malformed:
            first = [one.place for one in self.malformed[:SAID]]
            lines.append(said_malformed(len(self.malformed), first).replace("not records", "not answers with scores"))
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        own = {"prompts": self.prompts, "unused": self.unused, "malformed": len(self.malformed)}
        return self.pairs.to_json() | own | {"score_fields": self.fields}


def prefer_files(
    inputs: Sequence[Path],
    output: Path,
    config: PreferConfig | None = None,
    *,
    score: str | None = None,
    samples: int = 3,
    keep_thoughts: bool = False,
    progress: Callable[[int], None] | None = None,
) -> FilesReport:
    """Makes pairs of the files' scored answers, into a folder.

    Written are pairs.jsonl, skipped.jsonl (prompts without a pair, with the reason), malformed.jsonl and
    preference_report.{json,md}. The same inputs and settings always give the same bytes.

    Args:
        inputs: JSON, JSON lines, CSV, TSV or Parquet files, or data sets of the Hub (``hf:NAME``).
        output: a new or empty folder, or the output of an earlier call, which is replaced.
        config: the guards; `pairs` is the largest number of pairs.
        score: the name of the field with the scores; None: the usual one that is there.
        samples: how many pairs the report shows.
        keep_thoughts: whether thoughts before an answer stay in it.
        progress: called with the number of prompts done since the last call.

    Raises:
        UserError: unreadable inputs, or an output folder with other files in it or in use.
        RunError: the disk is full.
    """
    inputs, folder = [Path(i) for i in inputs], OutputFolder(Path(output), "prefer")
    if not inputs:
        raise UserError("There is nothing to make pairs of.", "No input file was named.")
    folder.check(inputs)
    config = (config or PreferConfig()).model_copy(update={"scorer": "reward", "on_policy": "off"})
    builder = PreferenceBuilder(config, 0, statistics=PairStatistics(config, samples))
    malformed: list[Malformed] = []
    fields: Counter[str] = Counter()
    unused = 0
    with folder.claimed(REPORT):
        with ExitStack() as stack:
            pairs, skipped, aside = (
                stack.enter_context(atomic_file(folder.path / f"{name}.jsonl"))
                for name in ("pairs", "skipped", "malformed")
            )
            for scored in read_scored(inputs, malformed, score, keep_thoughts):
                fields[scored.field] += 1
                made = builder.add(scored.record, scored.answers)
                if isinstance(made, PreferencePair):
                    _write(pairs, trainer_row(made))
                elif made is not None:
                    _write(skipped, _skipped_row(made, scored))
                unused += made is None
                if progress:
                    progress(1)
            for one in malformed:
                _write(aside, one.to_json())
        report = PreferenceReport.from_statistics(builder.statistics, f"in the files, as {_counted(fields)}")
        found = FilesReport(report, fields.total(), dict(fields.most_common()), malformed, unused)
        report.write(folder.path / REPORT, found.to_json())
    return found


def _skipped_row(made: SkippedRecord, scored: Scored) -> dict[str, Any]:
    answers = [{"model": a.model, "score": a.score, "text": a.text} for a in scored.answers]
    return {
        "id": made.record_id,
        "reason": made.reason,
        "detail": made.detail,
        "prompt": [message.as_dict() for message in scored.record.prompt_messages()],
        "answers": answers,
    }


def _counted(fields: dict[str, int]) -> str:
    """The names of the fields with the scores; with their numbers of prompts if there are several."""
    if len(fields) == 1:
        return next(iter(fields))
    return ", ".join(
        f"{name} ({n:,} prompts)" for name, n in sorted(fields.items(), key=lambda item: (-item[1], item[0]))
    )


def _write(stream: IO[bytes], row: dict[str, Any]) -> None:
    stream.write(json_bytes(row, default=str) + b"\n")
