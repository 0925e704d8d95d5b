"""A small MT-Bench in its published form, with questions and prompts of our own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.files import CATEGORIES, WITH_REFERENCE

EACH = 2  # questions of a category
_ANSWER = "[The Start of Assistant{0}'s Answer]\n{{{1}}}\n[The End of Assistant{0}'s Answer]"
_REFERENCE = "Reference: {ref_answer_1}\n"
_TALK = "Q1 {{question_1}}\nA1 {{{0}_1}}\nQ2 {{question_2}}\nA2 {{{0}_2}}\n"
_BOTH_REFERENCES = "R1 {ref_answer_1}\nR2 {ref_answer_2}\n"
PROMPTS = {
    "single-v1": "Rate.\nQ {question}\n" + _ANSWER.format("", "answer"),
    "single-math-v1": "Rate.\nQ {question}\n" + _REFERENCE + _ANSWER.format("", "answer"),
    "single-v1-multi-turn": _TALK.format("answer"),
    "single-math-v1-multi-turn": _BOTH_REFERENCES + _TALK.format("answer"),
    "pair-v2": "Q {question}\n" + _ANSWER.format(" A", "answer_a") + "\n" + _ANSWER.format(" B", "answer_b"),
    "pair-math-v1": "Q {question}\n"
    + _REFERENCE
    + _ANSWER.format(" A", "answer_a")
    + "\n"
    + _ANSWER.format(" B", "answer_b"),
    "pair-v2-multi-turn": _TALK.format("answer_a") + "---\n" + _TALK.format("answer_b"),
    "pair-math-v1-multi-turn": _BOTH_REFERENCES + _TALK.format("answer_a") + "---\n" + _TALK.format("answer_b"),
}


def rows_of_questions() -> list[dict[str, Any]]:
    """Two questions of each category, from number 81 on."""
    named = [category for category in CATEGORIES for _ in range(EACH)]
    return [
        {"question_id": 81 + i, "category": c, "turns": [f"Tell me about {c} {i}.", f"And more on {c} {i}?"]}
        for i, c in enumerate(named)
    ]


def answers(word: str, count: int = 30) -> list[dict[str, Any]]:
    """A model's answers, of `count` words."""
    return [
        {
            "question_id": row["question_id"],
            "model_id": word,
            "choices": [
                {
                    "index": 0,
                    "turns": [
                        " ".join(f"{word}{n}" for n in range(count)) + f" {row['question_id']}.{turn}"
                        for turn in range(2)
                    ],
                }
            ],
        }
        for row in rows_of_questions()
    ]


def write(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes rows as JSONL."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_folder(folder: Path, published: Mapping[str, str] = {}) -> Path:
    """Writes a whole folder; `published` has the word of which each model's answers are made."""
    questions = rows_of_questions()
    write(folder / "question.jsonl", questions)
    prompts = ({"name": n, "system_prompt": f"You judge ({n}).", "prompt_template": t} for n, t in PROMPTS.items())
    write(folder / "judge_prompts.jsonl", [*prompts, {"name": "other", "prompt_template": "{x}"}])
    for name, word in (("gpt-4", "wrong"), ("gpt-4-0125-preview.PR3158", "right")):
        own = [row for row in answers(word) if row["question_id"] in with_reference()]
        write(folder / "reference_answer" / f"{name}.jsonl", own)
    for model, word in published.items():
        write(folder / "model_answer" / f"{model}.jsonl", answers(word))
    return folder


def with_reference() -> set[int]:
    """The numbers of the questions that have references."""
    return {row["question_id"] for row in rows_of_questions() if row["category"] in WITH_REFERENCE}
