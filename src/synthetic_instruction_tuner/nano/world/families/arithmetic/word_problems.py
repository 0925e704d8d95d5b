"""Families that tell a short story with three numbers; two equations solve it."""

from __future__ import annotations

from random import Random

from synthetic_instruction_tuner.nano.world.families.arithmetic.working import NUMBER, number_fault
from synthetic_instruction_tuner.nano.world.family import Family, Slots
from synthetic_instruction_tuner.nano.world.vocabulary import NAMES, OBJECTS

PLURALS = tuple(plural for _, plural in OBJECTS)


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
    """Boxes with the same number of things in each, and a few more things."""

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


FAMILIES: tuple[Family, ...] = (WordProblem(), Groups())
