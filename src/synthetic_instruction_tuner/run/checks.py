"""Checks before any long work starts: the models exist, the device exists, the disk has room."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.config.sections.data import KINDS
from synthetic_instruction_tuner.engines.choice import choose_engine, on_a_server
from synthetic_instruction_tuner.errors import SitError, UserError
from synthetic_instruction_tuner.models.files import local_folder, shape
from synthetic_instruction_tuner.models.hardware import Hardware, choose_device, choose_dtype
from synthetic_instruction_tuner.records import Message
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.own_data.needs import data_faults, expected_rows
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
        download_gb: how much a run downloads for it, in GB of 1e9 bytes; None where that is not known.
    """

    name: str
    ok: bool
    found: str
    fix: str = ""
    awaited: bool = False
    download_gb: float | None = 0.0


class NotReady(UserError):
    """A run cannot start, for one reason or several; each is shown with its fix."""

    def __init__(self, bad: Sequence[Check]) -> None:
        self.bad = tuple(bad)
        first = bad[0]
        problem = f"The run cannot start: {first.name} is not ready."
        if len(bad) > 1:
            problem = f"The run cannot start: {len(bad)} things are not ready."
        super().__init__(problem, first.found, first.fix)

    def lines(self) -> list[str]:
        """Returns the lines to show: a fix that several faults have in common stands once, after the last of them."""
        if len(self.bad) == 1:
            return super().lines()
        shown = [self.problem]
        for check, fix in with_fixes(self.bad):
            shown.append(f"  {check.name}: {check.found}")
            shown += [f"    fix: {fix}"] if fix else []
        return shown


def with_fixes(checks: Iterable[Check]) -> Iterator[tuple[Check, str]]:
    """Yields each finding with the fix to show after it; findings with the same fix follow each other."""
    groups: dict[object, list[Check]] = {}
    for check in checks:
        groups.setdefault(check.name if check.ok else check.fix, []).append(check)
    for group in groups.values():
        together = f" ({len(group)} times)" if len(group) > 1 else ""
        for check in group[:-1]:
            yield check, ""
        last = group[-1]
        yield last, last.fix + together if last.fix and not last.ok else ""


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
    return [_checked(role, model, config) for role, model in models_until(config, until)]


def _checked(role: str, model: ModelConfig, config: Config) -> Check:
    from synthetic_instruction_tuner.models.availability import availability

    served = _is_served(role, model, config)
    where = availability(model, **_needs(role, served))
    if where.fault is not None:
        about = f"; {download_size(where.download_gb)} to download" if where.download_gb else ""
        return Check(
            f"{role} {model.name}", False, where.fault.reason + about, where.fault.fix, False, where.download_gb
        )
    if where.folder is None:
        found = f"on the Hub, {download_size(where.download_gb)} to download"
        return (
            _served(role, model, config)
            if served
            else Check(f"{role} {model.name}", True, found, download_gb=where.download_gb)
        )
    here = model if local_folder(model) else model.model_copy(update={"path": str(where.folder), "revision": None})
    if error := _tokenizer_fault(here, chats=role not in ("reward model", "tokenizer")):
        return Check(f"{role} {model.name}", False, f"{error.problem} {error.cause}", error.fix)
    if served:
        return _served(role, model, config)
    found = "inside the package" if model.path.startswith("nano:") else f"in {where.folder}"
    return Check(f"{role} {model.name}", True, found)


def _is_served(role: str, model: ModelConfig, config: Config) -> bool:
    return role not in ("student", "reward model", "tokenizer") and on_a_server(model, config.engine)


def _needs(role: str, served: bool) -> dict[str, Any]:
    """Returns what of a model has to be there, for its role."""
    only_tokenizer = served or role == "tokenizer"
    return {"weights": not only_tokenizer, "reward": None if only_tokenizer else role == "reward model"}


def check_local_models(config: Config) -> None:
    """Reads the files of the models on this machine, without loading anything; those that are elsewhere are left out.

    Raises:
        NotReady: some are damaged.
    """
    from synthetic_instruction_tuner.models.availability import local_fault

    bad = []
    for role, model in used_models(config):
        folder = local_folder(model)
        fault = local_fault(model, folder, **_needs(role, _is_served(role, model, config))) if folder else None
        if fault and not (fault.absent and not model.path.startswith("nano:")):  # planned here, run elsewhere
            bad.append(Check(f"{role} {model.name}", False, fault.reason, fault.fix))
    if bad:
        raise NotReady(bad)


def download_size(size: float | None) -> str:
    """Returns a download's size in words."""
    return "an unknown size" if size is None else f"about {size:.1f} GB" if size >= 0.05 else "less than 0.1 GB"


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


def _tokenizer_fault(model: ModelConfig, chats: bool) -> UserError | None:
    """Returns why a model's tokenizer, which is on this machine, cannot be used for what it is for."""
    from synthetic_instruction_tuner.chat.rendering import Renderer, TurnsRejected
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.models.loading import load_tokenizer

    try:
        tokenizer = load_tokenizer(model)
        if chats:
            ChatTemplate.from_tokenizer(tokenizer)
        elif tokenizer.chat_template:  # a reward model may read conversations; what it rejects, it reads another way
            with contextlib.suppress(TurnsRejected):
                Renderer(tokenizer).render([Message("user", "Why?"), Message("assistant", "Because.")])
    except UserError as error:
        return error
    return None


def check_languages(config: Config) -> Check:
    """Returns whether the generated languages pass the filter."""
    from synthetic_instruction_tuner.config.languages import detectable, language_code

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
    own = sum(expected_rows(config, kind) for kind in KINDS)
    adapters = sum(0.01 * (s.parameters if (s := shape(m)) else 7e9) * 16 for m in config.models.students) / 1e9
    return MIN_FREE_GB + adapters + (config.generate.count * config.data.magpie + own) * 2e-5


def check_before_start(config: Config, folder: RunFolder, hardware: Hardware, until: str | None = None) -> None:
    """Stops before anything is loaded when the run cannot succeed; a run waits later for a server that is not up yet.

    Raises:
        NotReady: naming everything that is missing.
    """
    checks = [
        *check_own_data(config),
        *_settings_checks(config, hardware, until),
        *check_models(config, until),
        check_languages(config),
        check_disk(config, folder),
    ]
    if bad := [check for check in checks if not (check.ok or check.awaited)]:
        raise NotReady(bad)


def check_own_data(config: Config) -> list[Check]:
    """Returns what is wrong with the user's own files."""
    return [Check("data", False, f"{fault.problem} {fault.cause}", fault.fix) for fault in data_faults(config)]


def _settings_checks(config: Config, hardware: Hardware, until: str | None) -> list[Check]:
    """Returns what the settings name that is not here: files of benchmarks, a precision, a device, an engine."""

    def sources() -> None:
        from synthetic_instruction_tuner.evaluation.benchmarks.sources import check_sources

        check_sources(config.filter.contamination)

    asked: dict[str, Callable[[], object]] = {
        "precision": lambda: choose_dtype(hardware, config.engine.dtype),
        "device": lambda: choose_device(hardware, config.engine.device),
        "engines": lambda: engine_lines(config, hardware, until),
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
