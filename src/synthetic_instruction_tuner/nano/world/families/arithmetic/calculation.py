"""Families that calculate in small steps: adding, subtracting and multiplying two numbers."""

from __future__ import annotations

from random import Random

from synthetic_instruction_tuner.nano.world.families.arithmetic.working import (
    NUMBER,
    OPERATORS,
    listed,
    number_fault,
    parts,
    steps,
)
from synthetic_instruction_tuner.nano.world.family import Family, Slots


class _InSteps(Family):
    """Two numbers, combined by taking the second one in parts."""

    domain = "reasoning"
    patterns = {"a": NUMBER, "b": NUMBER}
    sign: str
    wordings: tuple[str, ...]

    def answer(self, rng: Random, slots: Slots) -> str:
        a, b = int(slots["a"]), int(slots["b"])
        text = listed([f"{left} {self.sign} {part} = {result}" for left, part, result in steps(a, self.sign, b)])
        return rng.choice(self.wordings).format(a=a, b=b, steps=text, result=OPERATORS[self.sign](a, b))

    def fault(self, slots: Slots, response: str) -> str | None:
        a, b = int(slots["a"]), int(slots["b"])
        allowed = {a, b}.union(*steps(a, self.sign, b))
        return number_fault(response, OPERATORS[self.sign](a, b), allowed)

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
        products = [(part, b, part * b) for part in parts(a)]
        total, sums = products[0][2], []
        for _, _, product in products[1:]:
            sums.append((total, product, total + product))
            total += product
        return products, sums

    def answer(self, rng: Random, slots: Slots) -> str:
        products, sums = self._working(slots)
        added = listed([f"{left} + {right} = {total}" for left, right, total in sums]) if sums else ""
        return rng.choice(self.wordings).format(
            **slots,
            products=listed([f"{part} x {b} = {product}" for part, b, product in products]),
            sums=f": {added}" if added else "",
            result=int(slots["a"]) * int(slots["b"]),
        )

    def fault(self, slots: Slots, response: str) -> str | None:
        products, sums = self._working(slots)
        allowed = {int(slots["a"]), int(slots["b"])}.union(*products, *sums)
        return number_fault(response, int(slots["a"]) * int(slots["b"]), allowed)

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{sorted((int(slots['a']), int(slots['b'])))}"


FAMILIES: tuple[Family, ...] = (Add(), Subtract(), Times())
