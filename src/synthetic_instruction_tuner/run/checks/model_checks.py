"""Whether each model can be loaded or is served, and which engine runs it."""

from __future__ import annotations

import contextlib
from typing import Any

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.engines.choice import choose_engine, on_a_server
from synthetic_instruction_tuner.errors import SitError, UserError
from synthetic_instruction_tuner.models.file_checks.checked_files import Fault
from synthetic_instruction_tuner.models.files import local_folder
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.models.quantization.held import missing_library, settled
from synthetic_instruction_tuner.records import Message
from synthetic_instruction_tuner.run.checks.finding import Check, NotReady
from synthetic_instruction_tuner.run.checks.judge_checks import check_endpoint, engine_of, is_endpoint
from synthetic_instruction_tuner.run.number_formats import role_format
from synthetic_instruction_tuner.run.pipeline import stage_index, stage_names
from synthetic_instruction_tuner.run.roles import used_models


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
        if role not in ("reward model", "tokenizer") and not is_endpoint(role, config):
            held = role_format(config, hardware, role, model)
            choice = choose_engine(
                settled(model, held) if held else model, engine_of(role, config), hardware, student=role == "student"
            )
            groups.setdefault(choice.describe(), []).append(role)
    return [f"{_together(roles)} on {engine}" for engine, roles in groups.items()]


def check_number_formats(config: Config, hardware: Hardware, until: str | None = None) -> None:
    """Stops where a model needs 4 bits on this machine and cannot have them.

    Raises:
        UserError: bitsandbytes is not installed, or the setting contradicts the model's files.
    """
    for role, model in models_until(config, until):
        held = role_format(config, hardware, role, model)
        if held and (fault := missing_library(settled(model, held))):
            raise UserError(f"The {role} {model.name} cannot be loaded: {held.describe()}.", fault.reason, fault.fix)


def _together(roles: list[str]) -> str:
    names = [name + "s" * (roles.count(name) > 1) for name in dict.fromkeys(roles)]
    return " and ".join(names) + (" runs" if len(roles) == 1 else " run")


def check_models(config: Config, until: str | None = None) -> list[Check]:
    """Returns for each model whether it can be loaded, or whether its server serves it."""
    return [_checked(role, model, config) for role, model in models_until(config, until)]


def _checked(role: str, model: ModelConfig, config: Config) -> Check:
    from synthetic_instruction_tuner.models.availability import availability

    if is_endpoint(role, config):
        return check_endpoint(config)
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
    if fault := _weights_fault(role, here):
        return Check(f"{role} {model.name}", False, fault.reason, fault.fix)
    found = "inside the package" if model.path.startswith("nano:") else f"in {where.folder}"
    return Check(f"{role} {model.name}", True, found)


def _weights_fault(role: str, model: ModelConfig) -> Fault | None:
    """Returns why a model's weights do not fit its configuration; the embedded ones do."""
    from synthetic_instruction_tuner.models.loading import weights_fault

    if role == "tokenizer" or model.path.startswith("nano:"):
        return None
    return weights_fault(model, reward=role == "reward model")


def _is_served(role: str, model: ModelConfig, config: Config) -> bool:
    return role not in ("student", "reward model", "tokenizer") and on_a_server(model, engine_of(role, config))


def _needs(role: str, served: bool) -> dict[str, Any]:
    """Returns what of a model has to be there, for its role."""
    only_tokenizer = served or role == "tokenizer"
    return {"weights": not only_tokenizer, "reward": None if only_tokenizer else role == "reward model"}


def check_local_models(config: Config) -> None:
    """Reads the files of the models on this machine, without loading anything; of others, the Hub id is looked at.

    Raises:
        NotReady: some are damaged, or named in a way in which no model can be.
    """
    from synthetic_instruction_tuner.models.availability import id_fault, local_fault

    bad = []
    for role, model in used_models(config):
        if is_endpoint(role, config):
            continue
        folder = local_folder(model)
        needs = _needs(role, _is_served(role, model, config))
        fault = local_fault(model, folder, **needs) if folder else id_fault(model)
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
        engine = open_server(model, engine_of(role, config), ChatTemplate.from_tokenizer(load_tokenizer(model)), wait=0)
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
