"""Families with numbers: sums in small steps, word problems, comparing, ordering and sequences.

All checkers share one idea: the last number of a response is its result, every other number must belong to the task or
to its working, and every equation that is written out must hold.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from random import Random

from synthetic_instruction_tuner.nano.world.family import Family, Slots
from synthetic_instruction_tuner.nano.world.vocabulary import NAMES, OBJECTS

NUMBER = r"[1-9]\d{0,3}"
PLURALS = tuple(plural for _, plural in OBJECTS)
_OPERATORS = {"+": operator.add, "-": operator.sub, "x": operator.mul, "*": operator.mul}
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
        if _OPERATORS[sign](int(left), int(right)) != int(result):
            return f"{left} {sign} {right} is not {result}"
    return None


def _parts(number: int) -> list[int]:
    """Returns 407 as [400, 7]."""
    digits = str(number)
    return [int(d) * 10 ** (len(digits) - i - 1) for i, d in enumerate(digits) if d != "0"]


def _steps(start: int, sign: str, number: int) -> list[tuple[int, int, int]]:
    """Returns the steps (left, part, result) of start + number or start - number, taking the number in parts."""
    steps = []
    for part in _parts(number):
        result = _OPERATORS[sign](start, part)
        steps.append((start, part, result))
        start = result
    return steps


def _listed(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + " and " + texts[-1]


class _InSteps(Family):
    """Two numbers, combined by taking the second one in parts."""

    domain = "reasoning"
    patterns = {"a": NUMBER, "b": NUMBER}
    sign: str
    wordings: tuple[str, ...]

    def answer(self, rng: Random, slots: Slots) -> str:
        a, b = int(slots["a"]), int(slots["b"])
        steps = _listed([f"{left} {self.sign} {part} = {result}" for left, part, result in _steps(a, self.sign, b)])
        return rng.choice(self.wordings).format(a=a, b=b, steps=steps, result=_OPERATORS[self.sign](a, b))

    def fault(self, slots: Slots, response: str) -> str | None:
        a, b = int(slots["a"]), int(slots["b"])
        allowed = {a, b}.union(*_steps(a, self.sign, b))
        return number_fault(response, _OPERATORS[self.sign](a, b), allowed)

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{sorted((int(slots['a']), int(slots['b'])))}"


class Add(_InSteps):
    """Two numbers up to 999, added."""

    name = "add"
    sign = "+"
    templates = (
        "What is {a} plus {b}?",
        "Add {a} and {b}.",
        "Find the sum of {a} and {b}.",
        "How much is {a} + {b}?",
        "Please calculate {a} + {b} for me.",
        "Can you add {b} to {a}?",
    )
    wordings = (
        "Let us add {b} to {a} in small steps: {steps}. So the sum of the two numbers is {result}.",
        "I split {b} into its parts and add them to {a} one by one: {steps}. The answer is {result}.",
        "We start with {a} and go up by {b}, a part at a time. This gives {steps}. The sum is {result}.",
        "Working: {steps}. Each step adds one part of the number {b} to {a}, so in the end we get {result}.",
    )

    def fill(self, rng: Random) -> Slots:
        return {"a": str(rng.randint(11, 999)), "b": str(rng.randint(11, 999))}


class Subtract(_InSteps):
    """The smaller of two numbers, taken from the larger."""

    name = "subtract"
    sign = "-"
    templates = (
        "What is {a} minus {b}?",
        "Subtract {b} from {a}.",
        "Take {b} away from {a}.",
        "How much is {a} - {b}?",
        "Please calculate {a} - {b} for me.",
        "What is left if I take {b} from {a}?",
    )
    wordings = (
        "Let us take {b} from {a} in small steps: {steps}. So the difference of the two numbers is {result}.",
        "I split {b} into its parts and take them from {a} one by one: {steps}. The answer is {result}.",
        "We start with {a} and go down by {b}, a part at a time. This gives {steps}. What is left is {result}.",
        "Working: {steps}. Each step takes one part of the number {b} from {a}, so in the end we get {result}.",
    )

    def fill(self, rng: Random) -> Slots:
        b = rng.randint(11, 989)
        return {"a": str(rng.randint(b + 1, 999)), "b": str(b)}

    def solvable(self, slots: Slots) -> bool:
        return int(slots["a"]) >= int(slots["b"])


class Times(Family):
    """A number up to 399 times one digit, part by part."""

    name = "times"
    domain = "reasoning"
    patterns = {"a": r"[1-9]\d{1,2}", "b": "[2-9]"}
    templates = (
        "What is {a} times {b}?",
        "Multiply {a} by {b}.",
        "Find the product of {a} and {b}.",
        "How much is {a} x {b}?",
        "Please work out {a} x {b}.",
        "What do I get if I multiply {a} by {b}?",
    )
    wordings = (
        "I multiply each part of {a} by {b}. {products}. Now I add the parts{sums}. So the product is {result}.",
        "Take {a} apart and multiply each part with {b}: {products}. Together all of this makes{sums}. "
        "The answer is {result}.",
        "To get {a} x {b} we go part by part: {products}. If we put all of it together{sums}, we get {result}.",
        "Working: {products}. These are the parts of {a}, each taken {b} times. In all this "
        "gives{sums}. So the result is: {result}.",
    )

    def fill(self, rng: Random) -> Slots:
        return {"a": str(rng.randint(12, 399)), "b": str(rng.randint(2, 9))}

    @staticmethod
    def _working(slots: Slots) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
        a, b = int(slots["a"]), int(slots["b"])
        products = [(part, b, part * b) for part in _parts(a)]
        total, sums = products[0][2], []
        for _, _, product in products[1:]:
            sums.append((total, product, total + product))
            total += product
        return products, sums

    def answer(self, rng: Random, slots: Slots) -> str:
        products, sums = self._working(slots)
        added = _listed([f"{left} + {right} = {total}" for left, right, total in sums]) if sums else ""
        return rng.choice(self.wordings).format(
            **slots,
            products=_listed([f"{part} x {b} = {product}" for part, b, product in products]),
            sums=f": {added}" if added else "",
            result=int(slots["a"]) * int(slots["b"]),
        )

    def fault(self, slots: Slots, response: str) -> str | None:
        products, sums = self._working(slots)
        allowed = {int(slots["a"]), int(slots["b"])}.union(*products, *sums)
        return number_fault(response, int(slots["a"]) * int(slots["b"]), allowed)

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{sorted((int(slots['a']), int(slots['b'])))}"


class WordProblem(Family):
    """Somebody has some things, gets more of them and then gives some away."""

    name = "word_problem"
    domain = "reasoning"
    patterns = {
        "name": "[A-Z][a-z]+",
        "things": "[a-z]+",
        "a": NUMBER,
        "b": NUMBER,
        "c": NUMBER,
        "up": "buys|finds|gets|picks|collects",
        "down": "sells|loses|drops|uses|breaks",
    }
    templates = (
        "{name} has {a} {things}, {up} {b} more and then {down} {c}. How many {things} are left?",
        "There are {a} {things} in a bag. {name} {up} {b} {things} and {down} {c}. How many are there now?",
        "{name} {up} {b} {things}. With {a} old ones and after {name} {down} {c}, how many remain?",
        "How many {things} does {name} have, starting with {a}, when {name} {up} {b} and {down} {c}?",
        "On Monday {name} has {a} {things}. On Tuesday {name} {up} {b}. On Friday {name} {down} {c}. "
        "Count the {things}.",
        "Today {name} {up} {b} {things} and {down} {c}. Yesterday it was {a}. What is the new number?",
    )
    wordings = (
        "{name} starts with {a} {things}. After {b} more there are {a} + {b} = {sum}. "
        "Then {c} go away: {sum} - {c} = {result}. So {name} has {result} {things}.",
        "First we add: {a} + {b} = {sum} {things}. Then we subtract: {sum} - {c} = {result}. "
        "In the end {name} has a total of {result}.",
        "At the start there are {a} {things}. {name} {up} {b}, so {a} + {b} = {sum}. "
        "Then {name} {down} {c}, so {sum} - {c} = {result}. The answer is {result}.",
        "Step one: {a} + {b} = {sum}. Step two: {sum} - {c} = {result}. "
        "This means that the number of {things} with {name} is now {result}.",
    )

    def fill(self, rng: Random) -> Slots:
        a, b = rng.randint(5, 80), rng.randint(2, 40)
        return {
            "name": rng.choice(NAMES),
            "things": rng.choice(PLURALS),
            "a": str(a),
            "b": str(b),
            "c": str(rng.randint(2, min(40, a + b))),
            "up": rng.choice(("buys", "finds", "gets", "picks", "collects")),
            "down": rng.choice(("sells", "loses", "drops", "uses", "breaks")),
        }

    def solvable(self, slots: Slots) -> bool:
        return int(slots["a"]) + int(slots["b"]) >= int(slots["c"])

    def answer(self, rng: Random, slots: Slots) -> str:
        total = int(slots["a"]) + int(slots["b"])
        return rng.choice(self.wordings).format(**slots, sum=total, result=total - int(slots["c"]))

    def fault(self, slots: Slots, response: str) -> str | None:
        if slots["things"] not in response:
            return f"says nothing of {slots['things']}"
        a, b, c = (int(slots[k]) for k in "abc")
        return number_fault(response, a + b - c, {a, b, c, a + b})

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{slots['a']}|{slots['b']}|{slots['c']}"

    def worksheet(self, rng: Random, slots: Slots, response: str) -> str:
        given = "{name}, {things}\nstart: {a}\n{up}: {b}\n{down}: {c}".format(**slots)
        return f"# {self.name.replace('_', ' ')}\n{given}\n\n{response}"


class Groups(Family):
    """So many boxes with so many things each, and a few more."""

    name = "groups"
    domain = "reasoning"
    patterns = {"name": "[A-Z][a-z]+", "things": "[a-z]+", "a": "[2-9]", "b": r"[1-9]\d?", "c": r"[1-9]\d?"}
    templates = (
        "{name} has {a} boxes with {b} {things} each and {c} single {things}. How many {things} is that?",
        "In each of {a} boxes there are {b} {things}. {name} brings {c} more. How many in all?",
        "{name} packs {a} boxes. Every box holds {b} {things}, and {c} stay outside. Find the total.",
        "What is the total of {things} if {name} owns {a} boxes of {b} and {c} besides?",
        "A box holds {b} {things}. How many {things} are in {a} boxes plus the {c} of {name}?",
    )
    wordings = (
        "The boxes hold {a} x {b} = {product} {things}. With the other {c} we get {product} + {c} = {result}. "
        "So the total for {name} is {result}.",
        "First we multiply: {a} x {b} = {product} {things} in boxes. Then we add the rest: "
        "{product} + {c} = {result}. In all there are {result}.",
        "There are {a} boxes with {b} {things} in each, so {a} x {b} = {product}. "
        "Now add {c}: {product} + {c} = {result}. The answer is {result}.",
        "Step one: {a} x {b} = {product}. Step two: {product} + {c} = {result}. "
        "This means that the number of all {things} together is {result}.",
    )

    def fill(self, rng: Random) -> Slots:
        return {
            "name": rng.choice(NAMES),
            "things": rng.choice(PLURALS),
            "a": str(rng.randint(2, 9)),
            "b": str(rng.randint(2, 20)),
            "c": str(rng.randint(1, 40)),
        }

    def answer(self, rng: Random, slots: Slots) -> str:
        product = int(slots["a"]) * int(slots["b"])
        return rng.choice(self.wordings).format(**slots, product=product, result=product + int(slots["c"]))

    def fault(self, slots: Slots, response: str) -> str | None:
        if slots["things"] not in response:
            return f"says nothing of {slots['things']}"
        a, b, c = (int(slots[k]) for k in "abc")
        return number_fault(response, a * b + c, {a, b, c, a * b})

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{slots['a']}|{slots['b']}|{slots['c']}"


FAMILIES: tuple[Family, ...] = (Add(), Subtract(), Times(), WordProblem(), Groups())
