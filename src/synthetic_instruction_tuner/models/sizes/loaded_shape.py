"""The sizes of a model that is loaded, of which nobody need know the files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthetic_instruction_tuner.models.file_checks.soundness import stated_size
from synthetic_instruction_tuner.models.files import ModelShape, guessed_shape, key_value_width, query_width_of


def stated_shape(config: Mapping[str, Any], parameters: float) -> ModelShape:
    """Returns the sizes as a model's configuration states them, else a guess from its number of weights."""
    layers, hidden, words = (stated_size(config, what) or 0 for what in ("layers", "hidden", "vocabulary"))
    if min(layers, hidden, words) < 1:
        return guessed_shape(parameters)
    widths = stated_size(config, "inner") or 0, query_width_of(config, hidden)
    return ModelShape(parameters, layers, hidden, key_value_width(config, hidden), words, 0.0, *widths)
