"""Scores of two answers of which a row only says which is the better one: a winner, a preference, a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError
from synthetic_instruction_tuner.data_files.own_data.answer_texts import Text
from synthetic_instruction_tuner.data_files.own_data.numbers import number_of
from synthetic_instruction_tuner.data_files.own_data.preference_rows import NO_MODEL

WINNERS = ("winner", "orig_preference", "preference", "preferred", "better_response_id", "better", "best", "choice")
STRENGTHS = ("overall_preference", "preference_strength")  # HelpSteer: below 0, the first answer is better
SPOKEN_OF = ("model", "response", "answer", "assistant", "output", "human_ref")
TIES = ("tie", "both", "equal", "same", "draw", "none", "neither", "both_bad", "bothbad")


def with_winner(row: Mapping[str, Any], answers: Sequence[Text]) -> tuple[set[str], list[Text]] | None:
    """Returns the names of the fields used, and two answers without scores with that which the row's verdict gives.

    The winner has 1 and the other 0, both have 0.5 in a tie; where the preference has a strength, the winner has that.

    Raises:
        ShapeError: the verdict does not say which of the answers it means.
    """
    if len(answers) != 2 or any(one.scores or (not one.side and one.model == NO_MODEL) for one in answers):
        return None
    first, second = (one.side for one in answers)
    for name in STRENGTHS:
        if (strength := number_of(row.get(name))) is not None and first < second:
            return {name}, _scored(answers, name, max(-strength, 0.0), max(strength, 0.0))
    columns = [f"winner_model_{side}" for side in (first, second)]
    if all(number_of(row.get(name)) is not None for name in columns):
        won = [number_of(row[name]) or 0.0 for name in columns]
        scores = won if won[0] != won[1] else [0.5, 0.5]
        return {*columns, "winner_tie"}, _scored(answers, "winner", *scores)
    if (first, second) == ("a", "b") and "human_ref_a" in row and number_of(row.get("labels")) in (0.0, 1.0):
        won_a = number_of(row["labels"]) or 0.0  # SHP: 1 means that A is preferred
        return {"labels"}, _scored(answers, "labels", won_a, 1.0 - won_a)
    name = next((name for name in WINNERS if row.get(name) is not None), "")
    return ({name}, _scored(answers, name, *_verdict(str(row[name]), name, answers))) if name else None


def _verdict(said: str, name: str, answers: Sequence[Text]) -> tuple[float, float]:
    plain = said.strip().lower()
    word = plain.split("(")[0].strip()
    if word in TIES or word.startswith("tie"):
        return 0.5, 0.5
    means = [_means(plain, one, answers) for one in answers]
    if means.count(True) != 1:
        sides = " or ".join(one.side or one.model for one in answers)
        raise ShapeError(f"'{name}' is {said[:40]!r}, which does not say {sides}, nor tie")
    return float(means[0]), float(means[1])


def _means(said: str, one: Text, answers: Sequence[Text]) -> bool:
    names = {f"{start}{between}{one.side}" for start in SPOKEN_OF for between in ("_", " ", "-", "")}
    if one.side and said in names | {one.side, f"{one.side}.0"}:
        return True
    return one.model != NO_MODEL and said == one.model.lower() and answers[0].model != answers[1].model


def _scored(answers: Sequence[Text], name: str, first: float, second: float) -> list[Text]:
    return [replace(one, scores={name: s}) for one, s in zip(answers, (first, second), strict=True)]
