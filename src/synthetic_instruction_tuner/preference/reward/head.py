"""Which of a reward model's outputs is the score."""

from __future__ import annotations

from typing import Any

from synthetic_instruction_tuner.errors import UserError

GOOD = {"positive", "good", "chosen", "better", "helpful", "accepted", "accept", "yes", "true", "1", "label_1"}
BAD = {"negative", "bad", "rejected", "worse", "unhelpful", "harmful", "reject", "no", "false", "0", "label_0"}


class RewardHead:
    """Turns a model's outputs into scores.

    One output (a regression, a Bradley-Terry model) is the score. Of two, named good and bad, the
    score is their log-odds, good minus bad. Otherwise the user names one.

    Args:
        width: the number of the model's outputs.
        config: the model's configuration, for their names.
        label: the output to use, by name or number; empty: their number and names decide.

    Raises:
        UserError: it is unclear which output is the score, or there is no output of that name.
    """

    def __init__(self, width: int, config: Any, label: str = "") -> None:
        names = _names(width, config)
        self._plus, self._minus = _columns(names, label)

    def scores(self, logits: Any) -> list[float]:
        """Returns the scores of a batch from its outputs, [items, outputs] or [items]."""
        logits = logits.float().reshape(logits.shape[0], -1)
        found = logits[:, self._plus] - (logits[:, self._minus] if self._minus is not None else 0)
        return list(found.tolist())


def _names(width: int, config: Any) -> list[str]:
    known = getattr(config, "id2label", None) or {}
    names = {int(number): str(name) for number, name in known.items()}
    return [names.get(number, f"LABEL_{number}") for number in range(width)]


def _columns(names: list[str], label: str) -> tuple[int, int | None]:
    """Returns the output that counts for an answer, and the one that counts against it, if any."""
    lowered = [name.casefold() for name in names]
    if label:
        if label.casefold() in lowered:
            return lowered.index(label.casefold()), None
        if label.isdecimal() and int(label) < len(names):
            return int(label), None
        raise _unclear(names, f"prefer.reward_label is {label!r}, which is none of them.")
    if len(names) == 1:
        return 0, None
    if len(names) == 2:
        good = [i for i, name in enumerate(lowered) if name in GOOD]
        bad = [i for i, name in enumerate(lowered) if name in BAD]
        if len(good) == len(bad) == 1:
            return good[0], bad[0]
    raise _unclear(names, "It is not clear which of them is the score.")


def _unclear(names: list[str], cause: str) -> UserError:
    outputs = f"The reward model has {len(names)} outputs: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}."
    return UserError(
        outputs, cause, "Set prefer.reward_label to the output that is the score, or use a model with one output."
    )
