"""Reads texts that hold a whole conversation with the speakers' names in it, as some data sets store them.

A text is believed only if it begins with a speaker, or an introduction that the data set is known for, and the
speakers alternate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from synthetic_instruction_tuner.data_files.conversations import ShapeError

Turns = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Transcript:
    """How a data set writes who speaks.

    Attributes:
        mark: matches where a turn begins; its first group is the speaker.
        before: what may stand before the first turn.
        ends: what a turn may end with, which is no part of it.
    """

    mark: re.Pattern[str]
    before: re.Pattern[str] = re.compile(r"\s*")
    ends: tuple[str, ...] = ()


ROLES = {
    "human": "user",
    "user": "user",
    "instruction": "user",
    "[inst]": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "response": "assistant",
    "[/inst]": "assistant",
    "system": "system",
    "function response": "tool",
}
FORMS = (
    Transcript(re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")),  # Anthropic
    Transcript(re.compile(r"(?:\A|(?<=\n)|(?<=[^#])) ?### ?(Human|User|Assistant|System): ?")),  # Guanaco
    Transcript(
        re.compile(r"(?:\A|\n)### (Instruction|Response):[ \t]*\n?"),  # Alpaca's template
        re.compile(r"\s*(?:Below is an instruction[^\n#]*\s*)?"),
        ("<|endoftext|>", "</s>"),
    ),
    Transcript(re.compile(r"<\|im_start\|>(system|user|assistant)\n"), ends=("<|im_end|>",)),  # ChatML
    Transcript(re.compile(r"(\[/?INST\])"), re.compile(r"\s*(?:<s>)?\s*"), ("<s>", "</s>")),  # Llama 2
    Transcript(re.compile(r"\[\|(Human|AI)\|\]"), re.compile(r"\s*(?:The conversation between[^\n]*\s*)?")),  # Baize
    Transcript(  # Glaive
        re.compile(r"(?:\A|\n)(USER|ASSISTANT|FUNCTION RESPONSE): ?"), ends=("<|endoftext|>",)
    ),
)


def turns_of(text: str) -> Turns | None:
    """Returns the turns of a transcript, or None of any other text.

    Raises:
        ShapeError: it has a turn of a tool, or a call of one.
    """
    for form in FORMS:
        if turns := _turns(text, form):
            return turns
    return None


def _turns(text: str, form: Transcript) -> Turns | None:
    marks = list(form.mark.finditer(text))
    if not marks or not form.before.fullmatch(text[: marks[0].start()]):
        return None
    stops = [*(mark.start() for mark in marks[1:]), len(text)]
    turns = [
        {"role": ROLES[mark[1].lower()], "content": _without(text[mark.end() : stop], form.ends)}
        for mark, stop in zip(marks, stops, strict=True)
    ]
    while turns and not turns[-1]["content"]:  # where the next turn would begin
        turns.pop()
    roles = [turn["role"] for turn in turns]
    if "tool" in roles or any(turn["content"].startswith("<functioncall>") for turn in turns):
        raise ShapeError("a conversation has function calls, which a record cannot hold")
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    if len(spoken) < 2 or spoken != (["user", "assistant"] * len(spoken))[: len(spoken)]:
        return None
    return turns


def _without(text: str, ends: tuple[str, ...]) -> str:
    text = text.strip()
    while (end := next((end for end in ends if text.endswith(end)), None)) is not None:
        text = text.removesuffix(end).rstrip()
    return text
