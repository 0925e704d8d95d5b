"""Texts on which an export is compared with what was trained: the logits of both, and how far they are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.records import Message

if TYPE_CHECKING:
    import torch

    from synthetic_instruction_tuner.chat.template import ChatTemplate

QUESTIONS = (
    "What is the sea?",
    "Name three colors, one per line.",
    "한국의 수도는 어디인가요?",
    "Write a short story about a fox that learns to swim, and end it with a question.",
)
ALLOWED = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 1e-1}
"""The largest difference that rounding explains, as a share of the largest logit, by the weights' type."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far the logits of an export are from those of the base model with its adapter.

    Attributes:
        largest: the largest difference of two logits.
        logit: the largest logit, in absolute numbers.
        positions: how many positions were compared, each over the whole vocabulary.
        same: at how many of them both have the same most likely token.
    """

    largest: float
    logit: float
    positions: int
    same: int

    def __str__(self) -> str:
        share = f"{self.same:,} of {self.positions:,} positions"
        return f"{self.largest:.2g} (logits up to {self.logit:.1f}; same most likely token at {share})"

    def require_rounding(self, dtype: str, what: str) -> None:
        """Stops where the difference is more than rounding.

        Raises:
            RunError: it is.
        """
        if not self.largest <= ALLOWED[dtype] * max(self.logit, 1.0):  # also what is no number
            raise RunError(
                f"The {what} does not compute what was trained.",
                f"its logits differ by {self}, which rounding to {dtype} does not explain",
                "Export the adapter alone (--adapter), and run it beside its base model.",
            )


def conversations(template: ChatTemplate) -> list[list[int]]:
    """Returns the token ids of the texts to compare: prompts, and a conversation of two turns."""
    first = [template.prompt_ids([Message("user", question)]) for question in QUESTIONS]
    turns = [Message("user", QUESTIONS[0]), Message("assistant", "Salt water."), Message("user", QUESTIONS[1])]
    return [*first, template.prompt_ids(turns)]


def logits(model: Any, rows: Sequence[Sequence[int]], vocabulary: int) -> torch.Tensor:
    """Returns the logits over the first `vocabulary` tokens at every position of the rows, in float32.

    Where a model puts virtual tokens in front of a row, their positions are left out.

    Args:
        model: what is called with ids and an attention mask.
        rows: token ids, read one by one: nothing is padded.
        vocabulary: how many tokens both models have.
    """
    import torch

    found = []
    for row in rows:
        ids = torch.tensor([list(row)])
        with torch.no_grad():
            out = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[0]
        found.append(out[-len(row) :, :vocabulary].float())
    return torch.cat(found)


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> Difference:
    """Returns how far logits are apart, both [positions, vocabulary]."""
    same = int((ours.argmax(-1) == theirs.argmax(-1)).sum())
    return Difference(float((ours - theirs).abs().max()), float(theirs.abs().max()), len(theirs), same)
