"""Checks the judge of a configuration: files, judge, progress, and where the result is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.benchmark import configured
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.files import read_answers
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.grading import NAME, Answers
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.judge_check import (
    KNOWN_ORDER,
    JudgeCheck,
    check_judge,
    replies_needed,
)
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.opening import no_judge, open_judge
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.relatives import judge_label
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.replies_file import RepliesFile
from synthetic_instruction_tuner.evaluation.benchmarks.published import place_of
from synthetic_instruction_tuner.models.hardware import detect
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.progress import Display
from synthetic_instruction_tuner.run.store import Store

JUDGE_CHECK = "judge_check"  # the fact that holds it


def check_judge_of(config: Config, output: Path, probed: int, display: Display) -> JudgeCheck:
    """Returns what the judge of a configuration does, and writes it.

    Args:
        config: names the judge, the files and the engine.
        output: gets `judge_check.json`, and `replies.jsonl`, from which an interrupted check goes on.
        probed: questions that are probed.
        display: shows how far it is.

    Raises:
        UserError: there is no judge, a file is missing, or the judge cannot be used.
        RunError: the judge does not answer, or makes no sense.
    """
    judge = config.evaluate.mt_bench.judge
    if judge.model is None:
        raise no_judge()
    bench = configured(config.evaluate)
    answers = published_answers(config)
    if not answers:
        display.say("The published answers are not here: the judge's ratings are not compared with a known order.")
    with RepliesFile(output / "replies.jsonl") as kept:
        if len(kept):
            display.say(f"{output} holds {len(kept):,} replies; those that fit are not asked for again.")
        with (
            open_judge(judge, config.engine, detect(config.engine.device), judge_label(judge, config), kept) as opened,
            display.task("judging", replies_needed(bench, answers, probed), "replies") as advance,
        ):
            found = check_judge(bench, opened, answers, probed=probed, done=advance)
    write_text(output / "judge_check.json", json.dumps(found.to_json(), indent=1) + "\n")
    return found


def published_answers(config: Config) -> Mapping[str, Answers]:
    """Returns the published answers of models of known order that are at hand.

    Raises:
        UserError: a file of answers is damaged.
    """
    place = place_of(NAME, config.evaluate.data_dir)
    files = {name: place.folder / "model_answer" / f"{name}.jsonl" for name in KNOWN_ORDER} if place else {}
    return {name: read_answers(file) for name, file in files.items() if file.is_file()}


def keep_with_run(folder: RunFolder, found: JudgeCheck) -> bool:
    """Stores the result in a run, whose report shows the verdict.

    Returns:
        Whether it was stored.

    Raises:
        UserError: another process works in the folder.
    """
    with folder.hold():
        store = Store.open(folder.store)
        try:
            store.set_fact(JUDGE_CHECK, found.to_json())
        finally:
            store.close()
    return True
