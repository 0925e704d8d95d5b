"""Whether a tokenizer's files can be what they say: the vocabulary is there, and settings have the types they need.

A library that is given another type fails in its own words, which name neither the file nor the field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.models.file_checks.checked_files import Unsound, exists, impostor, regular, shortened

SETTINGS = "tokenizer_config.json"
_VOCABULARIES = ("tokenizer.model", "spm.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt", "merges.txt")
_SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def check_tokenizer(folder: Path, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Checks the files of a tokenizer.

    Args:
        folder: where they are.
        documents: what the JSON files hold, by name.

    Raises:
        Unsound, OSError: one of them is damaged, or holds something of another type.
    """
    for name in _VOCABULARIES:
        if exists(folder / name) and regular(folder / name) and (fault := impostor(folder / name)):
            raise fault
    settings = documents.get(SETTINGS, {})
    for name, (fits, needed) in _TYPES.items():
        if settings.get(name) is not None and not fits(settings[name]):
            raise Unsound(folder / SETTINGS, f"has {shortened(settings[name])} for {name}, where {needed} belongs")


def _is_token(value: Any) -> bool:
    saved = isinstance(value, dict) and value.get("__type") == "AddedToken"
    return isinstance(value, str) or (saved and isinstance(value.get("content"), str))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_template(value: Any) -> bool:
    pairs = isinstance(value, list) and all(
        isinstance(one, dict) and _is_text(one.get("name")) and _is_text(one.get("template")) for one in value
    )
    return isinstance(value, str) or pairs


def _are_tokens(value: Any) -> bool:
    named = list(value.values()) if isinstance(value, dict) else value
    return isinstance(named, list) and all(_is_token(one) or isinstance(one, dict) for one in named)


def _are_numbered(value: Any) -> bool:
    return isinstance(value, dict) and all(
        key.isdecimal() and isinstance(one, dict) and _is_text(one.get("content")) for key, one in value.items()
    )


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(_SPECIAL, (_is_token, "a token")),
    "tokenizer_class": (_is_text, "the name of a class"),
    "model_max_length": (_is_number, "a number"),
    "chat_template": (_is_template, "a template, or a list of templates with their names"),
    "added_tokens_decoder": (_are_numbered, "tokens by their numbers"),
    "additional_special_tokens": (_are_tokens, "a list of tokens"),
    "extra_special_tokens": (_are_tokens, "a list of tokens"),
    "padding_side": (("left", "right").__contains__, 'one of "left" and "right"'),
    "truncation_side": (("left", "right").__contains__, 'one of "left" and "right"'),
    "model_input_names": (_are_texts, "a list of names"),
}
