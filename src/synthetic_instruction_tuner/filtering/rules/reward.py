"""The rule on a reward model's scores.

The model belongs to the preference package, which this one does not import: the caller hands it over as a
`RewardScorer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering.rule import Ask, ModelRule, Verdict, model_identity
from synthetic_instruction_tuner.records import Message, Record


class Scorer(Protocol):
    """A loaded reward model."""

    def score(
        self, items: Sequence[tuple[Sequence[Message], str]], done: Callable[[int], None] | None = None
    ) -> list[float]:
        """Returns a score per prompt and response; NaN where the model gives none."""


@dataclass(frozen=True)
class RewardScorer:
    """The reward model that records are scored with.

    Attributes:
        model: which model.
        settings: the settings that its scores depend on, as plain JSON values.
        batch: the number of records whose scores are stored together.
        load: loads the model, which is released when the block ends.
    """

    model: ModelConfig
    settings: Mapping[str, Any]
    batch: int
    load: Callable[[], AbstractContextManager[Scorer]]


@dataclass(frozen=True)
class MinReward(ModelRule):
    """The reward model's score must reach `lowest`; a record without a score is dropped.

    Attributes:
        lowest: the lowest score that stays.
        scorer: the reward model; without one the rule can only decide on scores that are already known.
    """

    lowest: float
    scorer: RewardScorer | None = None
    name: ClassVar[str] = "reward"

    def basis(self) -> dict[str, Any]:
        """Returns which model scores, and how."""
        if self.scorer is None:
            return {"model": None}
        return {"model": model_identity(self.scorer.model)} | dict(self.scorer.settings)

    def limits(self) -> dict[str, Any]:
        """Returns the lowest score."""
        return {"min_reward": self.lowest}

    @property
    def batch(self) -> int:
        """The number of records whose scores are stored together."""
        return self.scorer.batch if self.scorer else 1

    @contextmanager
    def open(self) -> Iterator[Ask]:
        """Loads the reward model; raises UserError where there is none."""
        if self.scorer is None:
            raise UserError("Rewards cannot be computed.", "No reward model was given.", "Leave out filter.min_reward.")
        with self.scorer.load() as model:

            def ask(records: Sequence[Record], done: Callable[[int], None]) -> list[Any]:
                scores = model.score([(record.prompt_messages(), record.response) for record in records], done)
                return [score if math.isfinite(score) else None for score in scores]

            yield ask

    def columns(self, signal: float | None) -> dict[str, Any]:
        """Returns the score."""
        return {"reward": signal}

    def decide(self, signal: float | None) -> Verdict:
        """Compares the score with the lowest one."""
        if signal is None:
            return Verdict(self.name, False, None, self.lowest, "the reward model gave no score")
        passed = signal >= self.lowest
        reason = "" if passed else f"the reward {signal:.3f} is below {self.lowest:g}"
        return Verdict(self.name, passed, round(signal, 6), self.lowest, reason)
