"""The base class of all sections of the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Le, Lt
from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from synthetic_instruction_tuner.web_addresses import address_fault, holds_secret

LARGEST = 1_000_000_000  # of a whole number that has no limit of its own
LARGEST_FRACTION = 1e15
LONGEST_PATH, LONGEST_NAME = 4000, 255  # of file systems, in bytes


class Section(BaseModel):
    """A part of the configuration: immutable; unknown keys are errors. Pydantic's own messages show no values."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _of_its_kind(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuses what pydantic would convert: true or 5.0 for a whole number, "5" for a number, "yes" for a switch."""
        field = cls.model_fields[str(info.field_name)]
        kinds = {field.annotation, *get_args(field.annotation)}
        if fault := _fault(value, kinds):
            raise ValueError(fault)
        if any(isinstance(text, str) and holds_secret(text) for text in _texts(value)) and info.field_name != "url":
            raise ValueError("it must not hold a password or a key in a web address: settings are written to files")
        if type(value) in (int, float) and not any(isinstance(limit, (Le, Lt)) for limit in field.metadata):
            largest = LARGEST if float not in kinds else LARGEST_FRACTION
            if abs(value) > largest:
                raise ValueError(f"it must be between -{largest:,.0f} and {largest:,.0f}")
        return value


def _texts(value: object) -> Iterable[object]:
    """Returns a value, the entries of a list, or the keys of a section, which checks its values itself."""
    return value if isinstance(value, (list, tuple, dict)) else [value]


def _fault(value: object, kinds: set[Any]) -> str:
    """Returns why a value is not of one of these kinds, or an empty text; of other kinds is everything."""
    if isinstance(value, str):
        if "\0" in value:
            return "it must not hold a NUL character"
        if not value and str in kinds and type(None) in kinds:
            return "it must not be empty; write null for none"
        if str in kinds:
            return ""
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    if (value is None and type(None) in kinds) or (isinstance(value, str) and value in words):
        return ""
    if words and bool in kinds and not isinstance(value, bool):
        return f"it must be {', '.join(words)}, true or false"
    if bool in kinds and not isinstance(value, bool):
        return "it must be true or false"
    if int in kinds and (isinstance(value, bool) or not isinstance(value, int)):
        return "it must be a whole number, in digits"
    if float in kinds and (isinstance(value, bool) or not isinstance(value, (int, float))):
        return "it must be a number, such as 0.5 or 2e-4"
    return ""


def refuse(*faults: str | None) -> None:
    """Raises ValueError with all the faults that there are."""
    if found := [fault for fault in faults if fault]:
        raise ValueError("; ".join(found))


def repeated(values: tuple[str, ...]) -> str | None:
    """Returns the fault of a list that names something twice, or None."""
    twice = [value for value in dict.fromkeys(values) if values.count(value) > 1]
    return f"{twice[0]!r} is named twice" if twice else None


def checked_list(values: tuple[str, ...]) -> tuple[str, ...]:
    """Rejects lists that name something twice, or hold an empty text."""
    refuse(repeated(values), None if all(value.strip() for value in values) else "an entry is empty")
    return values


def checked_path(value: str | None) -> str | None:
    """Rejects paths that no file system takes."""
    if value is not None:
        longest = max((len(part.encode(errors="replace")) for part in Path(value).parts), default=0)
        if longest > LONGEST_NAME or len(value.encode(errors="replace")) > LONGEST_PATH:
            raise ValueError(f"the path is too long: at most {LONGEST_NAME} bytes per name, {LONGEST_PATH:,} in all")
    return value


def checked_url(value: str | None) -> str | None:
    """Rejects invalid server addresses, and addresses with a password: settings are written to files."""
    if value is None:
        return None
    refuse(address_fault(value))
    return value


def checked_variable(value: str) -> str:
    """Rejects an invalid name of an environment variable: it may be the key itself, by mistake."""
    if value and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("it must be the name of an environment variable, not the key itself, such as MY_SERVER_KEY")
    return value
