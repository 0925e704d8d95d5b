"""The quality filter: which records are good enough to train on, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from synthetic_instruction_tuner.config import EngineConfig, FilterConfig, ModelConfig, fingerprint
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.items import BenchmarkSet
from synthetic_instruction_tuner.evaluation.benchmarks.sources import load_benchmarks
from synthetic_instruction_tuner.filtering.contamination.rule import Contamination
from synthetic_instruction_tuner.filtering.near_duplicates.nearest_neighbors import neighbor_columns
from synthetic_instruction_tuner.filtering.near_duplicates.rule import NearDuplicates
from synthetic_instruction_tuner.filtering.refusal.form import RefusalForm
from synthetic_instruction_tuner.filtering.refusal.keywords import RefusalKeywords
from synthetic_instruction_tuner.filtering.rule import FilterResult, ModelRule, Rule, TextRule, Verdict, model_identity
from synthetic_instruction_tuner.filtering.rules.language import Language
from synthetic_instruction_tuner.filtering.rules.length import NotEmpty, ResponseLength, TokenLength
from synthetic_instruction_tuner.filtering.rules.repetition import (
    LineRepetition,
    NgramRepetition,
    PhraseRepetition,
    WordRepetition,
)
from synthetic_instruction_tuner.filtering.rules.reward import MinReward, RewardScorer
from synthetic_instruction_tuner.filtering.rules.tags import Tags
from synthetic_instruction_tuner.filtering.rules.truncation import NotTruncated
from synthetic_instruction_tuner.filtering.signals import Signals
from synthetic_instruction_tuner.records import Record

BATCH = 1024  # records compared with the kept ones at once, which is faster than one by one


class QualityFilter:
    """Checks records with every rule.

    All rules check all records, so the effect of each is known even where an earlier one failed. Near duplicates come
    last, because a record is compared only with kept records: those that pass every rule.

    Attributes:
        config: the rules' settings.
        benchmarks: the benchmarks whose items no record may contain; one with a `problem` is not checked in full.
        rules: the rules that look at one record at a time, in order.
    """

    def __init__(
        self,
        config: FilterConfig | None = None,
        benchmarks: Sequence[BenchmarkSet] | None = None,
        reward: RewardScorer | None = None,
        engine: EngineConfig | None = None,
    ) -> None:
        """Makes the rules from their settings.

        Args:
            config: the settings.
            benchmarks: items to look for; when None, those that the settings name and this machine has.
            reward: scores the records, for `min_reward`.
            engine: the settings of the engine that runs the tagging model.

        Raises:
            UserError: an unknown language, an empty refusal phrase, or a missing tokenizer or file.
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
            *([NotTruncated()] if config.drop_truncated else []),
            WordRepetition(config.max_word_repeats),
            LineRepetition(config.max_line_repeats),
            PhraseRepetition(config.max_phrase_repeats),
            NgramRepetition(config.max_repeated_share),
            RefusalForm(config.refusal_phrases, config.refusal_disclaimers)
            if config.refusal_rule == "form"
            else RefusalKeywords(config.refusal_phrases),
            *([Language(config.language, config.language_confidence)] if config.language else []),
            *([Contamination(self.benchmarks, wanted.match)] if checked else []),
            *([Tags(config.tags, engine or EngineConfig())] if config.tags.model else []),
            *([MinReward(config.min_reward, reward)] if config.min_reward is not None else []),
        ]

    @property
    def rule_names(self) -> list[str]:
        """The rules' names, in the order in which they check records."""
        return [*(rule.name for rule in self.rules), NearDuplicates.name]

    @property
    def model_rules(self) -> list[ModelRule]:
        """The rules whose signals come from a model."""
        return [rule for rule in self.rules if isinstance(rule, ModelRule)]

    @property
    def rule_set(self) -> dict[str, dict[str, Any]]:
        """Everything that verdicts depend on besides the records, by rule, as plain JSON values."""
        return {rule.name: rule.settings() for rule in self.rules} | {
            NearDuplicates.name: {
                "version": NearDuplicates.version,
                "near_duplicate_threshold": self.config.near_duplicate_threshold,
            }
        }

    @property
    def rule_set_hash(self) -> str:
        """The hash of `rule_set`, the same on every machine; records carry it as ``filter_rules``."""
        # The hash is in published files, so everything keeps the key that it has always been hashed under, even what
        # was called diversity.similarity and reward.reward_floor.
        hashed = self.rule_set
        near_duplicates = hashed.pop(NearDuplicates.name)
        if reward := hashed.get(MinReward.name):
            reward["reward_floor"] = reward.pop("min_reward")
        near_duplicates["similarity"] = near_duplicates.pop("near_duplicate_threshold")
        return fingerprint(hashed | {"diversity": near_duplicates})

    def check(self, records: Iterable[Record], signals: Signals | None = None) -> Iterator[FilterResult]:
        """Yields one result per record, in order and as they come; each call starts with no record kept.

        Args:
            records: the records.
            signals: the rules' signals of these records, as far as they are computed; see `signals.compute_signals`.

        Raises:
            UserError: the signals of a rule that needs a model are missing.
        """
        known = dict(signals or {})
        for rule in self.model_rules:
            if rule.name not in known:
                fix = "Pass the result of compute_signals(quality.model_rules, records), or switch the rule off."
                raise UserError(f"The rule '{rule.name}' needs a model's signal of every record.", "None given.", fix)
        near_duplicates = NearDuplicates(self.config.near_duplicate_threshold)
        stream = enumerate(records)
        while batch := list(islice(stream, BATCH)):
            own = [self._check(record, {name: values[n] for name, values in known.items()}) for n, record in batch]
            may_stay = [result.passed for result in own]
            last = near_duplicates.check([record for _, record in batch], may_stay)
            for result, verdict in zip(own, last, strict=True):
                yield FilterResult(result.record_id, (*result.verdicts, verdict), result.columns)

    def _check(self, record: Record, known: dict[str, Any]) -> FilterResult:
        """The result of the rules that look at one record at a time."""
        verdicts: list[Verdict] = []
        columns: dict[str, Any] = {}
        for rule in self.rules:
            signal = rule.signal(record) if rule.name not in known and isinstance(rule, TextRule) else known[rule.name]
            verdicts.append(rule.decide(signal))
            columns |= rule.columns(signal)
        return FilterResult(record.id, tuple(verdicts), columns)


