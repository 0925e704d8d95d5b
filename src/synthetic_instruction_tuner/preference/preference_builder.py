"""Builds preference pairs: models answer the same prompts, the answers are scored, the best is paired with a worse one.

    settings, engine_settings, hardware = PreferConfig(pairs=100), EngineConfig(), detect()
    builder = PreferenceBuilder(settings, seed=7)
    answers = []
    for model in (ModelConfig(path="nano:responder-llama"), ModelConfig(path="nano:responder-qwen2")):
        with open_engine(model, engine_settings, hardware) as (engine, template):
            answers += builder.answer(records, model.name, template, engine)
    items = [(record, [a for a in answers if a.record_id == record.id]) for record in records]
    with open_reward_model(ModelConfig(path="nano:reward"), settings, engine_settings, hardware) as reward:
        scored = reward.score_answers(items)
    made = [builder.add(*one) for one in scored]
    pairs = [one for one in made if isinstance(one, PreferencePair)]
    report = PreferenceReport.from_statistics(builder.statistics).to_markdown()

With a judge, set `PreferConfig.scorer` to "judge" and call ``Judge(settings.judge, template, engine, seed=7)`` in place
of ``reward``. Which answers make a pair, and when a record is skipped, is in `pair_selection`.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.config import PreferConfig
from synthetic_instruction_tuner.data_files.own_data.preference_rows import NO_MODEL
from synthetic_instruction_tuner.engines.base import Done, Engine, Request, failure_reason
from synthetic_instruction_tuner.preference.judgments import Judgment
from synthetic_instruction_tuner.preference.pair_selection import (
    NoPair,
    SelectedPair,
    SkippedRecord,
    score_of,
    select_pair,
)
from synthetic_instruction_tuner.preference.pair_statistics import PairStatistics
from synthetic_instruction_tuner.records import Answer, PreferencePair, Record

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate


class PreferenceBuilder:
    """Makes preference pairs from records, one after the other, until there are enough.

    With a cap on a model's share of the chosen answers (`PreferConfig.max_chosen_share`), no model has more than that
    share of the pairs made so far, rounded up. Where it would exceed it, the best answer of another model is chosen.
    Answers whose model is not known do not count.

    Args:
        config: counts, sampling and guards.
        seed: the run's seed; an answer depends only on it, the model's name, the record's id and the sample's number.
        student: the student that the pairs are for; None if they are for all of them.
        statistics: what counts answers and pairs, if several builders share it; pair ids go on from its pairs.

    Attributes:
        records: how many records were added.
        statistics: statistics of all answers, pairs and skipped records.
    """

    def __init__(
        self, config: PreferConfig, seed: int, student: str | None = None, statistics: PairStatistics | None = None
    ) -> None:
        self.config, self.seed, self.student = config, seed, student
        self.records = 0
        self.statistics = PairStatistics(config) if statistics is None else statistics
        self._chosen: Counter[str] = Counter()

    @property
    def pairs(self) -> int:
        """How many pairs this builder has made."""
        return self._chosen.total()

    @property
    def complete(self) -> bool:
        """Whether there are as many pairs as configured."""
        return self.pairs >= self.config.pairs

    def answer(
        self,
        records: Sequence[Record],
        model_name: str,
        template: ChatTemplate,
        engine: Engine,
        done: Done | None = None,
    ) -> list[Answer]:
        """Returns a model's answers to the records, not yet scored: in order, all samples of a record together.

        The answer of a request that failed has no text; its `error` is the reason.
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
                error=failure_reason(completion),
            )
            for (record, sample), completion in zip(asked, engine.generate(requests, done), strict=True)
        ]

    def add(
        self, record: Record, answers: Sequence[Answer], judgments: Sequence[Judgment] | None = None
    ) -> PreferencePair | SkippedRecord | None:
        """Returns the pair that the answers to a record make, or why there is none; None once there are enough pairs.

        The answers count in the statistics in any case.

        Args:
            record: the record.
            answers: all scored answers to it, in any order.
            judgments: the judgments behind the scores, if a judge scored.
        """
        self.records += 1
        self.statistics.add_answers(answers, judgments)
        if self.complete:
            return None
        made = select_pair([a for a in answers if not a.error], self.config, self._barred())
        if isinstance(made, NoPair):
            self.statistics.add_skipped(made.reason)
            return SkippedRecord(record.id, made.reason, made.detail)
        pair = self._pair(record, made)
        self._chosen[pair.chosen_model] += 1
        self.statistics.add_pair(pair, made.passed_over)
        return pair

    def _pair(self, record: Record, made: SelectedPair) -> PreferencePair:
        return PreferencePair(
            id=f"pair-{self.statistics.pairs:06d}",
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
            student=self.student,
        )

    def _barred(self) -> set[str]:
        """Returns the models whose answers may not be chosen for the next pair."""
        share = self.config.max_chosen_share
        if share is None:
            return set()
        allowed = math.ceil(share * (self.pairs + 1) - 1e-9)
        return {model for model, count in self._chosen.items() if count + 1 > allowed and model != NO_MODEL}


def request_seed(seed: int, model_name: str, record_id: str, sample: int = 0) -> int:
    """Returns the seed of one of a model's answers to a record, from 0 to 2**63 - 1."""
    key = f"prefer\0{seed}\0{model_name}\0{record_id}" + (f"\0{sample}" if sample else "")
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") >> 1
