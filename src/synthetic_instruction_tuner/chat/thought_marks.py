"""Finds the marks that a chat template puts around thoughts.

A template that accepts reasoning shows it between two marks; rendering a message with reasoning finds them. Templates
that only remove reasoning from answers, or tell the model in words how to mark them, contain the closing mark in their
source. Of others the prompt shows how thoughts begin: an opening mark says which one closes them. A prompt that begins
thoughts of which nothing shows the end is refused: nobody could tell them from the answer.
"""

from __future__ import annotations

import re
from dataclasses import replace

from synthetic_instruction_tuner.chat.rendering import Renderer, TurnsRejected, unusable
from synthetic_instruction_tuner.chat.thinking import ThinkMarks
from synthetic_instruction_tuner.chat.turns import Turns
from synthetic_instruction_tuner.records import Message

_THOUGHT, _ANSWER = "zqThoughtqz", "zqAnswerqz"
_KEYS = ("reasoning_content", "reasoning", "thinking", "thought")  # names of the thoughts in a message
_KNOWN = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel>thought", "<channel|>"),
)
_PAIRS = (("</", "<"), ("[/", "["), ("<|END_", "<|START_"), ("<|end_", "<|start_"), ("<|/", "<|"))
_THINKING = re.compile(
    r"think|thought|reason|analy[sz]|reflect|scratch|ponder|deliberat|monolog|step|chain|\bcot\b|brainstorm|work.?out",
    re.IGNORECASE,
)
_OTHER = re.compile(  # what an opened mark names where it is the answer's own, or a role's
    r"answer|response|reply|solution|output|final|result|summary|message|content|text|assistant|model|\bbot\b|\bai\b",
    re.IGNORECASE,
)
_TAG = re.compile(r"([<\[\u25c1{]\|?)([\w:.\- ]+?)(?: [\w-]+=[^<>\]]*)?(\|?[>\]\u25b7}])$")
_OF_THOUGHTS = re.compile(
    r"(</|\[/|<\|/|\u25c1/)((?:[\w.\-]+:)?\w*(?:think|thought|reason|scratch)\w*)(\|?[>\]\u25b7])", re.I
)
# Of models that begin to think without a mark, and end their thoughts with words.
_WORDS = re.compile(
    r"\[(?:BEGIN|START)(?: OF)?(?: THE)?(?: FINAL)? (?:RESPONSE|ANSWER|SOLUTION|OUTPUT)\]|\[FINAL (?:RESPONSE|ANSWER)\]"
    r"|Here(?: is|'s) my (?:response|answer):"
)
_BEGINNING = re.compile(r"Here(?: is|'s) my (?:thought process|reasoning|thinking)[^:\n]{0,20}:")
_LABEL = re.compile(  # in quotes, asterisks or brackets: how an answer is to begin
    r"""([`'"\u201c]|\*\*|<<)((?:#+ ?)?(?:the |my |your )?(?:final |complete )?"""
    r"""(?:answer|response|solution|conclusion|reply)(?: is)?:?)(?:[`'"\u201d]|\*\*|>>)""",
    re.IGNORECASE,
)
_AROUND = (
    ("<answer>", "</answer>"), ("<response>", "</response>"), ("<solution>", "</solution>"), ("<final>", "</final>"),
    ("<final_answer>", "</final_answer>"), ("<output>", "</output>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"), ("<|begin_of_answer|>", "<|end_of_answer|>"),
)  # fmt: skip
_FIX = "Use another model, or name a template without thoughts in the model's setting chat_template."


def think_marks(renderer: Renderer, turns: Turns) -> ThinkMarks | None:
    """Returns the marks that the template puts around thoughts, or None if it has none.

    Raises:
        UserError: its prompts begin thoughts, and nothing shows what ends them.
    """
    asked, start = _asked(renderer, turns)
    found = _shown(renderer, turns, asked) or _named(renderer.source) or _told(turns.asked)
    found = found or _opened(renderer, start, asked.rpartition(turns.question)[2].rstrip())
    if found is None:
        return None
    around = next((pair for pair in _AROUND if pair[0] in renderer.source), found.around)
    if found.closing.startswith(("[BEGIN", "[START")):
        around = "", re.sub("BEGIN|START", "END", found.closing)
    return replace(found, start="" if found.closing in start else start, around=around)


