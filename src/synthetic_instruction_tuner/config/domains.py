"""The ready-made domains: system prompts that steer a generator, and what they sample differently."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml


@cache
def ready_made() -> Mapping[str, dict[str, Any]]:
    """Returns the packaged domains' settings by name."""
    text = (resources.files(__package__) / "domains.yaml").read_text(encoding="utf-8")
    return {name: dict(values) for name, values in yaml.safe_load(text).items()}
