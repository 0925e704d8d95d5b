"""The quality filter: which records are good enough to train on, and exactly why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from synthetic_instruction_tuner.config import FilterConfig, ModelConfig, fingerprint
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkSet
from synthetic_instruction_tuner.evaluation.benchmarks.sources import load_benchmarks
from synthetic_instruction_tuner.filtering.contamination.rule import Contamination
from synthetic_instruction_tuner.filtering.near_duplicates.rule import Diversity
from synthetic_instruction_tuner.filtering.refusal.form import RefusalForm
from synthetic_instruction_tuner.filtering.refusal.keywords import Refusal
from synthetic_instruction_tuner.filtering.rule import Judgement, Rule, TextRule
from synthetic_instruction_tuner.filtering.rules.completeness import Complete
from synthetic_instruction_tuner.filtering.rules.language import Language
from synthetic_instruction_tuner.filtering.rules.length import NotEmpty, ResponseLength, TokenLength
from synthetic_instruction_tuner.filtering.rules.model_rules import RewardFloor, Tags, model_facts
from synthetic_instruction_tuner.filtering.rules.repetition import (
    LineRepetition,
    NgramRepetition,
    PhraseRepetition,
    WordRepetition,
)
from synthetic_instruction_tuner.records import Record

BATCH = 1024
Measured = Mapping[str, Sequence[Any]]
"""By a rule's name, what it measured on each record, in the records' order."""


class QualityFilter:
    """Judges records by every rule.

    All rules are judged for all records, so the effect of each is known even where an earlier one failed. Diversity
    comes last, because it compares with kept records only: those that every rule lets stay.

    Attributes:
        config: the rules' settings.
        benchmarks: the benchmarks whose items no record may hold; those with a problem are not, or not wholly, checked.
        rules: the rules that look at one record, in order.
    """

    def __init__(
        self,
        config: FilterConfig | None = None,
        benchmarks: Sequence[BenchmarkSet] | None = None,
        reward: ModelConfig | None = None,
        scoring: Mapping[str, Any] | None = None,
    ) -> None:
        """Takes the rules' settings.

        Args:
            config: the settings.
            benchmarks: items to look for; when None, those that the settings name and this machine has.
            reward: the reward model whose scores `min_reward` is held against.
            scoring: the settings that its scores depend on.

        Raises:
            UserError: an unknown language, an empty refusal phrase, a tokenizer or a file that is not there.
        """
        self.config = config = config or FilterConfig()
        wanted = config.contamination
        checked = bool(wanted.benchmarks or wanted.files)
        if benchmarks is None:
            benchmarks = load_benchmarks(wanted) if checked else ()
        self.benchmarks = tuple(benchmarks)
        self.rules: list[Rule] = [
            NotEmpty(),
            ResponseLength(config.min_words, config.max_words),
            *_token_rules(config),
            *([Complete()] if config.drop_truncated else []),
            WordRepetition(config.max_word_repeats),
            LineRepetition(config.max_line_repeats),
            PhraseRepetition(config.max_phrase_repeats),
            NgramRepetition(config.max_repeated_share),
            RefusalForm(config.refusal_phrases) if config.refusal_rule == "form" else Refusal(config.refusal_phrases),
            *([Language(config.language, config.language_confidence)] if config.language else []),
            *([Contamination(self.benchmarks, wanted.match)] if checked else []),
            *([Tags(config.tags)] if config.tags.model else []),
            *([RewardFloor(config.min_reward, reward, scoring or {})] if config.min_reward is not None else []),
        ]

    @property
    def rule_names(self) -> list[str]:
        """The rules' names, in the order in which they are judged."""
        return [*(rule.name for rule in self.rules), Diversity.name]

    @property
    def rule_set(self) -> dict[str, dict[str, Any]]:
        """All that verdicts depend on beside the records, by rule, as plain JSON values."""
        return {rule.name: rule.settings() for rule in self.rules} | {
            Diversity.name: {"similarity": self.config.near_duplicate_threshold}
        }

    @property
    def rule_set_hash(self) -> str:
        """The hash of `rule_set`, the same on every machine."""
        return fingerprint(self.rule_set)

    def judge(self, records: Iterable[Record], measured: Measured | None = None) -> Iterator[Judgement]:
        """Yields one judgement per record, in order and as they come; each call starts with no record kept.

        Records are taken in `BATCH` by `BATCH`, because comparing many at once is faster.

        Args:
            records: the records.
            measured: what rules have measured on them before; what is not there is measured now.

        Raises:
            UserError: tags or rewards are asked for and not among what was measured, since they need a model.
        """
        known = dict(measured or {})
        for rule in self.rules:
            if not isinstance(rule, TextRule) and rule.name not in known:
                fix = "Give what the model said as `measured`, or leave the rule's setting out."
                raise UserError(f"The rule '{rule.name}' needs a model's word on every record.", "None was given.", fix)
        diversity = Diversity(self.config.near_duplicate_threshold)
        stream = enumerate(records)
        while batch := list(islice(stream, BATCH)):
            own, columns = [], []
            for number, record in batch:
                values = [
                    rule.measure(record)
                    if isinstance(rule, TextRule) and rule.name not in known
                    else known[rule.name][number]
                    for rule in self.rules
                ]
                own.append([rule.decide(value) for rule, value in zip(self.rules, values, strict=True)])
                found: dict[str, Any] = {}
                for rule, value in zip(self.rules, values, strict=True):
                    found |= rule.columns(value)
                columns.append(found)
            last = diversity.judge([r for _, r in batch], [all(v.passed for v in verdicts) for verdicts in own])
            for (_, record), verdicts, found, verdict in zip(batch, own, columns, last, strict=True):
                yield Judgement(record.id, (*verdicts, verdict), found)


def _token_rules(config: FilterConfig) -> list[Rule]:
    if not config.tokenizer:
        return []
    from synthetic_instruction_tuner.models.loading import load_tokenizer

    model = ModelConfig(path=config.tokenizer)
    tokenizer = load_tokenizer(model)

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    return [TokenLength(count, model_facts(model), config.min_tokens, config.max_tokens)]


def select(judgements: Iterable[Judgement], keep: int | None) -> list[str]:
    """Returns the ids that are handed on: the first `keep` kept ones in order, or all of them."""
    ids = [j.record_id for j in judgements if j.kept]
    return ids if keep is None else ids[:keep]
