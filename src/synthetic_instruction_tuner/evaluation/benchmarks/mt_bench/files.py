"""MT-Bench's files: questions, the judge's prompts, reference answers, and models' answers to the questions.

The files are those of lm-sys/FastChat (Zheng et al. 2023, arXiv:2306.05685); none of them is part of this package.
Half of the first reference answers to the questions on mathematics, reasoning and code are wrong. A later set corrects
them (FastChat's pull request 3158) and is the default.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Any, Literal

from synthetic_instruction_tuner.data_files.reading import read_rows
from synthetic_instruction_tuner.errors import UserError

QUESTIONS, JUDGE_PROMPTS = "question.jsonl", "judge_prompts.jsonl"
TURNS = 2
CATEGORIES = ("writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities")
WITH_REFERENCE = ("math", "reasoning", "coding")
COUNT = 80  # questions of the published set
SOURCE = "fastchat/llm_judge/data of github.com/lm-sys/FastChat"

References = Literal["corrected", "original"]
REFERENCE_FILES: Mapping[References, tuple[str, ...]] = {
    "corrected": ("gpt-4-0125-preview.PR3158.jsonl", "gpt-4-0125-preview.jsonl"),
    "original": ("gpt-4.jsonl",),
}

# Fields that a judge's prompt must have, by its name; those of the other turn would be left out silently.
_SINGLE, _PAIR = {"question", "answer"}, {"question", "answer_a", "answer_b"}
_SINGLE_2 = {"question_1", "question_2", "answer_1", "answer_2"}
_PAIR_2 = {"question_1", "question_2", "answer_a_1", "answer_a_2", "answer_b_1", "answer_b_2"}
_REFERENCE, _REFERENCE_2 = {"ref_answer_1"}, {"ref_answer_1", "ref_answer_2"}
PROMPT_FIELDS: Mapping[str, set[str]] = {
    "single-v1": _SINGLE,
    "single-math-v1": _SINGLE | _REFERENCE,
    "single-v1-multi-turn": _SINGLE_2,
    "single-math-v1-multi-turn": _SINGLE_2 | _REFERENCE_2,
    "pair-v2": _PAIR,
    "pair-math-v1": _PAIR | _REFERENCE,
    "pair-v2-multi-turn": _PAIR_2,
    "pair-math-v1-multi-turn": _PAIR_2 | _REFERENCE_2,
}


@dataclass(frozen=True, slots=True)
class Question:
    """Two turns of a user.

    Attributes:
        number: its published id, 81 to 160.
        category: one of `CATEGORIES`.
        turns: the user's two messages.
        references: right answers to both turns, where the judge is shown some; otherwise empty.
    """

    number: int
    category: str
    turns: tuple[str, ...]
    references: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its name in results, with the category."""
        return f"{self.category}-{self.number}"

    @property
    def prompt(self) -> str:
        """The first turn."""
        return self.turns[0]


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """One of the published prompts of the judge."""

    name: str
    system: str
    template: str


@dataclass(frozen=True)
class MtBench:
    """Everything that judging needs.

    Attributes:
        questions: in the published order.
        prompts: the judge's prompts by name.
        references: which set of reference answers the questions have.
    """

    questions: tuple[Question, ...]
    prompts: Mapping[str, JudgePrompt] = field(default_factory=dict)
    references: References = "corrected"

    @cached_property
    def digest(self) -> str:
        """A short hash of all texts: part of the key of what was judged with them."""
        parts: list[Any] = [(q.number, q.category, q.turns, q.references) for q in self.questions]
        parts += [(p.name, p.system, p.template) for _, p in sorted(self.prompts.items())]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    @cached_property
    def asked(self) -> str:
        """A short hash of what students are asked."""
        parts = [(q.number, q.category, q.turns) for q in self.questions]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def first(self, count: int) -> MtBench:
        """Returns `count` questions, as many of each category as can be; fewer are a part of more."""
        by_category: dict[str, list[Question]] = {}
        for question in self.questions:
            by_category.setdefault(question.category, []).append(question)
        order = [
            (place, number, question)
            for number, own in enumerate(by_category.values())
            for place, question in enumerate(sorted(own, key=_drawn))
        ]
        chosen = {question.number for _, _, question in sorted(order, key=lambda entry: entry[:2])[:count]}
        kept = tuple(question for question in self.questions if question.number in chosen)
        return MtBench(kept, self.prompts, self.references)


def read_mt_bench(folder: Path, references: References = "corrected") -> MtBench:
    """Returns the questions with their references, and the judge's prompts.

    Args:
        folder: with `question.jsonl` and `reference_answer/`; `judge_prompts.jsonl` is there or in the folder above.
        references: the corrected answers, or the first ones.

    Raises:
        UserError: a file is missing, cut off, or not what it should be.
    """
    questions = read_questions(folder / QUESTIONS)
    found = read_answers(_reference_file(folder, references))
    lacking = [q.number for q in questions if q.category in WITH_REFERENCE and q.number not in found]
    if lacking:
        raise _fault(_reference_file(folder, references), f"it has no answer to question {lacking[0]}")
    with_answers = tuple(
        Question(q.number, q.category, q.turns, found[q.number] if q.category in WITH_REFERENCE else ())
        for q in questions
    )
    return MtBench(with_answers, read_prompts(_prompts_file(folder)), references)


