"""Which of the benchmarks that a run names can run on this machine, and how to get the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from synthetic_instruction_tuner.config import EvaluateConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.evaluation.benchmarks.ifeval.punkt import fetch_punkt, find_punkt
from synthetic_instruction_tuner.evaluation.benchmarks.published import PUBLISHED, Availability, download, to_fetch


def usable(config: EvaluateConfig) -> tuple[str, ...]:
    """Returns the benchmarks of the settings that can run here, in order; damaged ones cannot."""
    return tuple(name for name in config.benchmarks if _usable(name, config))


def lacking(config: EvaluateConfig) -> dict[str, Availability]:
    """Returns what is missing of the settings' benchmarks, by name; those that lack nothing are not in it.

    Raises:
        UserError: the folder of the settings is not there, or a file is damaged.
    """
    require_folder(config)
    asked = {name: at_hand for name in config.benchmarks if (at_hand := benchmark(name).at_hand)}
    found = {name: at_hand(config.settings(name)) for name, at_hand in asked.items()}
    return {name: had for name, had in found.items() if had.missing}


def data_keys(config: EvaluateConfig) -> dict[str, str | None]:
    """Returns a hash of each public benchmark's files, None for those that cannot run here."""
    keyed = {name: key for name in config.benchmarks if (key := benchmark(name).data_key)}
    return {name: key(config.settings(name)) if _usable(name, config) else None for name, key in keyed.items()}


def fetch(config: EvaluateConfig, say: Callable[[str], None]) -> list[str]:
    """Downloads what the settings' benchmarks lack; says what came, and returns why the rest did not."""
    problems = []
    for name in (n for n in config.benchmarks if n in PUBLISHED):
        if to_fetch(name, config.data_dir):
            problem = download(name)
            if problem:
                problems.append(f"{name}: {problem}")
            else:
                say(f"Downloaded {name}.")
    if "ifeval" in config.benchmarks:
        try:
            find_punkt(Path(config.data_dir).expanduser() if config.data_dir else None)
        except UserError:
            problem = fetch_punkt()
            if problem:
                problems.append(f"Punkt for ifeval: {problem}")
            else:
                say("Downloaded NLTK's Punkt parameters.")
    return problems


def announce_missing(config: EvaluateConfig, say: Callable[[str], None]) -> bool:
    """Downloads what the settings' benchmarks lack, and says what is still missing; returns whether there was anything.

    Raises:
        UserError: the folder of the settings is not there, or a file is damaged.
    """
    if not lacking(config):
        return False
    fetch(config, say)
    for name, found in lacking(config).items():
        rest = "" if found.usable else " The evaluation leaves it out."
        say(f"Benchmark {name}: {found.missing}{rest} {found.how}")
    return True


def require_folder(config: EvaluateConfig) -> None:
    """Raises UserError where the settings name a folder that is not there."""
    if config.data_dir is not None and not Path(config.data_dir).expanduser().is_dir():
        raise UserError(
            f"The folder {config.data_dir} does not exist.",
            "evaluate.data_dir (or --data-dir) names it.",
            "Check the path; in a YAML file it is relative to that file, with --set to the working directory.",
        )


def _usable(name: str, config: EvaluateConfig) -> bool:
    at_hand = benchmark(name).at_hand
    try:
        return at_hand is None or at_hand(config.settings(name)).usable
    except UserError:
        return False
