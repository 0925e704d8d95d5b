"""Preference pairs: responders answer the same prompt, a reward model scores, the best stands against the worst.

The scheme is Magpie's (arXiv:2406.08464), with guards: a pair whose texts are equal, whose scores tie or lie too close,
or whose better answer was cut off teaches nothing or something wrong, and is refused with its reason.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ..engines.base import Done, Engine, Request
from ..records import Answer, PreferencePair, Record
from ..settings import PreferConfig

if TYPE_CHECKING:
    from ..chat.template import ChatTemplate
    from .reward_model import RewardModel

Reason = Literal["too_few_answers", "identical_answers", "equal_scores", "small_margin", "chosen_truncated"]
"""Why a record gave no pair; the builder's checks are made in this order."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that gave no pair.

    Attributes:
        record_id: the record.
        reason: which guard refused it.
        detail: the numbers behind it, for people.
    """

    record_id: str
    reason: Reason
    detail: str = ""


class PreferenceBuilder:
    """Makes preference pairs from records.

    Args:
        config: counts, sampling and guards.
        seed: the run's seed; answers depend on it, the responder's name and the record's id alone.
    """

    def __init__(self, config: PreferConfig, seed: int) -> None:
        self.config, self.seed = config, seed

    def answer(
        self,
        records: Sequence[Record],
        model_name: str,
        template: ChatTemplate,
        engine: Engine,
        done: Done | None = None,
    ) -> list[Answer]:
        """Returns one responder's answer to each record, in order, not yet scored."""
        sampling = self.config.sampling
        requests = [
            Request(
                prompt_ids=tuple(template.prompt_ids(record.prompt_messages())),
                seed=request_seed(self.seed, model_name, record.id),
                max_new_tokens=sampling.max_new_tokens,
                stop_ids=tuple(template.stop_ids),
                temperature=sampling.temperature,
                top_p=sampling.top_p,
            )
            for record in records
        ]
        return [
            Answer(
                record_id=record.id,
                model=model_name,
                text=template.decode(completion.token_ids),
                truncated=completion.finish_reason == "length",
            )
            for record, completion in zip(records, engine.generate(requests, done), strict=True)
        ]

    def score(
        self, records: Iterable[Record], answers: Sequence[Answer], reward: RewardModel, done: Done | None = None
    ) -> list[Answer]:
        """Returns the answers with the reward model's scores; `records` holds every record that is answered."""
        prompts = {record.id: record.prompt_messages() for record in records}
        scores = reward.score([(prompts[answer.record_id], answer.text) for answer in answers], done)
        return [replace(answer, score=score) for answer, score in zip(answers, scores, strict=True)]

    def pair(self, record: Record, answers: Sequence[Answer], pair_id: str = "") -> PreferencePair | Refusal:
        """Returns the best against the worst of the answers to a record, or why there is no such pair.

        The order of the answers does not matter. An answer without text or without a finite score is not used; of
        several answers with the same text one is.
        """
        usable = [a for a in answers if a.text.strip() and a.score is not None and math.isfinite(a.score)]
        if len(usable) < 2:
            detail = f"{len(usable)} of {len(answers)} answers have a text and a score"
            return Refusal(record.id, "too_few_answers", detail)
        ranked = sorted(_distinct(usable), key=lambda a: (-_score(a), a.model, a.text))
        best, worst = ranked[0], ranked[-1]
        if len(ranked) < 2:
            return Refusal(record.id, "identical_answers", f"{len(usable)} answers have the same text")
        margin = _score(best) - _score(worst)
        if margin == 0:
            return Refusal(record.id, "equal_scores", f"every answer has the score {_score(best):.4f}")
        if margin <= self.config.min_margin:
            return Refusal(record.id, "small_margin", f"{margin:.4f} is not above {self.config.min_margin}")
        if best.truncated:
            return Refusal(record.id, "chosen_truncated", f"the best answer, by {best.model}, was cut off")
        return PreferencePair(
            id=pair_id,
            record_id=record.id,
            instruction=record.instruction,
            chosen=best.text,
            rejected=worst.text,
            chosen_model=best.model,
            rejected_model=worst.model,
            chosen_score=_score(best),
            rejected_score=_score(worst),
            system=record.system,
            history=record.history,
        )

    def build(
        self, records: Iterable[Record], answers_by_record: Mapping[str, Sequence[Answer]]
    ) -> tuple[list[PreferencePair], list[Refusal]]:
        """Returns the pairs, at most as many as configured, and the refusals, both in the records' order.

        Records after the last pair that is needed are not looked at.
        """
        pairs: list[PreferencePair] = []
        refusals: list[Refusal] = []
        for record in records:
            if len(pairs) == self.config.pairs:
                break
            made = self.pair(record, answers_by_record.get(record.id, ()), f"pair-{len(pairs):06d}")
            if isinstance(made, Refusal):
                refusals.append(made)
            else:
                pairs.append(made)
        return pairs, refusals


def request_seed(seed: int, model_name: str, record_id: str) -> int:
    """Returns the seed of one responder's answer to one record, from 0 to 2**63 - 1."""
    key = f"prefer\0{seed}\0{model_name}\0{record_id}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 1


def _distinct(answers: Iterable[Answer]) -> list[Answer]:
    """Returns one answer per text, preferring one that ended by itself; independent of the answers' order."""
    kept: dict[str, Answer] = {}
    for answer in sorted(answers, key=lambda a: (a.truncated, a.model, a.text, -_score(a))):
        kept.setdefault(answer.text.strip(), answer)
    return list(kept.values())


def _score(answer: Answer) -> float:
    assert answer.score is not None  # unscored answers were sorted out before
    return answer.score
