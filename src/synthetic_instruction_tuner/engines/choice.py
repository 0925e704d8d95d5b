"""Chooses the engine that runs a model, with the reason. Imports nothing heavy: `sit doctor` and plans use it too."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.hardware import Hardware, choose_device
from synthetic_instruction_tuner.models.number_format import FOUR_BITS
from synthetic_instruction_tuner.models.quantization.held import held_as

Kind = Literal["transformers", "vllm", "server"]


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The chosen engine and the reason, in a few words."""

    kind: Kind
    why: str

    def describe(self) -> str:
        """Returns both in one line."""
        return f"{self.kind} ({self.why})"


def choose_engine(
    model: ModelConfig, config: EngineConfig, hardware: Hardware, *, student: bool = False
) -> EngineChoice:
    """Returns the engine for a model.

    Args:
        model: the model.
        config: the settings of the engine.
        hardware: this machine.
        student: the model is evaluated with and without adapters that were trained here. All its variants run on the
            same engine, so that they differ in nothing but the weights; a server does not have the adapters.

    Raises:
        UserError: the engine that the settings name is not available here.
    """
    device = choose_device(hardware, config.device)
    held = held_as(model)
    if config.kind == "vllm":
        _require_vllm(device)
        if held in FOUR_BITS:
            raise _not_in_vllm(model, held)
        return EngineChoice("vllm", "set in engine.kind")
    if config.kind == "transformers":
        return EngineChoice("transformers", "set in engine.kind")
    if config.kind not in ("auto", "server"):  # else a new kind would silently run as another one
        raise NotImplementedError(f"no rule says when the engine {config.kind} runs a model")
    if not student and on_a_server(model, config):
        return EngineChoice("server", f"its url is {model.url or config.url}")
    if config.kind == "server" and not student:
        raise UserError(f"{model.name} has no server.", "engine.kind is server", "Set engine.url or the model's url.")
    if student:
        return EngineChoice("transformers", "all variants of a student run on the same engine")
    if device != "cuda":
        return EngineChoice("transformers", "no GPU and no server url")
    if held:
        return EngineChoice("transformers", f"its weights are held as {held}")
    if not vllm_version():
        return EngineChoice("transformers", "vLLM is not installed, and there is no server url")
    return EngineChoice("vllm", f"there is a GPU, and vLLM {vllm_version()} is installed")


def on_a_server(model: ModelConfig, config: EngineConfig) -> bool:
    """Returns whether a model that is not a student runs on a server."""
    return config.kind in ("auto", "server") and bool(model.url or config.url)


def vllm_version() -> str:
    """Returns the version of the installed vLLM, empty if there is none, without importing it."""
    if find_spec("vllm") is None:
        return ""
    try:
        return version("vllm")
    except PackageNotFoundError:
        return "of unknown version"


def _not_in_vllm(model: ModelConfig, held: str) -> UserError:
    return UserError(
        f"{model.name} is held in 4 bits, and vLLM is not used for that.",
        f"engine.kind is vllm, and its weights are {held}",
        "Set engine.kind=auto: the transformers engine runs it. Or set its load_in_4bit to false.",
    )


def _require_vllm(device: str) -> None:
    if not vllm_version():
        raise UserError(
            "vLLM is not installed.",
            "engine.kind is vllm",
            "Install it: pip install 'synthetic-instruction-tuner[vllm]'. Or set engine.kind=transformers.",
        )
    if device != "cuda":
        raise UserError(
            "vLLM needs a GPU.", "engine.kind is vllm, and the device is cpu", "Set engine.kind=transformers."
        )