def lacking_files(folder: Path, references: References = "corrected") -> list[str]:
    """Returns the names of the files that a folder of MT-Bench does not have."""
    needed = (folder / QUESTIONS, _prompts_file(folder), _reference_file(folder, references))
    return [file.relative_to(folder).as_posix() for file in needed if not file.is_file()]


def read_questions(file: Path) -> tuple[Question, ...]:
    """Returns the questions of a file, in its order.

    Raises:
        UserError: the file cannot be read, or a question is incomplete or there twice.
    """
    found: dict[int, Question] = {}
    for number, row in _rows(file):
        key, turns, category = row.get("question_id"), _texts(row.get("turns")), row.get("category")
        if type(key) is not int or category not in CATEGORIES or not turns:
            raise _fault(file, f"row {number} is not a question with question_id, a known category and two turns")
        if key in found:
            raise _fault(file, f"question {key} is there twice")
        found[key] = Question(key, str(category), turns)
    if not found:
        raise _fault(file, "it has no question")
    return tuple(found.values())


def read_prompts(file: Path) -> dict[str, JudgePrompt]:
    """Returns the judge's prompts by name; those that are not used here are left out.

    Raises:
        UserError: the file cannot be read, or a prompt is missing, there twice, or has other fields than it should.
    """
    found: dict[str, JudgePrompt] = {}
    for number, row in _rows(file):
        name, system, template = str(row.get("name")), row.get("system_prompt"), row.get("prompt_template")
        if name not in PROMPT_FIELDS:
            continue
        if not isinstance(system, str) or not isinstance(template, str):
            raise _fault(file, f"row {number} has no system_prompt or no prompt_template")
        if name in found:
            raise _fault(file, f"the prompt {name} is there twice")
        if (fields := _fields(template)) != PROMPT_FIELDS[name]:
            shown = ", ".join(sorted(fields)) or "none"
            raise _fault(
                file, f"the prompt {name} has the fields {shown}, not {', '.join(sorted(PROMPT_FIELDS[name]))}"
            )
        found[name] = JudgePrompt(name, system, template)
    if missing := [name for name in PROMPT_FIELDS if name not in found]:
        raise _fault(file, f"it lacks {', '.join(missing)}")
    return found


def read_answers(file: Path) -> dict[int, tuple[str, ...]]:
    """Returns a model's answers to both turns by question: FastChat's files, or rows with question_id and answers.

    Raises:
        UserError: the file cannot be read, or a question has no two answers, or is there twice.
    """
    found: dict[int, tuple[str, ...]] = {}
    for number, row in _rows(file):
        key, turns = row.get("question_id"), _texts(_turns(row))
        if type(key) is not int or not turns:
            raise _fault(file, f"row {number} has no question_id, or not the answers to two turns")
        if key in found:
            raise _fault(file, f"question {key} is answered twice")
        found[key] = turns
    if not found:
        raise _fault(file, "it has no answers")
    return found


def _drawn(question: Question) -> bytes:
    """Returns the place of a question in a fixed random order."""
    return hashlib.sha256(f"mt_bench-{question.number}".encode()).digest()


def _turns(row: Mapping[str, Any]) -> Any:
    choices = row.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        return choices[0].get("turns")
    return row.get("answers", row.get("turns"))


def _texts(turns: Any) -> tuple[str, ...]:
    """Returns the texts of both turns; none where it is anything else."""
    whole = isinstance(turns, (list, tuple)) and len(turns) == TURNS and all(isinstance(text, str) for text in turns)
    return tuple(turns) if whole else ()


def _fields(template: str) -> set[str]:
    try:
        return {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError:
        return set()


def _prompts_file(folder: Path) -> Path:
    places = (folder / JUDGE_PROMPTS, folder.parent / JUDGE_PROMPTS)
    return next((place for place in places if place.is_file()), places[0])


def _reference_file(folder: Path, references: References) -> Path:
    places = [folder / "reference_answer" / name for name in REFERENCE_FILES[references]]
    return next((place for place in places if place.is_file()), places[0])


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if not file.is_file():
        raise missing_file(file)
    for number, row, _ in read_rows(file):
        if not isinstance(row, Mapping):
            raise _fault(file, f"row {number} cannot be read: it may be cut off")
        yield number, row


def _fault(file: Path, cause: str) -> UserError:
    return UserError(f"{file} is not a file of MT-Bench that can be used.", f"{cause[:1].upper()}{cause[1:]}.",
                     "Get the file again.")  # fmt: skip


def missing_file(place: Path | None) -> UserError:
    """Returns the error for a file, or a whole folder, of MT-Bench that is not there."""
    what = "The files of MT-Bench are" if place is None or not place.suffix else f"The file {place} is"
    return UserError(
        f"{what} not on this machine.",
        f"It needs {QUESTIONS}, {JUDGE_PROMPTS} and reference_answer/, which are not part of this package.",
        f"Run 'sit benchmarks fetch', or put them into the folder mt_bench of evaluate.data_dir; they are in {SOURCE}.",
    )
