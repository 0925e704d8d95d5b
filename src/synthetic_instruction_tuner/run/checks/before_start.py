"""What is checked before any long work starts: settings, models, students, languages, disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.config.sections.data import KINDS
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.files import shape
from synthetic_instruction_tuner.models.hardware import Hardware, choose_device, choose_dtype
from synthetic_instruction_tuner.run.checks.finding import Check, NotReady
from synthetic_instruction_tuner.run.checks.judge_checks import judge_faults
from synthetic_instruction_tuner.run.checks.model_checks import check_models, check_number_formats, engine_lines
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.own_data.needs import data_faults, expected_rows
from synthetic_instruction_tuner.run.pipeline import stage_index

MIN_FREE_GB = 0.2  # a nano run takes 60 MB


def check_languages(config: Config) -> Check:
    """Returns whether the generated languages pass the filter."""
    from synthetic_instruction_tuner.config.languages import language_code

    generate, wanted = config.generate, config.filter.language
    if not config.data.magpie:
        return Check("languages", True, "nothing is generated")
    asked = {d.language or generate.language for d in generate.domains.values()} or {generate.language}
    other = sorted(language for language in asked if language and language_code(language) not in (wanted, None))
    only = language_code(other[0]) if len(other) == 1 and len(asked) == 1 else None
    return Check(
        "languages",
        not wanted or not other,
        f"generate asks for {', '.join(other)}, filter.language is {wanted}: those records would be dropped"
        if wanted and other
        else "the generated languages pass filter.language",
        f"Add --set filter.language={only or ''}",
    )


def check_disk(config: Config, folder: RunFolder) -> Check:
    """Returns whether the run's folder has room for what a run writes."""
    place = folder.root
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    needed = needed_gb(config)
    return Check(
        "disk",
        free >= needed,
        f"{free:.1f} GB free in {place.resolve()}, about {needed:.1f} GB needed",
        "Free some space, or use another --run-dir.",
    )


def needed_gb(config: Config) -> float:
    """Returns the disk space that a run's own files take: adapters with optimizer state, twice, and the data."""
    own = sum(expected_rows(config, kind) for kind in KINDS)
    adapters = sum(0.01 * (s.parameters if (s := shape(m)) else 7e9) * 16 for m in config.models.students) / 1e9
    return MIN_FREE_GB + adapters + (config.generate.count * config.data.magpie + own) * 2e-5


def check_before_start(config: Config, folder: RunFolder, hardware: Hardware, until: str | None = None) -> list[str]:
    """Stops before anything is loaded when the run cannot succeed; a run waits later for a server that is not up yet.

    Returns:
        What LoRA adapts in the students, in sentences.

    Raises:
        NotReady: naming everything that is missing.
    """
    from synthetic_instruction_tuner.run.checks.student_checks import check_students

    students = check_students(config, until, fetch=True)
    checks = [
        *check_own_data(config),
        *check_benchmarks(config, until),
        *check_judge(config, until),
        *check_agents(config, until),
        *_settings_checks(config, hardware, until),
        *check_models(config, until),
        check_languages(config),
        check_disk(config, folder),
        *students,
    ]
    if bad := [check for check in checks if not (check.ok or check.awaited)]:
        raise NotReady(bad)
    return [f"{check.name} {check.found}" for check in students]


def check_own_data(config: Config) -> list[Check]:
    """Returns what is wrong with the user's own files."""
    return [Check("data", False, f"{fault.problem} {fault.cause}", fault.fix) for fault in data_faults(config)]


def check_benchmarks(config: Config, until: str | None = None) -> list[Check]:
    """Returns damaged files of benchmarks, and with `evaluate.require` missing ones; others are left out of the run."""
    from synthetic_instruction_tuner.evaluation.benchmarks.at_hand import lacking

    if until is not None and stage_index(until, config) < stage_index("evaluate", config):
        return []
    try:
        found = lacking(config.evaluate).items()
    except UserError as error:
        return [Check("benchmarks", False, f"{error.problem} {error.cause}", error.fix)]
    required = config.evaluate.require
    if required:
        return [Check(name, False, one.missing, one.how) for name, one in found]
    then = {True: "goes on with what is there", False: "leaves the benchmark out"}
    return [
        Check(name, True, f"{one.missing} A run downloads the files if it can, and else {then[one.usable]}. {one.how}")
        for name, one in found
    ]


def check_judge(config: Config, until: str | None = None) -> list[Check]:
    """Returns what is wrong with the choice of MT-Bench's judge, for a run that evaluates."""
    if until is not None and stage_index(until, config) < stage_index("evaluate", config):
        return []
    return [Check("judge", False, f"{fault.problem} {fault.cause}", fault.fix) for fault in judge_faults(config)]


def check_agents(config: Config, until: str | None = None) -> list[Check]:
    """Returns what is wrong with the agents' tasks, their form, and the database server that the settings name."""
    from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import lacking
    from synthetic_instruction_tuner.run.checks.agent_form import check_form

    if not config.agents.benchmarks or (
        until is not None and stage_index(until, config) < stage_index("agents", config)
    ):
        return []
    try:
        lacking(config)
        if config.agents.mysql is not None:
            from synthetic_instruction_tuner.evaluation.agent_bench.db.choice import choose_databases

            choose_databases(config.agents.mysql)
        check_form(config, config.models.students)
    except UserError as error:
        return [Check("agents", False, f"{error.problem} {error.cause}", error.fix)]
    return []


def _settings_checks(config: Config, hardware: Hardware, until: str | None) -> list[Check]:
    """Returns what the settings name that is not here: files of benchmarks, a precision, a device, an engine."""

    def sources() -> None:
        from synthetic_instruction_tuner.evaluation.benchmarks.sources import check_sources

        check_sources(config.filter.contamination)

    asked: dict[str, Callable[[], object]] = {
        "precision": lambda: choose_dtype(hardware, config.engine.dtype),
        "device": lambda: choose_device(hardware, config.engine.device),
        "engines": lambda: engine_lines(config, hardware, until),
        "number formats": lambda: check_number_formats(config, hardware, until),
    }
    if until != "generate" and config.data.has_records:
        asked = {"contamination": sources} | asked
    found: dict[str, Check] = {}
    for name, ask in asked.items():
        try:
            ask()
        except UserError as error:
            check = Check(name, False, f"{error.problem} {error.cause}", error.fix)
            found.setdefault(check.found, check)  # an engine may need the device that is missing
    return list(found.values())
