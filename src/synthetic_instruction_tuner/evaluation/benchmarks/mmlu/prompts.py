"""MMLU's prompts, exactly as the task ``mmlu`` of lm-evaluation-harness writes them."""

from __future__ import annotations

from collections.abc import Sequence

from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.items import LETTERS, MmluItem


def opening(subject: str, examples: Sequence[MmluItem]) -> str:
    """Returns what all questions of a subject begin with: a line about the subject, and its solved examples."""
    line = f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n"
    return line + "".join(f"{item.prompt} {LETTERS[item.right]}\n\n" for item in examples)


def continuations() -> list[str]:
    """Returns what is compared behind "Answer:": a space and each letter."""
    return [f" {letter}" for letter in LETTERS]
