"""Reads prompts with several answers and their scores, from rows of any usual shape.

Answers may be objects in a list (UltraFeedback's ``completions``, Nectar's ``answers``), texts in a list beside a list
of scores (Magpie's ``responses``), numbered columns (``response_a`` and ``score_a``), a chosen and a rejected answer
with scores, or rows of their own, each with the same prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError
from synthetic_instruction_tuner.data_files.own_data.answer_columns import answers_in, parsed
from synthetic_instruction_tuner.data_files.own_data.answer_texts import Text
from synthetic_instruction_tuner.data_files.own_data.numbers import (
    ASPECTS,
    LOWER_IS_BETTER,
    SCORES,
    number_of,
    numeric_fields,
)
from synthetic_instruction_tuner.data_files.own_data.winners import with_winner
from synthetic_instruction_tuner.data_files.reading import Malformed, fallback_id, no_rows, read_as, with_free_id
from synthetic_instruction_tuner.data_files.record_shapes import record_from_row, with_fields
from synthetic_instruction_tuner.data_files.row_shapes.nested_sets import scored_summaries, steps_of
from synthetic_instruction_tuner.data_files.row_shapes.public_sets import post
from synthetic_instruction_tuner.records import Answer, Record

EXPECTED = (
    "A row is read if it has a prompt and answers with scores: completions with overall_score, responses and scores, "
    "or one response and its score. All shapes are in docs/own-data.md."
)


@dataclass(frozen=True, slots=True)
class Scored:
    """A prompt with answers to it, of one row or of several, and the name of the field that their scores are from."""

    record: Record
    answers: tuple[Answer, ...]
    field: str


def read_scored(
    files: Sequence[Path], malformed: list[Malformed], score: str | None = None, keep_thoughts: bool = False
) -> Iterator[Scored]:
    """Yields the files' prompts with their answers.

    Rows with several answers come first, in order. Rows with one answer are kept in memory until all files are read;
    those with the same prompt then come together, in the order of their first rows.

    Args:
        files: JSON, JSON lines, CSV, TSV or Parquet files, or data sets of the Hub.
        malformed: receives the rows that are not answers with scores.
        score: the name of the field with the scores; None: the usual one that is there.
        keep_thoughts: whether thoughts before an answer stay in it.

    Raises:
        UserError: a file cannot be read, or has no answers with scores.
    """
    taken: set[str] = set()
    single: dict[tuple[Any, ...], list[Scored]] = {}

    def convert(row: Any, default_id: str, source: dict[str, Any]) -> Scored:
        return scored_row(row, default_id, source, score, keep_thoughts)

    for file in map(Path, files):
        found = 0
        for number, row in read_as(file, convert, malformed, expected=EXPECTED):
            found += 1
            row = replace(row, record=with_free_id(row.record, fallback_id(file, number), taken))
            if len(row.answers) > 1:
                yield _own(row)
            else:
                single.setdefault(_prompt(row.record), []).append(row)
        if not found:
            raise no_rows([file], EXPECTED)
    for rows in single.values():
        answers = [answer for row in rows for answer in row.answers]
        yield _own(Scored(rows[0].record, tuple(answers), rows[0].field))


def scored_row(
    row: Any, default_id: str, source: dict[str, Any], score: str | None = None, keep_thoughts: bool = False
) -> Scored:
    """Returns what one row holds.

    Raises:
        ShapeError: it has no prompt, no answers, or no scores.
    """
    if not isinstance(row, Mapping):
        record_from_row(row, default_id, source)  # says what is wrong with it
        raise ShapeError("a conversation without scores")
    row = {str(name).strip().lower(): parsed(value) for name, value in row.items()}
    if steps_of(row) is not None:
        raise ShapeError("the steps of one answer, not answers to compare")
    row |= scored_summaries(row) or {}
    used, answers = answers_in(row, score.lower() if score else None)
    if (won := with_winner(row, answers)) is not None and not score:
        used, answers = used | won[0], won[1]
    if not any(answer.scores for answer in answers) and len(answers) == 1:
        answers = [replace(answers[0], scores=_aspects(row))]
    asked = _same_prompt(answers)
    rest = {name: _prompt_text(name, v) for name, v in row.items() if name not in used}
    rest |= {"messages": asked} if asked else post(row) or {}
    record = record_from_row(rest, default_id, source, strict=False)
    if not record.instruction.strip():
        raise ShapeError("the prompt is empty")
    field = _field(answers, score, row)
    thoughts = [] if keep_thoughts else [answer.thoughts for answer in answers]
    record = with_fields(record, {"thinking": thoughts} if any(thoughts) else {})
    answers = [replace(answer, text=answer.whole or answer.text) for answer in answers] if keep_thoughts else answers
    answered = tuple(_with_score(answer, field) for answer in answers)
    return Scored(replace(record, response="", thinking=None), answered, field)


def _aspects(row: Mapping[str, Any]) -> dict[str, float]:
    numbers = {name: number_of(row.get(name)) for name in ASPECTS}
    return {name: n for name, n in numbers.items() if n is not None} if None not in numbers.values() else {}


def _prompt_text(name: str, value: Any) -> Any:
    """The prompt in a list of one text, as the rows of the Arena have it."""
    asks = name in ("prompt", "instruction", "question")
    return value[0] if asks and isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) else value


def _field(answers: Sequence[Text], score: str | None, row: Mapping[str, Any]) -> str:
    """The name of the score that counts.

    Raises:
        ShapeError: there is none, or there are several of which none is usual.
    """
    wanted = score.lower() if score else None
    found = {name for answer in answers for name in answer.scores if answer.text.strip()}
    counts = {name: sum(name in answer.scores for answer in answers) for name in found}
    usual = [wanted] if wanted else [name for name in SCORES if name in found]
    field = next((n for n in usual if counts.get(n, 0) > 1), next((n for n in usual if counts.get(n)), None))
    if field is not None:
        return field
    if not wanted and all(number_of(row.get(name)) is not None for name in ASPECTS):
        return ASPECTS[0]
    others = sorted(name for name in found if counts[name] == max(counts.values()))
    others = [name for name in others if "." not in name] or others
    if wanted or not others:
        raise ShapeError(_without_score(answers, score, others, row))
    if len(others) > 1:
        said = ", ".join(others[:8])
        raise ShapeError(f"several fields could be the score ({said}): name one with --score")
    return others[0]


def _without_score(answers: Sequence[Text], score: str | None, others: Sequence[str], row: Mapping[str, Any]) -> str:
    named = f"'{score}'" if score else "score, reward or rating"
    said = f"{len(answers)} answer{'s' * (len(answers) > 1)} without a number as {named}"
    numbers = others or numeric_fields(row)
    return f"{said}; it has numbers under {', '.join(numbers[:8])}: name one with --score" if numbers else said


def _with_score(answer: Text, field: str) -> Answer:
    score = answer.scores.get(field)
    if score is not None and field in LOWER_IS_BETTER:
        score = -score
    return Answer("", answer.model, answer.text, answer.truncated, score)


def _same_prompt(answers: Sequence[Text]) -> list[dict[str, str]] | None:
    """The turns before the answers, where each is a whole conversation.

    Raises:
        ShapeError: they answer different prompts.
    """
    asked = {answer.asked for answer in answers} - {()}
    if not any(turn.role == "user" for turns in asked for turn in turns):
        return None
    if len(asked) > 1:
        raise ShapeError("the answers are to different prompts")
    return [turn.as_dict() for turn in next(iter(asked))]


def _prompt(record: Record) -> tuple[Any, ...]:
    return record.system, record.history, record.instruction.strip()


def _own(row: Scored) -> Scored:
    """The answers as those of the row's record, numbered for each model."""
    samples: dict[str, int] = {}
    answers = []
    for answer in row.answers:
        number = samples[answer.model] = samples.get(answer.model, -1) + 1
        answers.append(replace(answer, record_id=row.record.id, sample=number))
    return replace(row, answers=tuple(answers))
