"""Training adapters with LoRA SFT, prompt tuning and DPO; a killed training resumes and ends with the same adapter.

Builds on TRL and PEFT; may import chat, models, data_files and config, and no other library of the package.
Start with `tuners`, which trains one student with one method, then `supervised` and `run_training`.
"""

from typing import TYPE_CHECKING

from synthetic_instruction_tuner.lazy_names import lazy_names

if TYPE_CHECKING:
    from synthetic_instruction_tuner.training.dpo import Dpo
    from synthetic_instruction_tuner.training.lora_sft import LoraSft
    from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning

__all__ = ["Dpo", "LoraSft", "PromptTuning"]

__getattr__ = lazy_names(__name__, {"Dpo": "dpo", "LoraSft": "lora_sft", "PromptTuning": "prompt_tuning"})
