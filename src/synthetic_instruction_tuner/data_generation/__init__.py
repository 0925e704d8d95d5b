"""Instruction-response records, written by a chat model from nothing but its chat template.

It may import engines, chat, models, config and records. Start reading in `magpie_generator`; `plan` says what each
record is asked for, `target` when enough have been written.
"""

from synthetic_instruction_tuner.data_generation.magpie_generator import MagpieGenerator

__all__ = ["MagpieGenerator"]
