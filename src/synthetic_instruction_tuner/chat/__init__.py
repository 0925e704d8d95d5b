"""Chat templates: the pre-query text, prompts, training ids and stop tokens, derived from any tokenizer.

Imports records and errors; the tokenizer is passed in.
Start with `template` (`ChatTemplate`); `turns` takes a template apart, `rendering` renders and encodes.
"""

from synthetic_instruction_tuner.chat.template import ChatTemplate

__all__ = ["ChatTemplate"]
