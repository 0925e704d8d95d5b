"""The base class of all sections of the configuration."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the configuration: immutable; unknown keys are errors. Pydantic's own messages show no values."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


def checked_url(value: str | None) -> str | None:
    """Rejects invalid server addresses, and addresses with a password: settings are written to files."""
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it must begin with http:// or https:// and a host, such as http://127.0.0.1:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("it must not hold a password, a key or a query; keys go into engine.api_key_env's variable")
    return value


def checked_variable(value: str) -> str:
    """Rejects an invalid name of an environment variable: it may be the key itself, by mistake."""
    if value and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("it must be the name of an environment variable, not the key itself, such as MY_SERVER_KEY")
    return value
