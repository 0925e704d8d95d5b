"""Which engine runs a model, and why. Imports nothing heavy: `sit doctor` and a run's opening lines ask it too."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.models.number_formats import choose_device

Kind = Literal["transformers", "vllm", "server"]


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine and the reason for it, in a few words."""

    kind: Kind
    why: str

    def describe(self) -> str:
        """Returns both in one line."""
        return f"{self.kind} ({self.why})"


def choose_engine(model: ModelConfig, config: EngineConfig, hardware: Hardware, *, student: bool = False) -> Choice:
    """Returns the engine for a model.

    Args:
        model: the model.
        config: the settings of the engine.
        hardware: this machine.
        student: the model is evaluated with and without adapters that were trained here. All its variants run on the
            same engine, so that only the weights differ; a server does not have them.

    Raises:
        UserError: the engine that the settings name cannot be used here.
    """
    device = choose_device(hardware, config.device)
    if config.kind == "vllm":
        _require_vllm(device)
        return Choice("vllm", "set in engine.kind")
    if config.kind == "transformers":
        return Choice("transformers", "set in engine.kind")
    if not student and on_a_server(model, config):
        return Choice("server", f"{model.url or config.url} is named for it")
    if config.kind == "server" and not student:
        raise UserError(
            f"No server is named for {model.name}.", "engine.kind is server", "Set engine.url, or the model's url."
        )
    if student:
        return Choice("transformers", "all variants of a student run on the same engine")
    if device != "cuda":
        return Choice("transformers", "no GPU, and no server is named")
    if not vllm_version():
        return Choice("transformers", "vLLM is not installed, and no server is named")
    return Choice("vllm", f"a GPU, and vLLM {vllm_version()} is installed")


def on_a_server(model: ModelConfig, config: EngineConfig) -> bool:
    """Returns whether a model that is no student runs on a server."""
    return config.kind in ("auto", "server") and bool(model.url or config.url)


def vllm_version() -> str:
    """Returns the installed vLLM's version, empty when there is none; vLLM is not imported."""
    if find_spec("vllm") is None:
        return ""
    try:
        return version("vllm")
    except PackageNotFoundError:
        return "of unknown version"


def _require_vllm(device: str) -> None:
    if not vllm_version():
        raise UserError(
            "vLLM is not installed.",
            "engine.kind is vllm",
            "Install it: pip install 'synthetic-instruction-tuner[vllm]'. Or set engine.kind=transformers.",
        )
    if device != "cuda":
        raise UserError("vLLM needs a GPU here.", "engine.kind is vllm", "Set engine.kind=transformers.")
