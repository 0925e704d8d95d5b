"""The working in an answer: how a calculation is split into steps, and how the numbers are checked.

The last number of a response is its result. Every other number must belong to the task or to its working, and every
equation that is written out must hold.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable

NUMBER = r"[1-9]\d{0,3}"
OPERATORS = {"+": operator.add, "-": operator.sub, "x": operator.mul, "*": operator.mul}
_EQUATION = re.compile(r"(\d+) ([+\-x*]) (\d+) = (\d+)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def numbers_in(text: str) -> list[str]:
    """Returns the numbers of a text as written, with thousands separators taken out."""
    return _NUMBER.findall(re.sub(r"(?<=\d),(?=\d{3}\b)", "", text))


def number_fault(response: str, result: int, allowed: Iterable[int]) -> str | None:
    """Returns why a response does not reach `result`: a wrong last number, a stray number or a wrong equation."""
    numbers = numbers_in(response)
    if not numbers:
        return "no number"
    if numbers[-1] != str(result):
        return f"the last number is {numbers[-1]}, not {result}"
    known = {str(n) for n in allowed} | {str(result)}
    if stray := next((n for n in numbers if n not in known), None):
        return f"{stray} does not belong there"
    return equation_fault(response)


def equation_fault(response: str) -> str | None:
    """Returns the first wrong equation that is written out in a response."""
    for left, sign, right, result in _EQUATION.findall(response):
        if OPERATORS[sign](int(left), int(right)) != int(result):
            return f"{left} {sign} {right} is not {result}"
    return None


def parts(number: int) -> list[int]:
    """Returns 407 as [400, 7]."""
    digits = str(number)
    return [int(d) * 10 ** (len(digits) - i - 1) for i, d in enumerate(digits) if d != "0"]


def steps(start: int, sign: str, number: int) -> list[tuple[int, int, int]]:
    """Returns the steps (left, part, result) of start + number or start - number, taking the number in parts."""
    taken = []
    for part in parts(number):
        result = OPERATORS[sign](start, part)
        taken.append((start, part, result))
        start = result
    return taken


def listed(texts: list[str]) -> str:
    """Returns the texts with commas, and with "and" before the last one."""
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + " and " + texts[-1]
