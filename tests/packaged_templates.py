"""The chat templates that TRL brings along, each on a byte-level tokenizer with the template's own special tokens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import trl

from random_models import SPECIALS, byte_tokenizer

TEMPLATES = sorted((Path(trl.__file__).parent / "chat_templates").glob("*.jinja"))
MARKS = r"<[|\uff5c][^<>{}'\"]*?[|\uff5c]>|<(?:start|end)_of_turn>|<turn\|>|<\|turn>|\[/?INST\]|<end_of_utterance>"


def tokenizer_with(source: str) -> Any:
    """Returns a byte-level tokenizer with the template and every mark in it that looks like a special token."""
    return byte_tokenizer(source, tuple(dict.fromkeys((*SPECIALS, *sorted(set(re.findall(MARKS, source)))))))
