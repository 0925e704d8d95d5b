"""What each running row sees in a decode step: masks in the form that the model's layers expect."""

from __future__ import annotations

from typing import Any

import torch


class MaskMaker:
    """Makes the attention mask of a decode step in the form that the model's layers expect."""

    def __init__(self, model: Any) -> None:
        config = model.config.get_text_config()
        kinds = set(getattr(config, "layer_types", None) or ())
        self._window = getattr(config, "sliding_window", None)
        if not getattr(config, "use_sliding_window", True):
            self._window = None
        if not kinds:
            kinds = {"full_attention" if self._window is None else "sliding_attention"}
        self._kinds = sorted(kinds)
        self._additive = None if config._attn_implementation == "sdpa" else model.dtype

    def __call__(self, positions: torch.Tensor, length: int) -> Any:
        """Returns the mask [rows, 1, 1, length], or one for each kind of layer by name."""
        places = torch.arange(length, device=positions.device)
        masks = {}
        for kind in self._kinds:
            seen = places <= positions[:, None]
            if kind == "sliding_attention":
                seen &= places > positions[:, None] - self._window
            masks[kind] = self._form(seen[:, None, None])
        return masks if len(masks) > 1 else masks[self._kinds[0]]

    def spans(self, positions: torch.Tensor) -> Any:
        """Returns each row's first and last visible position, [rows, 1, 1, 2]; `KernelAttention`'s masks."""
        spans = {}
        for kind in self._kinds:
            first = torch.zeros_like(positions)
            if kind == "sliding_attention":
                first = (positions - self._window + 1).clamp(min=0)
            spans[kind] = torch.stack([first, positions], dim=-1).to(torch.int32)[:, None, None]
        return spans if len(spans) > 1 else spans[self._kinds[0]]

    def _form(self, seen: torch.Tensor) -> torch.Tensor:
        if self._additive is None:
            return seen
        lowest = torch.finfo(self._additive).min
        return torch.zeros_like(seen, dtype=self._additive).masked_fill(~seen, lowest)
