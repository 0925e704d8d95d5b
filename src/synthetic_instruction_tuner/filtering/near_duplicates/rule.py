"""The near-duplicate rule: no instruction may be nearly equal to that of an earlier kept record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import islice
from typing import Literal

from synthetic_instruction_tuner.filtering.near_duplicates.keep_first import KeepFirst
from synthetic_instruction_tuner.filtering.rule import Verdict
from synthetic_instruction_tuner.records import Record

Field = Literal["instruction", "response", "both"]
TOGETHER = 4096  # records counted at once
ROLE = {"instruction": "user", "response": "assistant"}


class NearDuplicates:
    """No instruction may have a word-set similarity of `threshold` or more to an earlier kept one.

    The similarity of two instructions is the Jaccard index of their word sets. Where symbols that carry
    meaning differ, as in C++ and C#, two are not similar; see `symbols`. The instruction of a conversation is all that
    the user says in it. Each record is compared with the records kept before it, so the first of two similar
    ones stays, and records can be checked as they come: how they are split into batches makes no difference.
    """

    name = "near_duplicates"
    version = 4

    def __init__(self, threshold: float) -> None:
        """Takes the lowest similarity, above 0 and at most 1, at which a record is dropped."""
        self.threshold = threshold
        self._texts = KeepFirst(exact_fraction(threshold))
        self._ids: list[str] = []

    def check(self, records: Sequence[Record], may_stay: Sequence[bool]) -> list[Verdict]:
        """Returns a verdict on each record, with its most similar kept record if that reaches the threshold.

        Instructions without a word (only symbols or emoji) are not compared.

        Args:
            records: the records, in order; they follow those of earlier calls.
            may_stay: whether each record passed all other rules; one that did not is compared with the kept ones, but
                later records are not compared with it.
        """
        decisions = self._texts.decide([compared_text(record) for record in records], may_stay)
        self._ids += [record.id for record, stays in zip(records, decisions.stays.tolist(), strict=True) if stays]
        return [self._verdict(*match) for match in decisions.matches]

    def count(self, records: Iterable[Record]) -> int:
        """Returns how many of the records the rule would drop if there were no other rule; remembers their texts."""
        stream, found = iter(records), 0
        while batch := list(islice(stream, TOGETHER)):
            decisions = self._texts.decide([compared_text(record) for record in batch])
            found += int((decisions.matches.numbers >= 0).sum())
        return found

    def _verdict(self, number: int, shared: int, union: int) -> Verdict:
        if number < 0:
            return Verdict(self.name, True, None, self.threshold)
        matched, similarity = self._ids[number], round(shared / union, 6)
        reason = f"the instruction shares {shared} of {union} words with '{matched}' (similarity {similarity:.3f})"
        return Verdict(self.name, False, similarity, self.threshold, reason, matched)


def compared_text(record: Record, field: Field = "instruction") -> str:
    """Returns what is compared of a record: all that the user says, all that the assistant says, or both."""
    earlier = [m.content for m in record.history if field == "both" or m.role == ROLE[field]]
    own = {"instruction": [record.instruction], "response": [record.response]}
    return "\n".join([*earlier, *own.get(field, [record.instruction, record.response])])


def exact_fraction(value: float) -> Fraction:
    """Returns the number's decimal value: 4/5 for 0.8, not the nearest binary number."""
    return Fraction(repr(value))
