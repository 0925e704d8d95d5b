"""``sit score mt_bench``: saved answers are rated by the judge of the settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.files import TURNS, Question

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.answers import ScoredFile
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult


def rate_file(file: Path, config: Config, *, partial: bool, quiet: bool) -> ScoredFile:
    """Returns the ratings of a file's answers; replies are kept beside it, so that an interrupted judge goes on.

    Raises:
        UserError: the file is no file of answers, there is no judge, or MT-Bench's own files are missing.
        RunError: the judge does not answer.
    """
    from synthetic_instruction_tuner.evaluation.answers import score_file
    from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.benchmark import configured
    from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.grading import NAME, score_answers
    from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.opening import no_judge, open_judge
    from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.relatives import judge_label
    from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.replies_file import RepliesFile
    from synthetic_instruction_tuner.models.hardware import detect
    from synthetic_instruction_tuner.run.progress import Display

    judge = config.evaluate.mt_bench.judge
    if judge.model is None:
        raise no_judge()

    def rated(chosen: Sequence[Question], answers: Sequence[Sequence[str]], _: Any) -> BenchmarkResult:
        texts = {question.number: tuple(own) for question, own in zip(chosen, answers, strict=True)}
        hardware, label = detect(config.engine.device), judge_label(judge, config)
        with (
            Display(quiet=quiet) as display,
            RepliesFile(file.with_name(f"{file.name}.replies.jsonl")) as kept,
            open_judge(judge, config.engine, hardware, label, kept) as opened,
            display.task("judging", TURNS * len(texts), "replies") as advance,
        ):
            return score_answers(configured(config.evaluate), texts, opened, advance)[0]

    return score_file(NAME, file, config.evaluate, partial=partial, score=rated)
