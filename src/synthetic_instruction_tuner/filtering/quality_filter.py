"""The quality filter: which records are good enough to train on, and exactly why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from ..records import Record
from ..settings import FilterConfig
from .diversity import Diversity
from .language import Language
from .length import NotEmpty, ResponseLength
from .refusal import Refusal
from .repetition import LineRepetition, WordRepetition
from .verdict import Judgement, Rule

BATCH = 1024


class QualityFilter:
    """Judges records by every rule.

    All rules are judged for all records, so the effect of each is known even where an earlier one failed. Diversity
    comes last, because it compares with kept records only: those that every rule lets stay.
    """

    def __init__(self, config: FilterConfig | None = None) -> None:
        """Takes the rules' settings.

        Raises:
            UserError: an unknown language or an empty refusal phrase.
        """
        self.config = config = config or FilterConfig()
        self.rules: list[Rule] = [
            NotEmpty(),
            ResponseLength(config.min_words, config.max_words),
            WordRepetition(config.max_word_repeats),
            LineRepetition(config.max_line_repeats),
            Refusal(config.refusals),
        ]
        if config.language:
            self.rules.append(Language(config.language, config.language_confidence))

    @property
    def rule_names(self) -> list[str]:
        """The rules' names, in the order in which they are judged."""
        return [*(rule.name for rule in self.rules), Diversity.name]

    def judge(self, records: Iterable[Record]) -> Iterator[Judgement]:
        """Yields one judgement per record, in order and as they come; each call starts with no record kept.

        Records are taken in `BATCH` by `BATCH`, because comparing many at once is faster.
        """
        diversity = Diversity(self.config.similarity)
        stream = iter(records)
        while batch := list(islice(stream, BATCH)):
            own = [[rule.judge(record) for rule in self.rules] for record in batch]
            last = diversity.judge(batch, [all(v.passed for v in verdicts) for verdicts in own])
            for record, verdicts, verdict in zip(batch, own, last, strict=True):
                yield Judgement(record.id, (*verdicts, verdict))


def select(judgements: Iterable[Judgement], keep: int | None) -> list[str]:
    """Returns the ids that are handed on: the first `keep` kept ones in order, or all of them."""
    ids = [j.record_id for j in judgements if j.kept]
    return ids if keep is None else ids[:keep]
