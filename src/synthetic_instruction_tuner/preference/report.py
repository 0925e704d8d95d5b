"""What the preference pairs are like: who wins, by how much, and whether it is only length that wins."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import PreferConfig, fingerprint
from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.preference.page import page
from synthetic_instruction_tuner.preference.preference_builder import Refusal
from synthetic_instruction_tuner.preference.tally import Tally
from synthetic_instruction_tuner.records import Answer, PreferencePair

RULES = (  # the settings that decide which pairs come out of scored answers, and what scored them
    "samples",
    "on_policy",
    "scorer",
    "rejected",
    "min_margin",
    "max_similarity",
    "max_length_ratio",
    "max_chosen_share",
    "truncated",
)


@dataclass(frozen=True, slots=True)
class PreferenceReport:
    """Statistics of preference pairs, as plain JSON values; the same for the same input, whatever the answers' order.

    Scores are the reward model's logits or the judge's scores, lengths are words.

    Attributes:
        pairs: how many pairs were built.
        refused: records that gave none.
        refusals: how many for each reason.
        guards: every guard with the records that it refused and the pairs in which it passed over an answer.
        truncated: answers, chosen and rejected ones that hit the token limit.
        models: per model its answers, scores, and how often it was chosen and rejected.
        wins: for each two models whose answer to the same record scored higher.
        margin: distribution of the score difference.
        length: whether the longer answer tends to win.
        judge: the judge's verdicts, position bias among them; None where a reward model scored.
        settings, settings_hash: the rules that were in force.
        samples: a few pairs.
    """

    pairs: int
    refused: int
    refusals: dict[str, int]
    guards: list[dict[str, Any]]
    truncated: dict[str, int]
    models: dict[str, Any]
    wins: list[dict[str, Any]]
    margin: dict[str, Any]
    length: dict[str, Any]
    judge: dict[str, Any] | None
    settings: dict[str, Any]
    settings_hash: str
    samples: list[dict[str, Any]]

    @classmethod
    def from_tally(
        cls,
        tally: Tally,
        config: PreferConfig,
        passed_over: Mapping[Any, int] | None = None,
        judge: dict[str, Any] | None = None,
    ) -> PreferenceReport:
        """Returns the statistics of what was counted.

        Args:
            tally: the counts.
            config: the settings that were in force.
            passed_over: `PreferenceBuilder.passed_over`.
            judge: the judge's own statistics, if one judged.
        """
        rules = {name: value for name, value in config.model_dump(mode="json").items() if name in RULES}
        if config.scorer == "judge":
            rules["judge"] = {"mode": config.judge.mode, "criteria": config.judge.criteria}
        return cls(
            pairs=tally.pairs,
            refused=tally.refused,
            refusals=tally.refusals(),
            guards=tally.guards(passed_over or {}),
            truncated=tally.truncated(),
            models=tally.models(),
            wins=tally.wins(),
            margin=tally.margin(),
            length=tally.length(),
            judge=judge,
            settings=rules,
            settings_hash=fingerprint(rules),
            samples=tally.samples(),
        )

    @classmethod
    def from_pairs(
        cls,
        pairs: Sequence[PreferencePair],
        refusals: Sequence[Refusal],
        answers: Iterable[Answer],
        config: PreferConfig | None = None,
        samples: int = 3,
    ) -> PreferenceReport:
        """Returns the statistics of the pairs, the refusals, and every scored answer, used in a pair or not."""
        tally = Tally(samples)
        by_record: dict[str, list[Answer]] = defaultdict(list)
        for answer in answers:
            by_record[answer.record_id].append(answer)
        for found in by_record.values():
            tally.add_answers(found)
        for pair in pairs:
            tally.add(pair)
        for refusal in refusals:
            tally.add(refusal)
        return cls.from_tally(tally, config or PreferConfig())

    def main_refusal(self) -> str:
        """Returns the most frequent reason for refusing a record, with its count, in words."""
        if not self.refusals:
            return "no record was refused"
        reason, count = max(self.refusals.items(), key=lambda item: item[1])
        return f"{count:,} of {self.pairs + self.refused:,} records were refused as {reason.replace('_', ' ')}"

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return asdict(self)

    def to_markdown(self) -> str:
        """Returns the statistics as a Markdown page."""
        return page(self.to_json())

    def write(self, path: Path) -> None:
        """Writes the JSON file and, with the suffix ``.md``, the page, each whole or not at all."""
        write_text(path.with_suffix(".md"), self.to_markdown())
        write_text(path, json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n")
