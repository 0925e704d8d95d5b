"""``sit doctor``: can a run start here?"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from synthetic_instruction_tuner.cli.options import (
    ConfigFile,
    Json,
    Profile,
    RunDir,
    Set,
    configuration,
    run_folder,
    whole_number,
)
from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.sources import source_faults
from synthetic_instruction_tuner.models.hardware import Hardware, choose_device, choose_dtype, detect
from synthetic_instruction_tuner.reporting.formatting import gigabytes
from synthetic_instruction_tuner.reporting.screen.table import Column, Table
from synthetic_instruction_tuner.reporting.screen.terminal import Screen
from synthetic_instruction_tuner.run.checks.before_start import (
    check_benchmarks,
    check_disk,
    check_languages,
    check_own_data,
)
from synthetic_instruction_tuner.run.checks.finding import Check, with_fixes
from synthetic_instruction_tuner.run.checks.model_checks import (
    check_models,
    check_number_formats,
    download_size,
    engine_lines,
)
from synthetic_instruction_tuner.run.checks.student_checks import check_students
from synthetic_instruction_tuner.run.folder import RunFolder, shown
from synthetic_instruction_tuner.run.number_formats import format_lines
from synthetic_instruction_tuner.run.planning import LESS_MEMORY, estimate, largest
from synthetic_instruction_tuner.run.roles import used_models

PACKAGES = ("torch", "transformers", "peft", "trl", "lm_eval", "datasets")


def doctor(
    model: Annotated[str | None, typer.Argument(help="A model to test as the generator.")] = None,
    profile: Profile = None,
    config: ConfigFile = None,
    set_: Set = None,
    run_dir: RunDir = None,
    as_json: Json = False,
    probes: Annotated[
        int,
        typer.Option(
            "--probes",
            help="How many instructions to sample from MODEL.",
            parser=whole_number("--probes", 1, 100_000),
            metavar="NUMBER",
        ),
    ] = 16,
) -> None:
    """Prints the findings."""
    if model is not None:
        from synthetic_instruction_tuner.cli.model_doctor import doctor_model, for_model

        overrides = [f"models.generator={json.dumps(model)}", *(set_ or [])]
        chosen = profile is not None or config is not None or any("instruction" in text for text in overrides[1:])
        if not doctor_model(for_model(configuration(profile, config, overrides, None), chosen), probes, as_json):
            raise typer.Exit(1)
        return
    resolved = configuration(profile, config, set_, None, run_dir)
    checks = examine(resolved, run_folder(resolved, run_dir))
    ready = all(check.ok for check in checks)
    if as_json:
        typer.echo(json.dumps({"ready": ready, "checks": [dataclasses.asdict(c) for c in checks]}))
    else:
        _print(resolved, checks, ready)
    if not ready:
        raise typer.Exit(1)


def examine(config: Config, folder: RunFolder) -> list[Check]:
    """Returns every finding."""
    hardware, wanted = detect(config.engine.device), config.filter.contamination
    return [
        Check("machine", True, hardware.describe()),
        _precision(config, hardware),
        _engines(config, hardware),
        _memory(config, hardware),
        _versions(),
        _run_folder(folder),
        check_disk(config, folder),
        check_languages(config),
        *check_own_data(config),
        *check_benchmarks(config),
        *(Check("files", False, f"{fault.problem} {fault.cause}", fault.fix) for fault in source_faults(wanted)),
        *check_models(config),
        *check_students(config),
    ]


def _precision(config: Config, hardware: Hardware) -> Check:
    try:
        device = choose_device(hardware, config.engine.device)
        dtype, reason = choose_dtype(hardware, config.engine.dtype)
    except UserError as error:
        return Check("precision", False, f"{error.problem} {error.cause}", error.fix)
    try:
        check_number_formats(config, hardware)
    except UserError as error:
        return Check("precision", False, f"{error.problem} {error.cause}", error.fix)
    few_bits = format_lines(config, hardware, used_models(config))
    return Check("precision", True, "; ".join([f"{dtype} on {device} ({reason})", *few_bits]))


def _engines(config: Config, hardware: Hardware) -> Check:
    try:
        return Check("engines", True, "; ".join(engine_lines(config, hardware)))
    except UserError as error:
        return Check("engines", False, f"{error.problem} {error.cause}", error.fix)


def _memory(config: Config, hardware: Hardware) -> Check:
    peak, have = largest(estimate(config, hardware)), hardware.memory_for_models_gb
    found = f"{gigabytes(have)}; stage {peak.stage} needs about {gigabytes(peak.memory_gb)}"
    return Check("memory", peak.memory_gb <= have, found, LESS_MEMORY)


def _run_folder(folder: RunFolder) -> Check:
    try:
        folder.require_current_format()
    except UserError as error:
        return Check("run folder", False, f"{error.problem} {error.cause}", error.fix)
    return Check(
        "run folder", True, f"{shown(folder.root)} {'will be resumed' if folder.store.exists() else 'will be created'}"
    )


def _versions() -> Check:
    found, missing = [f"Python {platform.python_version()}"], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    return Check("versions", not missing, ", ".join(found), f"Install {', '.join(missing)}.")


def _downloads(checks: Sequence[Check]) -> str:
    """Returns how much a run would download, in a sentence; nothing if that is nothing."""
    sizes = {check.name.split()[-1]: check.download_gb for check in checks if check.download_gb != 0}
    known = [size for size in sizes.values() if size is not None]
    if not sizes:
        return ""
    number = f"{len(sizes)} model" + "s" * (len(sizes) > 1)
    unknown = f"; the size of {len(sizes) - len(known)} of them is not known" if len(known) < len(sizes) else ""
    return f"To download for {number}: {download_size(sum(known) if known else None)}{unknown if known else ''}."


def _print(config: Config, checks: list[Check], ready: bool) -> None:
    screen = Screen()
    screen.say(f"Profile {config.profile}: {config.description}")
    table = Table(Column("", key=True), Column("", "name", key=True), Column(""), headings=False)
    for check, fix in with_fixes(checks):
        table.add("ok" if check.ok else "no", check.name, check.found, style="" if check.ok else "bold red")
        if fix:
            table.add("", "", f"fix: {fix}")
    screen.table(table)
    if downloads := _downloads(checks):
        screen.say(downloads)
    screen.say("Ready: 'sit run' can start." if ready else "Not ready: see the lines marked 'no'.")
