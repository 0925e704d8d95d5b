"""Preference pairs: models answer the same prompt, answers are scored, the best stands against a worse one.

    builder = PreferenceBuilder(config, seed=7)
    answers = builder.answer(records, "model-a", template, engine)
    pairs, refusals = builder.build(records, answers_by_record)

What makes a pair, and what is refused, is in `guards`.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.config import PreferConfig
from synthetic_instruction_tuner.engines.base import Completion, Done, Engine, Request
from synthetic_instruction_tuner.preference.guards import NoChoice, Reason, choose, score_of
from synthetic_instruction_tuner.records import Answer, PreferencePair, Record

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate
    from synthetic_instruction_tuner.preference.reward.model import RewardModel


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
        seed: the run's seed; an answer depends on it, the model's name, the record's id and the sample's number alone.

    Attributes:
        passed_over: pairs, by guard, in which a guard kept a better chosen or a worse rejected answer out.
    """

    def __init__(self, config: PreferConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.passed_over: Counter[Reason] = Counter()

    def answer(
        self,
        records: Sequence[Record],
        model_name: str,
        template: ChatTemplate,
        engine: Engine,
        done: Done | None = None,
    ) -> list[Answer]:
        """Returns one model's answers to the records, not yet scored: in order, all samples of a record together.

        One that the engine gave up has no text, and says why in `error`.
        """
        sampling = self.config.sampling
        asked = [(record, sample) for record in records for sample in range(self.config.samples)]
        prompts = {record.id: tuple(template.prompt_ids(record.prompt_messages())) for record in records}
        requests = [
            Request(
                prompt_ids=prompts[record.id],
                seed=request_seed(self.seed, model_name, record.id, sample),
                max_new_tokens=sampling.max_new_tokens,
                stop_ids=tuple(template.stop_ids),
                temperature=sampling.temperature,
                top_p=sampling.top_p,
            )
            for record, sample in asked
        ]
        return [
            Answer(
                record_id=record.id,
                model=model_name,
                text=template.decode(completion.token_ids),
                truncated=completion.finish_reason == "length",
                sample=sample,
                error=_error(completion),
            )
            for (record, sample), completion in zip(asked, engine.generate(requests, done), strict=True)
        ]

    def score(
        self, records: Iterable[Record], answers: Sequence[Answer], reward: RewardModel, done: Done | None = None
    ) -> list[Answer]:
        """Returns the answers with the reward model's scores; `records` holds every record that is answered.

        An answer to which the model gives no finite score has none.
        """
        prompts = {record.id: record.prompt_messages() for record in records}
        scores = reward.score([(prompts[answer.record_id], answer.text) for answer in answers], done)
        return [
            replace(answer, score=score if math.isfinite(score) else None)
            for answer, score in zip(answers, scores, strict=True)
        ]

    def pair(
        self, record: Record, answers: Sequence[Answer], pair_id: str = "", barred: Collection[str] = ()
    ) -> PreferencePair | Refusal:
        """Returns the pair that the answers to a record make, or why there is none.

        Args:
            record: the record.
            answers: its scored answers, in any order.
            pair_id: the pair's id.
            barred: models whose answers may not be chosen.
        """
        made = choose(answers, self.config, barred)
        if isinstance(made, NoChoice):
            return Refusal(record.id, made.reason, made.detail)
        self.passed_over.update(made.passed_over)
        return PreferencePair(
            id=pair_id,
            record_id=record.id,
            instruction=record.instruction,
            chosen=made.chosen.text,
            rejected=made.rejected.text,
            chosen_model=made.chosen.model,
            rejected_model=made.rejected.model,
            chosen_score=score_of(made.chosen),
            rejected_score=score_of(made.rejected),
            system=record.system,
            history=record.history,
            chosen_truncated=made.chosen.truncated,
            rejected_truncated=made.rejected.truncated,
        )

    def pairs(self, answered: Iterable[tuple[Record, Sequence[Answer]]]) -> Iterator[PreferencePair | Refusal]:
        """Yields a pair or a refusal per record, in order, until there are as many pairs as configured.

        Records after the last pair that is needed are not asked for, and nothing is held but counts. With a cap on a
        model's share of the chosen, no model has more than that share of the pairs made so far, rounded up; where it
        would, the best answer of another model is chosen.
        """
        self.passed_over.clear()
        chosen: Counter[str] = Counter()
        answered = iter(answered)
        while chosen.total() < self.config.pairs and (found := next(answered, None)) is not None:
            record, answers = found
            made = self.pair(record, answers, f"pair-{chosen.total():06d}", self._barred(chosen))
            if isinstance(made, PreferencePair):
                chosen[made.chosen_model] += 1
            yield made

    def build(
        self, records: Iterable[Record], answers_by_record: Mapping[str, Sequence[Answer]]
    ) -> tuple[list[PreferencePair], list[Refusal]]:
        """Returns the pairs, at most as many as configured, and the refusals, both in the records' order."""
        made = list(self.pairs((record, answers_by_record.get(record.id, ())) for record in records))
        pairs = [one for one in made if isinstance(one, PreferencePair)]
        return pairs, [one for one in made if isinstance(one, Refusal)]

    def _barred(self, chosen: Counter[str]) -> set[str]:
        share = self.config.max_chosen_share
        if share is None:
            return set()
        allowed = math.ceil(share * (chosen.total() + 1) - 1e-9)
        return {model for model, count in chosen.items() if count + 1 > allowed}


def _error(completion: Completion) -> str:
    return (completion.error or "no reason is known") if completion.finish_reason == "error" else ""


def request_seed(seed: int, model_name: str, record_id: str, sample: int = 0) -> int:
    """Returns the seed of one of a model's answers to a record, from 0 to 2**63 - 1."""
    key = f"prefer\0{seed}\0{model_name}\0{record_id}" + (f"\0{sample}" if sample else "")
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") >> 1
