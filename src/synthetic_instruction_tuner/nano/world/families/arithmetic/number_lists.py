"""Families with several numbers at once: ordering, comparing and continuing a sequence."""

from __future__ import annotations

import re
from itertools import pairwise
from random import Random

from synthetic_instruction_tuner.nano.world.families.arithmetic.working import NUMBER, number_fault, numbers_in
from synthetic_instruction_tuner.nano.world.family import Family, Slots


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


FAMILIES: tuple[Family, ...] = (OrderNumbers(), Compare(), Sequence())
