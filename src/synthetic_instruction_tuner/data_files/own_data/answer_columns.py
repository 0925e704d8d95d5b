"""Finds the answers of a row and the scores that stand with each: lists, objects by model, columns, a pair, one answer.

Every function below takes a row with names in lower case, and returns the names that it has used and the answers; None
where the row is of another form.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError, are_turns
from synthetic_instruction_tuner.data_files.own_data.answer_texts import Text, answer_text
from synthetic_instruction_tuner.data_files.own_data.numbered_answers import answers_by_model, numbered_answers
from synthetic_instruction_tuner.data_files.own_data.numbers import inner_scores, is_score, scores_in
from synthetic_instruction_tuner.data_files.own_data.preference_rows import NO_MODEL, pair_from_row, score_beside
from synthetic_instruction_tuner.data_files.record_shapes import record_from_row
from synthetic_instruction_tuner.data_files.row_shapes.other_answers import LISTS
from synthetic_instruction_tuner.data_files.row_texts import ANSWERS, CHOSEN, CONVERSATIONS, REJECTED

TEXTS = (*ANSWERS, "text", "content", "message", "messages", "value")
MODELS = ("model", "model_name", "generator", "source_model", "gen_model", "generation_model")
Found = tuple[set[str], list[Text]]


def answers_in(row: Mapping[str, Any], wanted: str | None) -> Found:
    """Returns the names of the fields that hold answers and scores, and the answers.

    Args:
        row: a row with names in lower case and `parsed` cells.
        wanted: the field that holds the scores, if the user has named it.

    Raises:
        ShapeError: the row has no answers, or lists that do not fit together.
    """
    found = _listed(row, wanted) or _by_model(row, wanted) or numbered_answers(row, wanted)
    return found or answers_by_model(row, wanted) or _paired(row) or _single(row, wanted)


def parsed(value: Any) -> Any:
    """Returns the list or object that a cell of a table holds, as JSON or as Python writes it; else the value."""
    text = value.strip() if isinstance(value, str) else ""
    if not (text.startswith("[") and text.endswith("]")) and not (text.startswith("{") and text.endswith("}")):
        return value
    for parse in (json.loads, ast.literal_eval, _of_numpy):
        try:
            found = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        return found if isinstance(found, list | dict) else value
    return value


def _of_numpy(text: str) -> Any:
    """A list of numbers or texts without commas, as a column of NumPy's arrays has it in CSV."""
    if re.fullmatch(r"\[[-+.\d\seE]+\]", text):
        return [float(part) for part in text[1:-1].split()]
    raise ValueError(text)


def _listed(row: Mapping[str, Any], wanted: str | None) -> Found | None:
    """Answers in a list: objects with their scores, or texts beside lists of scores."""
    for name in LISTS:
        values = _rows(row.get(name))
        if isinstance(values, list) and values and (not are_turns(values) or _are_alternatives(values)):
            break
    else:
        return None
    if "labels" in row and name == "completions" and not any(map(is_score, row)):
        raise ShapeError("'completions' with 'labels' are the steps of one answer, not answers to compare")
    beside = {
        key: column
        for key, column in row.items()
        if key != name and isinstance(column, list) and (key == wanted or is_score(key))
    }
    for key, column in beside.items():
        if len(column) != len(values):
            raise ShapeError(f"'{name}' has {len(values)} entries, and '{key}' has {len(column)}")
    models = _models(row, len(values))
    answers = []
    for place, value in enumerate(values):
        scores: dict[str, float] = {}
        for key, column in beside.items():
            scores |= _scores(key, column[place], wanted)
        answers.append(_text(value, name, models[place], scores, wanted))
    return {name, "models", *beside, *ANSWERS, *_REPEATED}, answers


_REPEATED = (CHOSEN, REJECTED)  # what a row with answers in a list may repeat from it


def _scores(name: str, value: Any, wanted: str | None) -> dict[str, float]:
    """The scores of one answer in a column, also under the name that the user has given."""
    found = inner_scores(name, value)
    if name == wanted and found:
        found[name] = next(reversed(found.values()))
    return found


def _rows(value: Any) -> Any:
    """A struct of lists, as Parquet has a list of structs, as that list."""
    if not isinstance(value, Mapping) or "text" not in value or not all(isinstance(v, list) for v in value.values()):
        return value
    if len({len(column) for column in value.values()}) == 1:
        return [dict(zip(value, one, strict=True)) for one in zip(*value.values(), strict=True)]
    return value


