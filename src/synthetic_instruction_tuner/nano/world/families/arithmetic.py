"""Families with numbers: sums in small steps, word problems, comparing, ordering and sequences.

All checkers share one idea: the last number of a response is its result, every other number must belong to the task or
to its working, and every equation that is written out must hold.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from itertools import pairwise
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


class OrderNumbers(Family):
    """Four or five numbers, put in order."""

    name = "order_numbers"
    domain = "reasoning"
    patterns = {
        "numbers": r"\d{1,3}(?:, \d{1,3}){2,5}",
        "order": "small to large|large to small|low to high|high to low",
    }
    templates = (
        "Order these numbers from {order}: {numbers}",
        "Sort the numbers {numbers} from {order}.",
        "Put {numbers} in order, {order}.",
        "I have the numbers {numbers}. Write them from {order}.",
        "From {order}, how do you list {numbers}?",
    )
    wordings = (
        "The numbers are {given}. From {order} they are {ordered}. The first one is {first} and the "
        "last one is {last}.",
        "From {order}, the numbers that you gave me go like this: {ordered}. The row begins with "
        "{first} and ends with {last}.",
        "We begin with {first} and compare it with the others. In order, {order}, the whole list is {ordered}.",
        "You gave me {given}. I look at the size of each number. Put in order from {order} this is {ordered}.",
    )

    def fill(self, rng: Random) -> Slots:
        numbers = rng.sample(range(2, 100), rng.randint(4, 5))
        order = rng.choice(("small to large", "large to small", "low to high", "high to low"))
        return {"numbers": ", ".join(map(str, numbers)), "order": order}

    def solvable(self, slots: Slots) -> bool:
        given = slots["numbers"].split(", ")
        return len(set(given)) == len(given) and not any(n.startswith("0") for n in given)

    @staticmethod
    def _solve(slots: Slots) -> tuple[list[str], list[str]]:
        given = slots["numbers"].split(", ")
        return given, sorted(given, key=int, reverse=slots["order"].startswith(("large", "high")))

    def answer(self, rng: Random, slots: Slots) -> str:
        _, ordered = self._solve(slots)
        return rng.choice(self.wordings).format(
            given=slots["numbers"], order=slots["order"], ordered=", ".join(ordered), first=ordered[0], last=ordered[-1]
        )

    def fault(self, slots: Slots, response: str) -> str | None:
        given, ordered = self._solve(slots)
        ends = [ordered[0], ordered[-1]]
        heads: tuple[list[str], ...] = ([], given, [ordered[0]])
        seen = numbers_in(response)
        if all(seen != head + ordered + tail for head in heads for tail in ([], ends)):
            return f"not in order {slots['order']}"
        wrong = {"small to large": "large to small", "low to high": "high to low"}
        wrong |= {v: k for k, v in wrong.items()}
        return "names the other direction" if wrong[slots["order"]] in response.lower() else None

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{sorted(slots['numbers'].split(', '))}"


class Compare(Family):
    """The largest or smallest of three numbers."""

    name = "compare"
    domain = "reasoning"
    patterns = {"a": NUMBER, "b": NUMBER, "c": NUMBER, "which": "largest|smallest"}
    templates = (
        "Which is the {which} number: {a}, {b} or {c}?",
        "Of {a}, {b} and {c}, which is {which}?",
        "Name the {which} of these three: {a}, {b}, {c}",
        "I see {a}, {b} and {c}. Which one is the {which}?",
        "Compare {a}, {b} and {c}. Tell me the {which}.",
    )
    wordings = (
        "We look at the three numbers {a}, {b} and {c}. {low} is less than {mid}, and {mid} is less than {high}. "
        "So the {which} number is {result}.",
        "{low} is less than {mid} and {mid} is less than {high}. For this reason, the {which} of the "
        "three numbers is {result}.",
        "If we compare them, {high} is more than {mid} and {mid} is more than {low}. "
        "That makes it clear that the {which} is {result}.",
        "The numbers are {a}, {b} and {c}. In this group {high} is more than {mid}, and {mid} is more than {low}. "
        "The {which} one is {result}.",
    )
    _relation = re.compile(r"(\d+) is (less|more) than (\d+)")

    def fill(self, rng: Random) -> Slots:
        top = rng.choice((99, 999))
        a, b, c = rng.sample(range(2, top + 1), 3)
        return {"a": str(a), "b": str(b), "c": str(c), "which": rng.choice(("largest", "smallest"))}

    def solvable(self, slots: Slots) -> bool:
        return len({slots[k] for k in "abc"}) == 3

    def answer(self, rng: Random, slots: Slots) -> str:
        low, mid, high = sorted(int(slots[k]) for k in "abc")
        result = high if slots["which"] == "largest" else low
        return rng.choice(self.wordings).format(**slots, low=low, mid=mid, high=high, result=result)

    def fault(self, slots: Slots, response: str) -> str | None:
        numbers = [int(slots[k]) for k in "abc"]
        for left, relation, right in self._relation.findall(response):
            if (int(left) < int(right)) != (relation == "less") or left == right:
                return f"{left} is not {relation} than {right}"
        if ("smallest" if slots["which"] == "largest" else "largest") in response:
            return "answers the other question"
        return number_fault(response, max(numbers) if slots["which"] == "largest" else min(numbers), numbers)

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|{sorted(int(slots[k]) for k in 'abc')}"


class Sequence(Family):
    """The next number of an arithmetic sequence."""

    name = "sequence"
    domain = "reasoning"
    patterns = {"terms": r"\d{1,3}(?:, \d{1,3}){2,5}"}
    templates = (
        "What comes next: {terms}?",
        "Find the next number: {terms}, ...",
        "Which number follows {terms}?",
        "Go on with this sequence: {terms}",
        "A row of numbers begins {terms}. What is the next one?",
        "Look at {terms}. How does it continue?",
    )
    wordings = (
        "The numbers are {terms}. They go {way} by {step} each time. {last} {sign} {step} = {next}, so "
        "the next number is {next}.",
        "Each number is {step} {more} than the one before it. The last one is {last}. "
        "{last} {sign} {step} = {next}, so next comes {next}.",
        "From one number to the next the step is always {step}, going {way}. "
        "After {last} we get {last} {sign} {step} = {next}. The answer is {next}.",
        "In the row {terms} every step is {step} {more}. To go on, take {last} {sign} {step} = {next}. "
        "It continues with {next}.",
    )

    def fill(self, rng: Random) -> Slots:
        step, start, count = rng.randint(2, 20), rng.randint(1, 99), rng.randint(4, 5)
        terms = [start + i * step for i in range(count)]
        if rng.random() < 0.4:
            terms = [t + step for t in reversed(terms)]
        return {"terms": ", ".join(map(str, terms))}

    def solvable(self, slots: Slots) -> bool:
        terms = [int(t) for t in slots["terms"].split(", ")]
        steps = {b - a for a, b in pairwise(terms)}
        return len(steps) == 1 and steps != {0} and 2 * terms[-1] - terms[-2] >= 0

    def answer(self, rng: Random, slots: Slots) -> str:
        before, last = (int(t) for t in slots["terms"].split(", ")[-2:])
        up = last > before
        return rng.choice(self.wordings).format(
            terms=slots["terms"],
            last=last,
            step=abs(last - before),
            next=2 * last - before,
            way="up" if up else "down",
            more="more" if up else "less",
            sign="+" if up else "-",
        )

    def fault(self, slots: Slots, response: str) -> str | None:
        terms = [int(t) for t in slots["terms"].split(", ")]
        step = terms[-1] - terms[-2]
        wrong = re.search(r"\b(?:down|less)\b" if step > 0 else r"\b(?:up|more)\b", response)
        if wrong:
            return "names the other direction"
        written = re.search(r"\d+(?:, \d+){2,}", response)
        if written and written.group() not in (slots["terms"], f"{slots['terms']}, {terms[-1] + step}"):
            return "copies the row wrongly"
        return number_fault(response, terms[-1] + step, {*terms, abs(step)})

    def key(self, slots: Slots, template: str) -> str:
        terms = [int(t) for t in slots["terms"].split(", ")]
        return f"{self.name}|{min(terms)}|{abs(terms[1] - terms[0])}"


FAMILIES: tuple[Family, ...] = (
    Add(), Subtract(), Times(), WordProblem(), Groups(), OrderNumbers(), Compare(), Sequence()
)  # fmt: skip
