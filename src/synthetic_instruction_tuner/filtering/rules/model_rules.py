"""Rules that decide on a model's word: tags from a chat model, the score of a reward model.

The rules hold what a model said against limits. Asking the model is done beforehand, in resumable batches (see
`stages.measuring`), so that changed limits decide again without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from synthetic_instruction_tuner.config import ModelConfig, TagsConfig
from synthetic_instruction_tuner.filtering.rule import Rule, Verdict
from synthetic_instruction_tuner.filtering.rules.tagging import PROMPT_VERSION
from synthetic_instruction_tuner.models.files import identity


@dataclass(frozen=True)
class Tags(Rule):
    """The chat model's tags must be within the limits; what it did not tag stays."""

    config: TagsConfig
    name: ClassVar[str] = "tags"

    def basis(self) -> dict[str, Any]:
        """Returns which model tags, and how it is asked."""
        model = model_facts(self.config.model) if self.config.model else None
        return {"model": model, "prompt": PROMPT_VERSION, "max_new_tokens": self.config.max_new_tokens}

    def limits(self) -> dict[str, Any]:
        """Returns what stays."""
        return self.config.model_dump(mode="json", exclude={"model", "batch", "max_new_tokens"})

    def columns(self, measured: dict[str, Any]) -> dict[str, Any]:
        """Returns the tags, each None where the model gave none."""
        return {name: measured.get(name) for name in ("quality", "difficulty", "category")}

    def decide(self, measured: dict[str, Any]) -> Verdict:
        """Holds the tags against the limits."""
        config = self.config
        quality, difficulty, category = (measured.get(k) for k in ("quality", "difficulty", "category"))
        faults = []
        if quality is not None and quality < config.min_quality:
            faults.append(f"quality {quality} is below {config.min_quality}")
        if difficulty is not None and not config.min_difficulty <= difficulty <= config.max_difficulty:
            faults.append(f"difficulty {difficulty} is not within {config.min_difficulty}..{config.max_difficulty}")
        if category is not None and config.categories and category not in config.categories:
            faults.append(f"category '{category}' is not wanted")
        shown = ", ".join(f"{k} {v}" for k, v in self.columns(measured).items() if v is not None) or None
        return Verdict(self.name, not faults, shown, None, "; ".join(faults))


@dataclass(frozen=True)
class RewardFloor(Rule):
    """The reward model's score must not be below the floor; a record without a score goes."""

    floor: float
    model: ModelConfig | None
    scoring: Mapping[str, Any] = field(default_factory=dict)  # settings of the scoring, as plain JSON values
    name: ClassVar[str] = "reward"

    def basis(self) -> dict[str, Any]:
        """Returns which model scores, and how."""
        return {"model": model_facts(self.model) if self.model else None} | dict(self.scoring)

    def limits(self) -> dict[str, Any]:
        """Returns the floor."""
        return {"min_reward": self.floor}

    def columns(self, measured: float | None) -> dict[str, Any]:
        """Returns the score."""
        return {"reward": measured}

    def decide(self, measured: float | None) -> Verdict:
        """Holds the score against the floor."""
        if measured is None:
            return Verdict(self.name, False, None, self.floor, "the reward model gave no score")
        passed = measured >= self.floor
        reason = "" if passed else f"its reward {measured:.3f} is below {self.floor:g}"
        return Verdict(self.name, passed, round(measured, 6), self.floor, reason)


def model_facts(model: ModelConfig) -> dict[str, Any]:
    """Returns what tells this model from others, the same on every machine: no path of a local folder."""
    facts = identity(model)
    return {k: v for k, v in facts.items() if k != "path"} if facts["content"] else facts
