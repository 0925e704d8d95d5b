"""The diversity rule: no instruction nearly equal to that of an earlier kept record, found exactly."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from synthetic_instruction_tuner.filtering.near_duplicates.first_wins import FirstWins
from synthetic_instruction_tuner.filtering.rule import Verdict
from synthetic_instruction_tuner.records import Record

Field = Literal["instruction", "response", "both"]
ROLE = {"instruction": "user", "response": "assistant"}


class Diversity:
    """No instruction with a word-set similarity of `threshold` or more to an earlier kept one.

    Two instructions are as similar as the Jaccard index of their word sets; that of a conversation is all that the
    user says in it. Only kept records are compared with, and
    the first of two similar ones wins, so it can go on as records come; how they are cut into batches changes nothing.
    """

    name = "diversity"

    def __init__(self, threshold: float) -> None:
        """Takes the least similarity, above 0 and at most 1, from which a record is dropped."""
        self.threshold = threshold
        self._texts = FirstWins(exact_fraction(threshold))
        self._ids: list[str] = []

    def judge(self, records: Sequence[Record], may_stay: Sequence[bool]) -> list[Verdict]:
        """Measures the similarity to the most similar kept record; None where none reaches the threshold.

        Instructions without a word (symbols, emoji only) are not compared.

        Args:
            records: the records, in order; those of earlier calls come before them.
            may_stay: whether all other rules let each of them stay; if not, it is compared, but nothing with it.
        """
        decisions = self._texts.decide([compared_text(record) for record in records], may_stay)
        self._ids += [record.id for record, stays in zip(records, decisions.stays.tolist(), strict=True) if stays]
        return [self._verdict(*match) for match in decisions.matches]

    def _verdict(self, number: int, shared: int, union: int) -> Verdict:
        if number < 0:
            return Verdict(self.name, True, None, self.threshold)
        partner, similarity = self._ids[number], round(shared / union, 6)
        reason = f"the instruction shares {shared} of {union} words with '{partner}' (similarity {similarity:.3f})"
        return Verdict(self.name, False, similarity, self.threshold, reason, partner)


def compared_text(record: Record, field: Field = "instruction") -> str:
    """Returns what is compared of a record: all that the user says, all that the assistant says, or both."""
    earlier = [m.content for m in record.history if field == "both" or m.role == ROLE[field]]
    own = {"instruction": [record.instruction], "response": [record.response]}
    return "\n".join([*earlier, *own.get(field, [record.instruction, record.response])])


def exact_fraction(value: float) -> Fraction:
    """Returns what the number says in decimals: 4/5 for 0.8, not the binary number next to it."""
    return Fraction(repr(value))
