"""What goes into a model's forward pass and what comes out: padded ids, a soft prompt, the logits of some positions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from synthetic_instruction_tuner.models.architecture import learned_positions as learned_positions


def padded_inputs(
    texts: Sequence[Sequence[int]], model: Any, pad_id: int, device: str, soft_prompt: torch.Tensor | None
) -> dict[str, torch.Tensor]:
    """Returns `input_ids` [rows, longest], or `inputs_embeds` [rows, virtual + longest, hidden] with a soft prompt.

    Short rows are padded on the right: with causal attention no real token sees the padding, so no mask is needed and
    positions are 0, 1, 2, ... in every row.
    """
    width = max(map(len, texts))
    ids = torch.tensor([[*text, *[pad_id] * (width - len(text))] for text in texts], dtype=torch.long, device=device)
    if soft_prompt is None:
        return {"input_ids": ids}
    front = soft_prompt.expand(len(texts), -1, -1)
    if not width:
        return {"inputs_embeds": front.clone()}  # some models (CTRL) write into what they are given
    return {"inputs_embeds": torch.cat([front, model.get_input_embeddings()(ids).to(front.dtype)], dim=1)}


@contextmanager
def attention_of_any_shape() -> Iterator[None]:
    """Within this context attention is computed by kernels that are ready for every shape.

    cuDNN plans its own for each new shape, which takes far longer than to compute it once, and hardly two of our passes
    have the same.
    """
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


@contextmanager
def picked_positions(
    model: Any, rows: Sequence[int], columns: Sequence[int]
) -> Iterator[Callable[[torch.Tensor], torch.Tensor]]:
    """Within this context the model's output layer gets only the hidden states at (row, column).

    Full logits of long texts over a large vocabulary would fill a GPU's memory. Scaling and soft caps that a model
    applies after its output layer still apply, because the model's own forward pass runs.

    Yields:
        A function that turns the model's `logits` into [len(rows), vocabulary].
    """
    head, places = model.get_output_embeddings(), (list(rows), list(columns))
    if head is None:
        yield lambda logits: logits[places]
        return
    picked = False

    def pick(_: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        nonlocal picked
        if args[0].ndim != 3:  # not [rows, width, hidden]: an output layer of another kind
            return None
        picked = True
        return (args[0][places][None], *args[1:])

    handle = head.register_forward_pre_hook(pick)
    try:
        yield lambda logits: logits[0] if picked else logits[places]
    finally:
        handle.remove()
