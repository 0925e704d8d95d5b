"""What the judge is asked about a question and its answers: the published prompts, filled in.

Turn 1 is shown alone, turn 2 with the whole conversation. Questions on mathematics, reasoning and code come with
reference answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.files import MtBench, Question
from synthetic_instruction_tuner.records import Message

RATE_AGAIN = (
    "\n\nEnd your reply with the rating alone on the last line, exactly in this form: Rating: [[5]]. "
    "It is a number from 1 to 10 in double square brackets."
)
COMPARE_AGAIN = (
    "\n\nEnd your reply with the verdict alone on the last line: exactly one of [[A]], [[B]] and [[C]], "
    "in double square brackets."
)


def single_prompt(bench: MtBench, question: Question, answers: Sequence[str], turn: int) -> list[Message]:
    """Returns the prompt that asks for a rating of one answer.

    Args:
        bench: with the judge's prompts.
        question, answers: the conversation.
        turn: whose answer is rated, from 0.
    """
    return _prompt(bench, "single", question, {"answer": answers}, turn)


def pair_prompt(
    bench: MtBench, question: Question, first: Sequence[str], second: Sequence[str], turn: int
) -> list[Message]:
    """Returns the prompt that asks which of two models' answers is better; the first is shown as assistant A's."""
    return _prompt(bench, "pair", question, {"answer_a": first, "answer_b": second}, turn)


def prompt_name(kind: str, question: Question, turn: int) -> str:
    """Returns the name of the published prompt; the kind is single or pair."""
    plain = "v1" if kind == "single" else "v2"
    return f"{kind}-{'math-v1' if question.references else plain}{'-multi-turn' if turn else ''}"


def _prompt(
    bench: MtBench, kind: str, question: Question, answers: dict[str, Sequence[str]], turn: int
) -> list[Message]:
    prompt = bench.prompts[prompt_name(kind, question, turn)]
    texts = {f"ref_answer_{number}": text for number, text in enumerate(question.references, 1)}
    if turn == 0:
        texts |= {"question": question.turns[0]} | {name: turns[0] for name, turns in answers.items()}
    else:
        texts |= {f"question_{number}": text for number, text in enumerate(question.turns, 1)}
        texts |= {f"{name}_{number}": text for name, turns in answers.items() for number, text in enumerate(turns, 1)}
    return [Message("system", prompt.system), Message("user", prompt.template.format(**texts))]