def _asked(renderer: Renderer, turns: Turns) -> tuple[str, str]:
    """Returns a question's prompt for thinking, and what the template writes in it where answers of a history begin."""
    try:
        asked = renderer.render(turns.arranged([Message("user", turns.question)]), generation=True, thinking=True)
    except TurnsRejected:
        asked = turns.asked
    header = turns.before_answer.rstrip()
    return asked, asked.removeprefix(header).strip() if asked.startswith(header) else ""


def _shown(renderer: Renderer, turns: Turns, asked: str) -> ThinkMarks | None:
    """Returns the marks around the thoughts of a message, under the first name for them that shows some."""
    talk = turns.arranged([Message("user", turns.question), Message("assistant", _ANSWER)])
    for keys in (_KEYS, *((key,) for key in _KEYS)):
        try:
            text = renderer.render(talk, thinking=True, reasoning=dict.fromkeys(keys, _THOUGHT))
        except TurnsRejected:
            continue
        if text.count(_THOUGHT) == 1 and (marks := _around_thoughts(text, asked, turns.before_answer)):
            return marks
    return None


def _around_thoughts(text: str, *without: str) -> ThinkMarks | None:
    """Returns the marks in a text that shows thoughts and an answer, or None if there is nothing between them.

    Args:
        text: the text.
        without: texts without thoughts, which begin in the same way.
    """
    before, _, rest = text.partition(_THOUGHT)
    bridge, answered, _ = rest.partition(_ANSWER)
    closing = bridge.strip()
    if not answered or not closing:
        return None
    for end, start in _PAIRS:
        if closing.startswith(end):
            name, bracket, after = closing.partition(">" if end.startswith("<") else "]")
            return ThinkMarks(
                start + (name + bracket).removeprefix(end), name + bracket, bridge, around=(after.strip(), "")
            )
    return ThinkMarks(before[min(_same(before, other) for other in without) :].strip(), closing, bridge)


def _same(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _named(source: str) -> ThinkMarks | None:
    """Returns the marks whose closing one the template's source names."""
    if words := _WORDS.search(source):
        begins = _BEGINNING.search(source)
        return ThinkMarks(begins[0] if begins else "", words[0], f"\n{words[0]}\n")
    known = next((pair for pair in _KNOWN if pair[1] in source), None)
    if known is None and (tag := _OF_THOUGHTS.search(source)):
        known = tag[1].replace("/", "") + tag[2] + tag[3], tag[0]
    return ThinkMarks(*known, f"\n{known[1]}\n\n") if known else None


def _told(asked: str) -> ThinkMarks | None:
    """Returns with which words the prompt tells the model to begin its answer after thoughts."""
    label = _LABEL.search(asked)
    if label is None or not _THINKING.search(asked):
        return None
    words = label[0] if label[1] == "**" else label[2]
    return ThinkMarks("", words, f"\n{words} ")


def _opened(renderer: Renderer, start: str, end: str) -> ThinkMarks | None:
    """Returns the marks of which a prompt shows the opening one.

    Args:
        renderer: the template.
        start: what the prompt writes where the answers of a history begin.
        end: what it writes after the question.
    """
    tag = _TAG.search(start or end)
    if not start and tag and not _THINKING.search(tag[2]):  # the last mark of the assistant's header
        return None
    if tag is None or (tag[1].endswith("|") and not _THINKING.search(tag[2])):
        if _THINKING.search(start):
            raise unusable(f"its prompts begin thoughts with {start[-60:]!r}, and nothing shows what ends them", _FIX)
        return None
    if _OTHER.search(tag[2]) and not _THINKING.search(tag[2]):
        return None
    closing = _closing(renderer, *tag.groups())
    return ThinkMarks(tag[0], closing, f"\n{closing}\n\n")


def _closing(renderer: Renderer, left: str, name: str, right: str) -> str:
    """Returns what closes a mark: a token of the tokenizer, where it has one."""
    ends = (("begin", "end"), ("start", "end"), ("BEGIN", "END"), ("START", "END"), ("open", "close"))
    others = [f"{left}{name.replace(a, b)}{right}" for a, b in ends if a in name]
    usual = f"{left}/{name}{right}"
    if left.endswith("|"):
        others += [
            f"{left}end_{name}{right}",
            f"{left}end_of_{name}{right}",
            f"{left}{name}_end{right}",
            f"</|{name}|>",
        ]
    tokens = {renderer.name(token) for token in renderer.special}
    return next(
        (mark for mark in (usual, *others) if mark in tokens), (others[0] if "|" not in left and others else usual)
    )
