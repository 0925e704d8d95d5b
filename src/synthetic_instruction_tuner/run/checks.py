"""Checks before any long work starts: the models exist, the device exists, the disk has room."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.engines.choice import choose_engine, on_a_server
from synthetic_instruction_tuner.errors import SitError, UserError
from synthetic_instruction_tuner.models.files import local_folder, shape
from synthetic_instruction_tuner.models.hardware import Hardware, choose_device, choose_dtype
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.pipeline import stage_index, stage_names
from synthetic_instruction_tuner.run.roles import used_models

MIN_FREE_GB = 0.2  # a nano run takes 60 MB


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of the doctor.

    Attributes:
        name: what was looked at.
        ok: whether a run can start.
        found: what was found.
        fix: what to do when it is not ok.
        awaited: whether a run starts anyway and waits for it.
    """

    name: str
    ok: bool
    found: str
    fix: str = ""
    awaited: bool = False


def models_until(config: Config, until: str | None = None) -> list[tuple[str, ModelConfig]]:
    """Returns the models that a run as far as the stage `until` loads, with their roles."""
    return used_models(config, stage_names(config)[: stage_index(until, config) + 1] if until else None)


def engine_lines(config: Config, hardware: Hardware, until: str | None = None) -> list[str]:
    """Returns which engine runs which models, and why: a line for each that differs from the others.

    Raises:
        UserError: the settings name an engine that cannot be used here.
    """
    groups: dict[str, list[str]] = {}
    for role, model in models_until(config, until):
        if role not in ("reward model", "tokenizer"):
            choice = choose_engine(model, config.engine, hardware, student=role == "student")
            groups.setdefault(choice.describe(), []).append(role)
    return [f"{_together(roles)} on {engine}" for engine, roles in groups.items()]


def _together(roles: list[str]) -> str:
    names = [name + "s" * (roles.count(name) > 1) for name in dict.fromkeys(roles)]
    return " and ".join(names) + (" runs" if len(roles) == 1 else " run")


def check_models(config: Config, until: str | None = None) -> list[Check]:
    """Returns for each model whether it can be loaded, or whether its server serves it."""
    from synthetic_instruction_tuner.models.loading import missing_reason

    checks = []
    for role, model in models_until(config, until):
        if role not in ("student", "reward model", "tokenizer") and on_a_server(model, config.engine):
            checks.append(_served(role, model, config))
            continue
        reason = missing_reason(model) or (
            _template_fault(model) if role not in ("reward model", "tokenizer") else None
        )
        checks.append(Check(f"{role} {model.name}", reason is None, reason or _found(model), _model_fix(model)))
    return checks


def _served(role: str, model: ModelConfig, config: Config) -> Check:
    """Asks the model's server for a few tokens, which also proves that it reads prompts correctly."""
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.engines.server.probe import Unreachable, open_server
    from synthetic_instruction_tuner.models.loading import load_tokenizer

    name = f"{role} {model.name}"
    try:
        engine = open_server(model, config.engine, ChatTemplate.from_tokenizer(load_tokenizer(model)), wait=0)
    except SitError as error:
        return Check(name, False, f"{error.problem} {error.cause}", error.fix, isinstance(error, Unreachable))
    return Check(name, True, f"on {engine.describe()}")


def _template_fault(model: ModelConfig) -> str | None:
    """Returns why a local model cannot be used for chat; a Hub model is only examined once it is downloaded."""
    folder = local_folder(model)
    if folder is None:
        return None
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.models.loading import load_tokenizer

    try:
        ChatTemplate.from_tokenizer(load_tokenizer(model))
    except UserError as error:
        return f"{error.problem} {error.cause}"
    return None


def check_languages(config: Config) -> Check:
    """Returns whether the generated languages pass the filter."""
    from synthetic_instruction_tuner.config.languages import detectable, language_code

    generate, wanted = config.generate, config.filter.language
    asked = {d.language or generate.language for d in generate.domains.values()} or {generate.language}
    other = sorted(language for language in asked if language and language_code(language) not in (wanted, None))
    only = language_code(other[0]) if len(other) == 1 and len(asked) == 1 else None
    return Check(
        "languages",
        not wanted or not other,
        f"generate asks for {', '.join(other)}, filter.language is {wanted}: those records would be dropped"
        if wanted and other
        else "the generated languages pass filter.language",
        f"Add --set filter.language={only if only in detectable() else ''}",
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
    adapters = sum(0.01 * (s.parameters if (s := shape(m)) else 7e9) * 16 for m in config.models.students) / 1e9
    return MIN_FREE_GB + adapters + config.generate.count * 2e-5


def check_before_start(config: Config, folder: RunFolder, hardware: Hardware, until: str | None = None) -> None:
    """Stops before anything is loaded when the run cannot succeed; a run waits later for a server that is not up yet.

    Raises:
        UserError: naming the first thing that is missing, and how many more there are.
    """
    if until != "generate":
        from synthetic_instruction_tuner.evaluation.benchmarks.sources import check_sources

        check_sources(config.filter.contamination)
    choose_dtype(hardware, config.engine.dtype)
    choose_device(hardware, config.engine.device)
    engine_lines(config, hardware, until)
    checks = (*check_models(config, until), check_languages(config), check_disk(config, folder))
    bad = [check for check in checks if not (check.ok or check.awaited)]
    if bad:
        more = f" ({len(bad) - 1} more: see 'sit doctor')" if len(bad) > 1 else ""
        raise UserError(f"The run cannot start: {bad[0].name} is not ready.{more}", bad[0].found, bad[0].fix)


def _found(model: ModelConfig) -> str:
    folder = local_folder(model)
    if model.path.startswith("nano:"):
        return "inside the package"
    return f"in {folder}" if folder else "on the Hub or cached"


def _model_fix(model: ModelConfig) -> str:
    if local_folder(model) is not None:
        return "Name a folder that holds the model with --set models...; chat_template gives a base model a template."
    return "Download it ('hf download NAME'), log in ('hf auth login') if it is gated, or name a local folder."
