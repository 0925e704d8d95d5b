"""What a run refuses because of its settings, the files that they name, and this machine: all of it at once."""

from __future__ import annotations

from collections.abc import Callable

from synthetic_instruction_tuner.config import Config
from synthetic_instruction_tuner.config.messages import nearest
from synthetic_instruction_tuner.errors import SitError, UserError, together
from synthetic_instruction_tuner.evaluation.benchmarks.sources import source_faults
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.models.hardware import Hardware, choose_device, choose_dtype
from synthetic_instruction_tuner.run.checks.before_start import check_languages
from synthetic_instruction_tuner.run.checks.judge_checks import judge_faults
from synthetic_instruction_tuner.run.checks.model_checks import check_number_formats, engine_lines
from synthetic_instruction_tuner.run.own_data.needs import data_faults
from synthetic_instruction_tuner.run.pipeline import stage_index, stage_names


def check_settings(config: Config, hardware: Hardware, until: str | None = None, here: bool = True) -> None:
    """Stops where a run with these settings would refuse to start; whether the models are there is not looked at.

    Args:
        config, hardware: the run's settings, and the machine.
        until: the run's last stage.
        here: whether the machine is this one; of another one it is not known what is installed.

    Raises:
        UserError: with all mistakes.
    """
    faults: list[SitError] = [*data_faults(config)]
    if until is None or stage_index(until, config) >= stage_index("evaluate", config):
        faults += judge_faults(config)
    if (until != "generate" or config.generate.until_kept is not None) and config.data.has_records:
        faults += source_faults(config.filter.contamination)
    checks: tuple[Callable[[], object], ...] = (
        lambda: choose_device(hardware, config.engine.device),
        lambda: choose_dtype(hardware, config.engine.dtype),
        lambda: engine_lines(config, hardware, until),
        lambda: check_number_formats(config, hardware, until),
        lambda: check_trackers(config, until),
    )
    for check in checks if here else checks[:2]:
        try:
            check()
        except UserError as error:
            if str(error) not in map(str, faults):
                faults.append(error)
    languages = check_languages(config)
    if not languages.ok:
        faults.append(UserError("The generated languages do not pass the filter.", languages.found, languages.fix))
    if faults:
        raise together(faults)


def check_trackers(config: Config, until: str | None) -> None:
    """Stops where training would report to something that is not installed."""
    names = stage_names(config)
    ahead = names[: names.index(until) + 1] if until else names
    if not config.train.report_to or not {method.name for method in METHODS} & set(ahead):
        return
    from synthetic_instruction_tuner.training.monitoring.trackers import require_trackers

    require_trackers(config.train.report_to)


def check_stages(config: Config | None, start: str | None, until: str | None) -> None:
    """Stops where ``--from`` and ``--until`` name no stages, or leave none to run.

    Args:
        config: the run's settings, on which the place of stage prefer depends; None if they are not known yet.

    Raises:
        UserError: with all mistakes.
    """
    names = stage_names(config)
    faults = []
    for option, name in (("--from", start), ("--until", until)):
        if name is not None and name not in names:
            near = nearest(name.strip().lower().replace("-", "_"), names)
            fix = f"Did you mean {option} {near}?" if near else f"Stages: {', '.join(names)}."
            faults.append(UserError(f"There is no stage '{name}'.", f"{option} names it.", fix))
    known = config is not None or "prefer" not in (start, until)
    if not faults and known and start and until and names.index(start) > names.index(until):
        faults.append(
            UserError(
                f"--from {start} comes after --until {until}: nothing would run.",
                f"The order is {', '.join(names)}.",
                f"Write --from {until} --until {start}, or leave one out.",
            )
        )
    if faults:
        raise together(faults)