def _are_alternatives(turns: list[Any]) -> bool:
    """Whether turns are all the assistant's, so that they are several answers and no conversation."""
    return len(turns) > 1 and all(str(t.get("role", t.get("from"))).lower() in ("assistant", "gpt") for t in turns)


def _models(row: Mapping[str, Any], count: int) -> list[Any]:
    names = (row.get(name) for m in MODELS for name in (f"{m}s", m))
    return next((found for found in names if isinstance(found, list) and len(found) == count), [None] * count)


def _by_model(row: Mapping[str, Any], wanted: str | None) -> Found | None:
    """Answers in an object whose keys are the models, or the numbers, of the answers; scores likewise."""
    for name in LISTS:
        values = row.get(name)
        if (
            isinstance(values, Mapping)
            and len(values) > 1
            and all(isinstance(v, str | Mapping) for v in values.values())
        ):
            break
    else:
        return None
    beside = {
        key: column
        for key, column in row.items()
        if isinstance(column, Mapping) and key != name and (key == wanted or is_score(key))
    }
    answers = []
    for model, value in values.items():
        scores: dict[str, float] = {}
        for key, column in beside.items():
            scores |= _scores(key, column.get(model), wanted)
        answers.append(_text(value, name, str(model), scores, wanted))
    return {name, "models", *beside, *ANSWERS, *_REPEATED}, answers


def _text(value: Any, name: str, model: Any, scores: dict[str, float], wanted: str | None) -> Text:
    if not isinstance(value, Mapping):
        return answer_text(value, name, model, scores)
    plain = {str(key).strip().lower(): part for key, part in value.items()}
    field = next((key for key in TEXTS if plain.get(key) is not None), None)
    if field is None:
        raise ShapeError(f"an entry of '{name}' has none of {', '.join(TEXTS[:4])} ({', '.join(map(str, value))[:80]})")
    named = next((plain[key] for key in MODELS if isinstance(plain.get(key), str) and plain[key]), model)
    found = answer_text(plain[field], name, named, scores | scores_in(plain, wanted))
    return replace(found, truncated=found.truncated or _is_cut(plain))


def _is_cut(plain: Mapping[str, Any]) -> bool:
    return plain.get("truncated") is True or plain.get("finish_reason") == "length"


def _paired(row: Mapping[str, Any]) -> Found | None:
    """A chosen and a rejected answer that both have a score."""
    scores = [score_beside(row, side) for side in (CHOSEN, REJECTED)]
    if None in scores or not (row.get(CHOSEN) and row.get(REJECTED)):
        return None
    pair, whole = pair_from_row(row, "", {}), pair_from_row(row, "", {}, keep_thoughts=True)
    thoughts = pair.provenance or {}
    sides = (
        (CHOSEN, pair.chosen, pair.chosen_model, whole.chosen, scores[0]),
        (REJECTED, pair.rejected, pair.rejected_model, whole.rejected, scores[1]),
    )
    answers = [
        Text(text, model, {"score": score}, thoughts=thoughts.get(f"{side}_thinking"), whole=full)
        for side, text, model, full, score in sides
        if score is not None
    ]
    return {REJECTED, *ANSWERS}, answers


def _single(row: Mapping[str, Any], wanted: str | None) -> Found:
    """A prompt with one answer and its score; an answer may be marked as good or bad, as in data sets for KTO."""
    label = row.get("label")
    plain = {name: value for name, value in row.items() if name != "label"}
    record = record_from_row(plain, "", {})
    if not record.response.strip():
        raise ShapeError(f"no answers: none of {', '.join(LISTS[:3])}, response or output holds any")
    if row.get(REJECTED) is not None:
        raise ShapeError("chosen and rejected without scores: name the file under data.pairs")
    scores = scores_in(row, wanted)
    turns: list[Any] = next((row[name] for name in CONVERSATIONS if are_turns(row.get(name))), [{}])
    scores = scores_in({str(key).lower(): part for key, part in turns[-1].items()}, wanted) | scores
    if not scores and isinstance(label, bool) and "completion" in row:
        scores = {"label": float(label)}
    model = next((row[name] for name in MODELS if isinstance(row.get(name), str) and row[name]), NO_MODEL)
    whole = record_from_row(plain, "", {}, keep_thoughts=True).response if record.thinking else ""
    return {"label"} if "label" in scores else set(), [
        Text(record.response, model, scores, row.get("truncated") is True, record.thinking, whole=whole)
    ]
