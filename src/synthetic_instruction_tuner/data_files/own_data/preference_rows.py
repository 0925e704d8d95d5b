"""Turns a row with a chosen and a rejected answer into a preference pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError, are_turns, read_conversation
from synthetic_instruction_tuner.data_files.own_data.numbers import number_of
from synthetic_instruction_tuner.data_files.record_shapes import record_from_row
from synthetic_instruction_tuner.data_files.row_shapes.nested_sets import summaries
from synthetic_instruction_tuner.data_files.row_texts import ANSWERS, CHOSEN, CONVERSATIONS, REJECTED, field_of
from synthetic_instruction_tuner.records import PreferencePair, Record

SIDES = (CHOSEN, REJECTED)
SCORED = ("score", "rating", "reward")  # score_chosen, chosen_score, chosen-rating
OTHERS = {*ANSWERS, "targets", "outputs", "assistant", *CONVERSATIONS, *SIDES, "provenance"}
NO_MODEL = "unknown"  # the model of an answer whose row does not name it


def pair_from_row(row: Any, default_id: str, source: dict[str, Any], keep_thoughts: bool = False) -> PreferencePair:
    """Returns the row's pair. Its id is the row's; scores and models are those that the row names.

    Args:
        row: prompt, chosen and rejected, as texts or lists of messages; or chosen and rejected as whole conversations.
        default_id: the id if the row has none.
        source: where the row is from; becomes the pair's provenance.
        keep_thoughts: whether thoughts before an answer stay in it.

    Raises:
        ShapeError: it is no pair, or its two answers are the same.
    """
    if not isinstance(row, Mapping):
        return _refuse(row, default_id, source)
    row = {(field_of(name) if field_of(name) in SIDES else None) or name: value for name, value in row.items()}
    if found := summaries(row):
        row |= {**found, "summaries": None}  # else the better one would be read for both
    missing = [side for side in SIDES if not row.get(side)]
    if missing:
        return _refuse(row, default_id, source, missing[0])
    chosen, rejected = (_answered(row, side, default_id, source, keep_thoughts) for side in SIDES)
    if (chosen.system, chosen.history, chosen.instruction) != (rejected.system, rejected.history, rejected.instruction):
        raise ShapeError("'chosen' and 'rejected' answer different prompts")
    if not chosen.instruction.strip():
        raise ShapeError("the prompt is empty")
    for side, record in zip(SIDES, (chosen, rejected), strict=True):
        if not record.response.strip():
            raise ShapeError(f"'{side}' holds no answer")
    if chosen.response.strip() == rejected.response.strip():
        raise ShapeError("'chosen' and 'rejected' are the same text")
    named = row.get("record_id")
    thoughts = {f"{side}_thinking": r.thinking for side, r in zip(SIDES, (chosen, rejected), strict=True) if r.thinking}
    return PreferencePair(
        id=chosen.id,
        record_id=named if isinstance(named, str) and named else chosen.id,
        instruction=chosen.instruction,
        chosen=chosen.response,
        rejected=rejected.response,
        chosen_model=_model(row, CHOSEN),
        rejected_model=_model(row, REJECTED),
        chosen_score=score_beside(row, CHOSEN),
        rejected_score=score_beside(row, REJECTED),
        system=chosen.system,
        history=chosen.history,
        chosen_truncated=row.get("chosen_truncated") is True,
        rejected_truncated=row.get("rejected_truncated") is True,
        provenance=source | thoughts,
    )


def score_beside(row: Mapping[str, Any], side: str) -> float | None:
    """Returns the score that a row names for one of its two answers."""
    names = [form.format(side, kind) for kind in SCORED for form in ("{1}_{0}", "{0}_{1}", "{0}-{1}", "{1}-{0}")]
    return next((score for name in names if (score := number_of(row.get(name))) is not None), None)


def _answered(
    row: Mapping[str, Any], side: str, default_id: str, source: dict[str, Any], keep_thoughts: bool
) -> Record:
    """The prompt with the answer of one side; what else looks like an answer is left out."""
    plain = {name: value for name, value in row.items() if str(name).strip().lower() not in OTHERS}
    if prompt := next((row[name] for name in CONVERSATIONS if _ends_with_question(row.get(name))), None):
        plain["prompt"] = prompt  # LLaMA-Factory's rows: the conversation, and the two ways in which it goes on
    return record_from_row(plain | {CHOSEN: row[side], REJECTED: ""}, default_id, source, keep_thoughts=keep_thoughts)


def _ends_with_question(value: Any) -> bool:
    try:
        return are_turns(value) and read_conversation(value, CONVERSATIONS[0]).turns[-1].role == "user"
    except ShapeError:
        return False


def _model(row: Mapping[str, Any], side: str) -> str:
    names = (f"{side}_model", f"model_{side}", f"{side}-model", f"{side}_from")
    return next((str(row[name]) for name in names if isinstance(row.get(name), str) and row[name]), NO_MODEL)


def _refuse(row: Any, default_id: str, source: dict[str, Any], missing: str = CHOSEN) -> PreferencePair:
    from synthetic_instruction_tuner.data_files.own_data.scored_answers import scored_row

    try:
        scored_row(row, default_id, source)
    except ShapeError:
        if isinstance(row, Mapping) and missing in row:
            raise ShapeError(f"'{missing}' holds no answer") from None
        fields = ", ".join(map(str, list(row)[:8])) if isinstance(row, Mapping) else "none"
        raise ShapeError(f"no '{missing}' among its fields ({fields})") from None
    raise ShapeError("answers with scores, not a pair; 'sit prefer FILE -o out' makes pairs of them")