def _token_rules(config: FilterConfig) -> list[Rule]:
    if not config.tokenizer:
        return []
    from synthetic_instruction_tuner.models.loading import load_tokenizer

    model = ModelConfig(path=config.tokenizer)
    tokenizer = load_tokenizer(model)

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    return [TokenLength(count, model_identity(model), config.min_tokens, config.max_tokens)]


def select(results: Iterable[FilterResult], keep: int | None) -> list[str]:
    """Returns the ids of the records to keep: the first `keep` that passed, in order, or all where it is None."""
    ids = [j.record_id for j in results if j.passed]
    return ids if keep is None else ids[:keep]


def select_by_domain(
    records: Sequence[Record], results: Sequence[FilterResult], quotas: Mapping[str | None, int]
) -> list[str]:
    """Returns the ids of the records to keep: of each domain the first that passed, in order, up to its quota.

    A domain that has too few is not made up for by others, so that no domain gets more than its share.

    Args:
        records: all records.
        results: the filter's result on each.
        quotas: how many records of each domain to keep; of domains that are not named, none.
    """
    left = dict(quotas)
    kept = []
    for record, result in zip(records, results, strict=True):
        if result.passed and left.get(record.domain, 0) > 0:
            left[record.domain] -= 1
            kept.append(record.id)
    return kept


def kept_rows(
    records: Sequence[Record],
    results: Sequence[FilterResult],
    quality: QualityFilter,
    chosen: Iterable[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yields the kept records, with the hash of the rules and the columns that the rules add.

    Args:
        records: all records.
        results: the filter's result on each.
        quality: the filter; its settings say how many are kept, and whether nearest neighbors are a column.
        chosen: the ids of those to keep, where something else than `filter.keep` decides.
    """
    kept = set(select(results, quality.config.keep) if chosen is None else chosen)
    stay = [(record, result) for record, result in zip(records, results, strict=True) if record.id in kept]
    neighbors = neighbor_columns([record for record, _ in stay]) if quality.config.neighbors else [{}] * len(stay)
    rules = quality.rule_set_hash
    for (record, result), columns in zip(stay, neighbors, strict=True):
        row = record.to_json()
        yield row | {"provenance": row["provenance"] | {"filter_rules": rules}} | result.columns | columns


def dropped_rows(
    records: Sequence[Record], results: Sequence[FilterResult], keep: int | None
) -> Iterator[dict[str, Any]]:
    """Yields each dropped record with the first verdict against it, and the other rules that it failed.

    Args:
        records: all records.
        results: the filter's result on each.
        keep: how many are kept; all when None.
    """
    kept = set(select(results, keep))
    over = Verdict("keep", False, None, keep, f"it passed every rule, but {keep} records were already kept")
    for record, result in zip(records, results, strict=True):
        if record.id in kept:
            continue
        failure = result.first_failure or over
        others = [v.rule for v in result.verdicts if not v.passed and v is not failure]
        items = [hit[0] for verdict in result.verdicts for hit in verdict.details or ()]
        found = {"benchmark_items": items} if items else {}
        yield failure.to_json() | {"also_failed": others} | found | result.columns | {"record": record.to_json()}
