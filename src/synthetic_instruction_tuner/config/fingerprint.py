"""The hash used for everything that is compared: settings, inputs, results."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel


def fingerprint(*parts: object) -> str:
    """Returns a short hash of JSON-able values and pydantic models, the same on every machine."""
    plain = [p.model_dump(mode="json") if isinstance(p, BaseModel) else p for p in parts]
    text = json.dumps(plain, sort_keys=True, default=lambda m: m.model_dump(mode="json"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
