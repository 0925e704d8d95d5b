"""Splits a response into what a model thought and what it answered, where its text has marks around the thoughts.

Only a block that begins the text is thoughts. A text that mentions the marks, in a sentence or in code, stays whole.
"""

from __future__ import annotations

import re

from synthetic_instruction_tuner.data_files.conversations import ShapeError

_TAGS = ("think", "thinking", "thought", "thoughts", "reasoning", "scratchpad", "seed:think")
MARKS = (
    *((f"<{tag}>", f"</{tag}>") for tag in _TAGS),
    ("[THINK]", "[/THINK]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel>thought", "<channel|>"),
    ("<unused94>thought", "<unused95>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
)
_FINAL = ("[BEGIN FINAL RESPONSE]",)  # closing marks of models that begin to think without one
_FRAMES = (  # around an answer that follows thoughts
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("[BEGIN FINAL RESPONSE]", "[END FINAL RESPONSE]"),
    ("<|start|>assistant<|channel|>final<|message|>", "<|return|>"),
    ("<|start|>assistant<|channel|>final<|message|>", "<|end|>"),
    ("<|start|>assistant<|channel|>final<|message|>", ""),
)
_CLOSINGS = {closing.lower(): opening.lower() for opening, closing in MARKS if closing != "<|end|>"}
_OPENED = re.compile("|".join(re.escape(opening) for opening, _ in MARKS), re.IGNORECASE)
_CLOSED = re.compile("|".join(map(re.escape, (*_CLOSINGS, *_FINAL))), re.IGNORECASE)
_FIRST = ("<", "[", "\u25c1")  # what a mark begins with
_PARTS = ("</", "[/", "\u25c1/", "<|", "<channel|>", "<unused95>", "[BEGIN FINAL")  # of closing marks
_PAIRS = {opening.lower(): closing for opening, closing in MARKS}
_SHORT = 3  # words between two marks that are mentioned in a sentence: "<think> and </think> are ..."


def split_thoughts(text: str, asked: str = "", field: str = "the response") -> tuple[str | None, str]:
    """Returns a response's thoughts, or None where it has none, and its answer.

    Args:
        text: the response.
        asked: the instruction; one that mentions the marks asks about them.
        field: what the text is, for the message.

    Raises:
        ShapeError: the thoughts never end, or no answer follows them.
    """
    if "<" not in text and "[" not in text and "\u25c1" not in text:
        return None, text
    start = text[:200].lstrip() or text.lstrip()
    opened = _OPENED.match(start) if start[:1] in _FIRST else None
    if opened is None and not any(part in text for part in _PARTS):
        return None, text
    if opened is None:
        return _closed_alone(text, asked, field)
    thoughts: list[str] = []
    rest = text.lstrip()
    while opened := _OPENED.match(rest):
        mark, closing = opened[0], _PAIRS[opened[0].lower()]
        inside = rest[opened.end() :]
        end = inside.lower().find(closing.lower())
        if not thoughts and _mentions(inside, end, len(closing), mark, asked):
            return None, text
        if end < 0:
            raise ShapeError(f"{field} has thoughts after '{mark}' that never end, so it holds no answer")
        thoughts.append(inside[:end].strip())
        rest = inside[end + len(closing) :].lstrip()
    answer = _framed(rest)
    if not answer:
        raise ShapeError(f"{field} holds thoughts and no answer after them")
    return "\n\n".join(filter(None, thoughts)), answer


def with_thoughts(answer: str, thoughts: str | None) -> str:
    """Returns an answer with thoughts before it, in the marks that most models use."""
    return f"<think>\n{thoughts}\n</think>\n\n{answer}" if thoughts else answer


def _closed_alone(text: str, asked: str, field: str) -> tuple[str | None, str]:
    """Thoughts whose opening mark the prompt had: the closing mark ends a line, and no opening mark is before it."""
    closed = _CLOSED.search(text)
    if closed is None:
        return None, text
    before, after = text[: closed.start()], text[closed.end() :]
    own_line = not before.strip() or before.rstrip(" \t").endswith("\n") or closed[0].upper() in _FINAL
    ends_line = not after.strip() or after.lstrip(" \t").startswith(("\n", "\r"))
    opening = _CLOSINGS.get(closed[0].lower())
    mentioned = opening is not None and (opening in before.lower() or closed[0].lower() in asked.lower())
    if not (own_line or (ends_line and before.rstrip()[-1:] in ".!?")) or not ends_line or mentioned:
        return None, text
    if before.count("```") % 2 or closed[0] in after:
        return None, text
    answer = _framed(closed[0] + after) if closed[0].upper() in _FINAL else _framed(after)
    if not answer:
        raise ShapeError(f"{field} holds thoughts and no answer after them")
    return before.strip(), answer


def _mentions(inside: str, end: int, length: int, mark: str, asked: str) -> bool:
    """Whether a text that begins with an opening mark speaks of it, rather than opening thoughts."""
    if not inside.strip() or inside.strip().lower() == _PAIRS[mark.lower()].lower():
        return True  # the marks alone
    if end < 0:
        return inside[:1] in " \t`,'\")" and (inside.lstrip()[:1].islower() or mark.lower() in asked.lower())
    between, rest = inside[:end], inside[end + length :]
    if "\n" in between or rest.lstrip(" \t").startswith(("\n", "\r")) or not rest.strip():
        return False
    goes_on = rest.lstrip(" \t")[:1].islower() or rest[:1] in ",.;:)'\"`"
    short = len(between.split()) <= _SHORT and (between.strip(" .\u2026") == "" or between.rstrip()[-1:] not in ".!?")
    return goes_on and (short or mark.lower() in asked.lower())


def _framed(rest: str) -> str:
    """The answer without the marks that some models put around it."""
    text = rest.strip()
    for opening, closing in _FRAMES:
        if text.startswith(opening) and text.endswith(closing):
            return text[len(opening) :].removesuffix(closing).strip()
    return text
