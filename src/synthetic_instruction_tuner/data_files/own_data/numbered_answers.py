"""Finds answers that have columns of their own: response_a and score_a, or gpt4_response and gpt4_score."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from synthetic_instruction_tuner.data_files.own_data.answer_texts import Text, answer_text
from synthetic_instruction_tuner.data_files.own_data.numbers import inner_scores, is_score
from synthetic_instruction_tuner.data_files.row_texts import ANSWERS

Found = tuple[set[str], list[Text]]
_KINDS = "|".join((*ANSWERS, "human_ref", "conversation", "candidate", "orig_response"))
_SIDE = r"_?(?:(?<=_)(?P<letter>[a-z])|(?P<number>\d+))"
_SCORE = r"(?:[a-z]+_)*?(?:score|rating|reward|rank)"
_COLUMNS = (  # response_a, response1; model_a; score_a; response_a_score; score_response_a
    ("text", re.compile(rf"(?P<kind>{_KINDS}){_SIDE}")),
    ("model", re.compile(rf"(?:(?:{_KINDS})_)?model(?:_name)?{_SIDE}")),
    ("model", re.compile(rf"(?:{_KINDS}){_SIDE}_model(?:_name)?")),
    ("score", re.compile(rf"(?P<name>{_SCORE}){_SIDE}")),
    ("score", re.compile(rf"(?:{_KINDS}){_SIDE}_(?P<name>{_SCORE})")),
    ("score", re.compile(rf"(?P<name>{_SCORE})_(?:{_KINDS}){_SIDE}")),
)
_BY_PREFIX = re.compile(r"(?P<model>.+)_(?P<kind>response|answer|output|completion|score|rating|reward)")


def numbered_answers(row: Mapping[str, Any], wanted: str | None) -> Found | None:
    """Returns the names used and the answers of columns such as response_a and score_a, or response1_score."""
    sides: dict[str, dict[str, Any]] = {}
    used = set()
    for name, value in row.items():
        for kind, column in _COLUMNS:
            if match := column.fullmatch(name):
                side = sides.setdefault(match["letter"] or match["number"], {"scores": {}})
                used.add(name)
                if kind == "score":
                    side["scores"] |= inner_scores(match["name"], value)
                elif value is not None:
                    side.setdefault(kind, value)
                break
    found = [
        replace(answer_text(_only(parts["text"]), "response", parts.get("model"), parts["scores"]), side=side)
        for side, parts in sides.items()
        if "text" in parts
    ]
    if len(found) < 2:
        return None
    if wanted:
        found = [_as_wanted(one, wanted) for one in found]
    return {*used, *ANSWERS}, found


def _only(value: Any) -> Any:
    """The text in a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) else value


def _as_wanted(one: Text, wanted: str) -> Text:
    if wanted in one.scores or len(one.scores) != 1:
        return one
    return replace(one, scores={**one.scores, wanted: next(iter(one.scores.values()))})


def answers_by_model(row: Mapping[str, Any], wanted: str | None) -> Found | None:
    """Returns the names used and the answers of columns such as gpt4_response and gpt4_score: each model has both."""
    models: dict[str, dict[str, tuple[str, Any]]] = {}
    for name, value in row.items():
        if match := _BY_PREFIX.fullmatch(name):
            kind = "score" if is_score(match["kind"]) else "text"
            models.setdefault(match["model"], {}).setdefault(kind, (name, value))
    both = {model: parts for model, parts in models.items() if len(parts) == 2 and parts["text"][1] is not None}
    if len(both) < 2:
        return None
    used = {name for parts in both.values() for name, _ in parts.values()}
    answers = [
        answer_text(parts["text"][1], parts["text"][0], model, inner_scores("score", parts["score"][1]))
        for model, parts in both.items()
    ]
    return {*used, *ANSWERS}, [_as_wanted(one, wanted) for one in answers] if wanted else answers
