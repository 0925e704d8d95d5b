"""Training adapters with LoRA SFT, prompt tuning and DPO; a killed training resumes and ends with the same adapter.

Builds on TRL and PEFT; may import chat, models, data_files and config, and no other library of the package.
Start with `tuners`, which trains one student with one method, then `supervised` and `run_training`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synthetic_instruction_tuner.training.dpo import Dpo
    from synthetic_instruction_tuner.training.lora_sft import LoraSft
    from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning

__all__ = ["Dpo", "LoraSft", "PromptTuning"]


def __getattr__(name: str) -> Any:
    """Imports a class when it is asked for, because its module loads torch."""
    places = {"Dpo": "dpo", "LoraSft": "lora_sft", "PromptTuning": "prompt_tuning"}
    if name not in places:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{places[name]}"), name)
