"""Reads prompts with several answers and their scores, from rows of any usual shape.

Answers may be objects in a list (UltraFeedback's ``completions``, Nectar's ``answers``), texts in a list beside a list
of scores (Magpie's ``responses``), numbered columns (``response_a`` and ``score_a``), a chosen and a rejected answer
with scores, or rows of their own, each with the same prompt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError, are_turns, read_conversation
from synthetic_instruction_tuner.data_files.own_data.preference_rows import NO_MODEL, number_of, score_beside
from synthetic_instruction_tuner.data_files.reading import Malformed, fallback_id, no_rows, read_as, with_free_id
from synthetic_instruction_tuner.data_files.record_shapes import record_from_row
from synthetic_instruction_tuner.data_files.row_texts import ANSWERS, CHOSEN, REJECTED
from synthetic_instruction_tuner.records import Answer, Message, Record

LISTS = ("completions", "responses", "answers", "outputs", "generations", "candidates", "samples", "replies")
TEXTS = (*ANSWERS, "text", "content", "message", "messages")
MODELS = ("model", "model_name", "generator", "source_model", "gen_model")
SCORES = (  # the first of them that is there for at least two answers counts
    "overall_score",
    "fine-grained_score",
    "fine_grained_score",
    "score",
    "reward",
    "rating",
    "reward_score",
    "instruct_reward",
    "overall",
    "rank",
)
LOWER_IS_BETTER = ("rank",)
SCORE_LIST = re.compile(r"(\w+[_-])?(score|reward|rating|rank)s?([_-]\w+)?")
NUMBERED = re.compile(rf"({'|'.join(ANSWERS)}|score|rating|reward|model)_?(?:(?<=_)([a-z])|(\d+))")
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


def read_scored(files: Sequence[Path], malformed: list[Malformed], score: str | None = None) -> Iterator[Scored]:
    """Yields the files' prompts with their answers.

    Rows with several answers come first, in order. Rows with one answer are kept in memory until all files are read;
    those with the same prompt then come together, in the order of their first rows.

    Args:
        files: JSON, JSON lines, CSV, TSV or Parquet files, or data sets of the Hub.
        malformed: receives the rows that are not answers with scores.
        score: the name of the field with the scores; None: the usual one that is there.

    Raises:
        UserError: a file cannot be read, or has no answers with scores.
    """
    taken: set[str] = set()
    single: dict[tuple[Any, ...], list[Scored]] = {}

    def convert(row: Any, default_id: str, source: dict[str, Any]) -> Scored:
        return scored_row(row, default_id, source, score)

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


def scored_row(row: Any, default_id: str, source: dict[str, Any], score: str | None = None) -> Scored:
    """Returns what one row holds.

    Raises:
        ShapeError: it has no prompt, no answers, or no scores.
    """
    if not isinstance(row, Mapping):
        record_from_row(row, default_id, source)  # says what is wrong with it
        raise ShapeError("a conversation without scores")
    row = {str(name).strip().lower(): _parsed(value) for name, value in row.items()}
    wanted = score.lower() if score else None
    used, answers = _listed(row, wanted) or _numbered(row, wanted) or _paired(row) or _single(row, wanted)
    record = record_from_row({name: v for name, v in row.items() if name not in used}, default_id, source)
    if not record.instruction.strip():
        raise ShapeError("the prompt is empty")
    found = {name for answer in answers for name in answer.scores if answer.text.strip()}
    names = [wanted] if wanted else [*SCORES, *sorted(found - {*SCORES})]
    counts = {name: sum(name in answer.scores for answer in answers) for name in names}
    field = next((n for n in names if counts[n] > 1), next((n for n in names if counts[n]), None))
    if field is None:
        named = f"'{score}'" if score else "score, reward or rating"
        raise ShapeError(f"{len(answers)} answer{'s' * (len(answers) > 1)} without a number as {named}")
    answered = tuple(answer.with_score(field) for answer in answers)
    return Scored(replace(record, response="", thinking=None), answered, field)


@dataclass(frozen=True, slots=True)
class _Text:
    """An answer with all scores that it may be judged by."""

    text: str
    model: str
    scores: dict[str, float]
    truncated: bool = False

    def with_score(self, field: str) -> Answer:
        score = self.scores.get(field)
        if score is not None and field in LOWER_IS_BETTER:
            score = -score
        return Answer("", self.model, self.text, self.truncated, score)


def _listed(row: Mapping[str, Any], wanted: str | None) -> tuple[set[str], list[_Text]] | None:
    """Answers in a list: objects with their scores, or texts beside lists of scores."""
    for name in LISTS:
        values = row.get(name)
        if isinstance(values, list) and values and not are_turns(values):
            break
    else:
        return None
    beside = {
        key: column
        for key, column in row.items()
        if key != name and isinstance(column, list) and (key == wanted or SCORE_LIST.fullmatch(key))
    }
    for key, column in beside.items():
        if len(column) != len(values):
            raise ShapeError(f"'{name}' has {len(values)} entries, and '{key}' has {len(column)}")
    models: list[Any] = next((row[f"{m}s"] for m in MODELS if isinstance(row.get(f"{m}s"), list)), [])
    models = models if len(models) == len(values) else [None] * len(values)
    answers = []
    for place, value in enumerate(values):
        scores = {_singular(key): s for key, column in beside.items() if (s := _score(column[place])) is not None}
        answers.append(_text(value, name, models[place], scores, wanted))
    return {name, "models", *beside, *ANSWERS}, answers


def _text(value: Any, name: str, model: Any, scores: dict[str, float], wanted: str | None) -> _Text:
    if not isinstance(value, Mapping) or are_turns([value]):
        return _Text(_spoken(value, name), model if isinstance(model, str) and model else NO_MODEL, scores)
    plain = {str(key).lower(): part for key, part in value.items()}
    field = next((key for key in TEXTS if plain.get(key) is not None), None)
    if field is None:
        raise ShapeError(f"an entry of '{name}' has none of {', '.join(TEXTS[:4])} ({', '.join(map(str, value))[:80]})")
    named = next((plain[key] for key in MODELS if isinstance(plain.get(key), str) and plain[key]), model)
    own = {key: s for key in {*SCORES, wanted} if key in plain and (s := _score(plain[key])) is not None}
    cut = plain.get("truncated") is True or plain.get("finish_reason") == "length"
    return _Text(_spoken(plain[field], name), named if isinstance(named, str) else NO_MODEL, scores | own, cut)


def _numbered(row: Mapping[str, Any], wanted: str | None) -> tuple[set[str], list[_Text]] | None:
    """Columns such as response_a, response_b, score_a and score_b, or response1 and score1."""
    found: dict[str, dict[str, Any]] = {}
    used = set()
    for name, value in row.items():
        if match := NUMBERED.fullmatch(name):
            found.setdefault(match[2] or match[3], {})[match[1]] = value
            used.add(name)
    answers = []
    for parts in found.values():
        text = next((parts[name] for name in ANSWERS if parts.get(name) is not None), None)
        if text is not None:
            scores = {n: s for n in ("score", "reward", "rating") if (s := _score(parts.get(n))) is not None}
            scores |= {wanted: next(iter(scores.values()))} if wanted and scores else {}
            model = parts.get("model")
            answers.append(_Text(_spoken(text, "response"), model if isinstance(model, str) else NO_MODEL, scores))
    return ({*used, *ANSWERS}, answers) if len(answers) > 1 else None


def _paired(row: Mapping[str, Any]) -> tuple[set[str], list[_Text]] | None:
    """A chosen and a rejected answer that both have a score."""
    scores = [score_beside(row, side) for side in (CHOSEN, REJECTED)]
    if None in scores or not (row.get(CHOSEN) and row.get(REJECTED)):
        return None
    from synthetic_instruction_tuner.data_files.own_data.preference_rows import pair_from_row

    pair = pair_from_row(row, "", {})
    sides = ((pair.chosen, pair.chosen_model, scores[0]), (pair.rejected, pair.rejected_model, scores[1]))
    answers = [_Text(text, model, {"score": score}) for text, model, score in sides if score is not None]
    return {REJECTED, *ANSWERS}, answers


def _single(row: Mapping[str, Any], wanted: str | None) -> tuple[set[str], list[_Text]]:
    """A prompt with one answer and its score."""
    record = record_from_row(row, "", {})
    if not record.response.strip():
        raise ShapeError(f"no answers: none of {', '.join(LISTS[:3])}, response or output holds any")
    if row.get(REJECTED) is not None:
        raise ShapeError("chosen and rejected without scores: name the file under data.pairs")
    scores = {name: s for name in {*SCORES, wanted} if name and (s := _score(row.get(name))) is not None}
    model = next((row[name] for name in MODELS if isinstance(row.get(name), str) and row[name]), NO_MODEL)
    return set(), [_Text(record.response, model, scores, row.get("truncated") is True)]


def _spoken(value: Any, name: str) -> str:
    """An answer's text; of messages, that of the last one."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    turns: Sequence[Message] = ()
    if isinstance(value, (list, Mapping)):
        turns = read_conversation(value, name, texts=False).turns
    if not turns or turns[-1].role != "assistant":
        raise ShapeError(f"an entry of '{name}' is no answer")
    return turns[-1].content


def _score(value: Any) -> float | None:
    """A number, or the one in an object such as {"score": 0.7}."""
    if isinstance(value, Mapping):
        return next((s for name in SCORES if (s := number_of(value.get(name))) is not None), None)
    return number_of(value)


def _parsed(value: Any) -> Any:
    """A list that a cell of a table holds as JSON."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return found if isinstance(found, list) else value
    return value


def _singular(name: str) -> str:
    return name.removesuffix("s")


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
