"""IFEval's prompts, read from files and checked, and which of them are known to be faulty."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError
from synthetic_instruction_tuner.data_files.reading import read_rows
from synthetic_instruction_tuner.errors import UserError

NAME = "ifeval"
COUNT = 541  # of the published set, with 834 rules
SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet")

RULES: Mapping[str, frozenset[str]] = {
    rule: frozenset(arguments.split())
    for rule, arguments in {
        "change_case:capital_word_frequency": "capital_frequency capital_relation",
        "change_case:english_capital": "",
        "change_case:english_lowercase": "",
        "combination:repeat_prompt": "prompt_to_repeat",
        "combination:two_responses": "",
        "detectable_content:number_placeholders": "num_placeholders",
        "detectable_content:postscript": "postscript_marker",
        "detectable_format:constrained_response": "",
        "detectable_format:json_format": "",
        "detectable_format:multiple_sections": "num_sections section_spliter",
        "detectable_format:number_bullet_lists": "num_bullets",
        "detectable_format:number_highlighted_sections": "num_highlights",
        "detectable_format:title": "",
        "keywords:existence": "keywords",
        "keywords:forbidden_words": "forbidden_words",
        "keywords:frequency": "frequency keyword relation",
        "keywords:letter_frequency": "let_frequency let_relation letter",
        "language:response_language": "language",
        "length_constraints:nth_paragraph_first_word": "first_word nth_paragraph num_paragraphs",
        "length_constraints:number_paragraphs": "num_paragraphs",
        "length_constraints:number_sentences": "num_sentences relation",
        "length_constraints:number_words": "num_words relation",
        "punctuation:no_comma": "",
        "startend:end_checker": "end_phrase",
        "startend:quotation": "",
    }.items()
}
"""The kinds of rules, each with its arguments."""

FAULTY: Mapping[int, str] = {
    30: "one rule is listed twice, and the lower case that the prompt asks for is not checked",
    337: "the prompt asks for 400 words, the rule for 336",
    1122: "the rule counts a symbol, which the published scorer replaces by a random letter",
    1129: "the rule counts a symbol, which the published scorer replaces by a random letter",
    1174: "the prompt asks for at least 6 of a letter, the rule for fewer than 6",
    2078: "the prompt asks for exactly one bullet point and for a few",
}
"""Prompts whose rules are not what the prompt asks for, by key (google-research issues 3103, 3427; own checks)."""


@dataclass(frozen=True, slots=True)
class IfevalItem:
    """A prompt with its rules.

    Attributes:
        key: its published number.
        prompt: the user's turn.
        rules: kinds of rules with their arguments, in order.
    """

    key: int
    prompt: str
    rules: tuple[tuple[str, dict[str, Any]], ...]

    @property
    def id(self) -> str:
        """Its name in results."""
        return f"{NAME}-{self.key}"

    @property
    def faulty(self) -> bool:
        """Whether its rules are known not to be what it asks for."""
        return self.key in FAULTY


def read_items(folder: Path) -> tuple[IfevalItem, ...]:
    """Returns the prompts of a folder's files, in the files' order; the Hub calls their only part ``train``.

    Raises:
        UserError: a file is damaged, a row is none of IFEval's, two rows have one key, or there are none.
    """
    found: dict[int, IfevalItem] = {}
    for file in sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file()):
        for number, row, _ in read_rows(file):
            if isinstance(row, Mapping) and "prompt" in row and "response" in row:
                continue  # somebody's answers
            item = _item(row, file, number)
            if item.key in found:
                raise _broken(file, number, f"The key {item.key} is there twice.")
            found[item.key] = item
    if not found:
        fix = "Put input_data.jsonl of IFEval there, or run 'sit benchmarks fetch'."
        raise UserError(
            "The folder of ifeval holds no prompts.", f"{folder} has no JSONL or Parquet file of them.", fix
        )
    return tuple(found.values())


def items_digest(items: Sequence[IfevalItem]) -> str:
    """Returns a hash of the prompts and rules, the same for every order and file format."""
    plain = sorted([item.key, item.prompt, [list(rule) for rule in item.rules]] for item in items)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _item(row: Any, file: Path, number: int) -> IfevalItem:
    fields = ("key", "prompt", "instruction_id_list", "kwargs")
    if isinstance(row, ShapeError):
        raise _broken(file, number, f"It is cut off or damaged ({row}).")
    if not isinstance(row, Mapping) or any(field not in row for field in fields):
        lacking = [field for field in fields if not isinstance(row, Mapping) or field not in row]
        raise _broken(file, number, f"It lacks {', '.join(lacking)}.")
    key, prompt, kinds, arguments = (row[field] for field in fields)
    if isinstance(key, str) and key.strip().isdecimal():
        key = int(key)
    if not isinstance(key, int) or isinstance(key, bool):
        raise _broken(file, number, "Its key is no whole number.")
    if not isinstance(prompt, str) or not prompt.strip():
        raise _broken(file, number, "Its prompt is no text.")
    if not isinstance(kinds, list) or not isinstance(arguments, list) or not kinds or len(kinds) != len(arguments):
        raise _broken(file, number, "instruction_id_list and kwargs are not lists of the same length.")
    return IfevalItem(key, prompt, tuple(_rule(k, a, file, number) for k, a in zip(kinds, arguments, strict=True)))


def _rule(kind: Any, arguments: Any, file: Path, number: int) -> tuple[str, dict[str, Any]]:
    """Returns a rule; Parquet fills the arguments of all other kinds with nothing."""
    if kind not in RULES:
        raise _broken(file, number, f"IFEval has no rule {kind!r}.")
    if not isinstance(arguments, Mapping | None):
        raise _broken(file, number, "An entry of kwargs is no object.")
    given = {name: _whole(value) for name, value in (arguments or {}).items() if value is not None}
    if set(given) != RULES[kind]:
        wanted = ", ".join(sorted(RULES[kind])) or "no arguments"
        raise _broken(file, number, f"The rule {kind} has {', '.join(sorted(given)) or 'none'} instead of {wanted}.")
    return kind, given


def _whole(value: Any) -> Any:
    """Returns a number without fraction as a whole number: columns with gaps hold fractions."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _broken(file: Path, number: int, cause: str) -> UserError:
    fix = "Get the file again ('sit benchmarks fetch'), or correct that row."
    return UserError(f"Row {number} of {file} is no prompt of IFEval.", cause, fix)
