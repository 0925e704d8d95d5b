"""Models: where they are, what their files say, how to load them, and what they require of this machine.

Imports config and errors; torch, transformers and peft only inside functions.
Start with `loading`; `files` reads a model's files without loading it, `hardware` chooses the device and precision.
"""

from synthetic_instruction_tuner.models.hardware import Hardware, detect

__all__ = ["Hardware", "detect"]
