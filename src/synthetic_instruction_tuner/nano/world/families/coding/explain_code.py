"""The family that says, step by step, what a few lines of Python print."""

from __future__ import annotations

import re
from random import Random

from synthetic_instruction_tuner.nano.world.families.arithmetic.working import equation_fault, numbers_in
from synthetic_instruction_tuner.nano.world.family import Family, Slots
from synthetic_instruction_tuner.nano.world.vocabulary import WORDS

_CHANGED = re.compile(r"([a-z]+) = (\d{1,4})\n\1 = \1 \+ (\d{1,4})\nprint\(\1 \* (\d{1,4})\)")
_ADDED = re.compile(r"([a-z]+) = (\d{1,4})\n((?!\1\b)[a-z]+) = (\d{1,4})\nprint\(\1 \+ \3\)")
_BRANCHED = re.compile(r'if (\d{1,4}) > (\d{1,4}):\n    print\("([a-z]+)"\)\nelse:\n    print\("([a-z]+)"\)')
_LOOPED = re.compile(r"([a-z]+) = 0\nfor ((?!\1\b)[a-z]+) in \[(\d{1,4}(?:, \d{1,4})*)\]:\n    \1 \+= \2\nprint\(\1\)")
_INDEXED = re.compile(r'([a-z]+) = \[("[a-z]+"(?:, "[a-z]+")*)\]\nprint\(\1\[(\d)\]\)')


class CodeExplain(Family):
    """Says what a few lines of Python print, step by step."""

    name = "code_explain"
    domain = "coding"
    takes_marks = False
    patterns = {"code": r"[^`]+"}
    templates = (
        "What does this Python code print?\n\n{code}",
        "Explain what these lines do:\n\n{code}",
        "I do not understand this code. What is its output?\n\n{code}",
        "Run this in your head and tell me the result:\n\n{code}",
        "Look at this Python program.\n\n{code}\n\nWhat will it print?",
    )
    wordings = (
        "Let us go through the code line by line. {steps} So the code prints `{output}`.",
        "{steps} This value is what the code shows, so the output that you see is `{output}`.",
        "Step by step: {steps} In the end, the only thing that is printed is `{output}`.",
        "This is a short program. {steps} For this reason its output is `{output}`.",
    )

    def fill(self, rng: Random) -> Slots:
        name, other = rng.sample(WORDS, 2)
        a, b, c = rng.randint(2, 50), rng.randint(2, 50), rng.randint(2, 9)
        shape = rng.randrange(5)
        if shape == 0:
            return {"code": f"{name} = {a}\n{name} = {name} + {b}\nprint({name} * {c})"}
        if shape == 1:
            return {"code": f"{name} = {a}\n{other} = {b}\nprint({name} + {other})"}
        if shape == 2:
            return {"code": f'if {a} > {b}:\n    print("{name}")\nelse:\n    print("{other}")'}
        if shape == 3:
            items = ", ".join(str(rng.randint(1, 30)) for _ in range(3))
            return {"code": f"{name} = 0\nfor {other} in [{items}]:\n    {name} += {other}\nprint({name})"}
        items = ", ".join(f'"{w}"' for w in rng.sample(WORDS, 3))
        return {"code": f"{name} = [{items}]\nprint({name}[{rng.randint(0, 2)}])"}

    def solvable(self, slots: Slots) -> bool:
        return self._trace(slots["code"]) is not None

    @staticmethod
    def _trace(code: str) -> tuple[str, str] | None:
        """Returns the steps in words and the output of a program of one of the known shapes."""
        if m := _CHANGED.fullmatch(code):
            name, a, b, c = m[1], int(m[2]), int(m[3]), int(m[4])
            total, product = a + b, (a + b) * c
            steps = (
                f"First {name} is {a}. Then it becomes {a} + {b} = {total}. Times {c} this is {total} "
                f"x {c} = {product}."
            )
            return steps, str(product)
        if m := _ADDED.fullmatch(code):
            a, b = int(m[2]), int(m[4])
            steps = f"The value of {m[1]} is {a} and the value of {m[3]} is {b}. Adding both gives {a} + {b} = {a + b}."
            return steps, str(a + b)
        if m := _BRANCHED.fullmatch(code):
            truth = int(m[1]) > int(m[2])
            verdict = "true, so the first" if truth else "false, so the second"
            steps = f"The test asks if {m[1]} is greater than {m[2]}. This is {verdict} print is used."
            return steps, m[3] if truth else m[4]
        if m := _LOOPED.fullmatch(code):
            sums, total = [], 0
            for item in map(int, m[3].split(", ")):
                sums.append(f"{total} + {item} = {total + item}")
                total += item
            return f"At first {m[1]} is 0. The loop adds each number to it: {', '.join(sums)}.", str(total)
        if m := _INDEXED.fullmatch(code):
            words, index = m[2].replace('"', "").split(", "), int(m[3])
            if index < len(words):
                steps = (
                    f"The list {m[1]} has {len(words)} words. Counting begins at 0, and the code asks for item {index}."
                )
                return steps, words[index]
        return None

    def answer(self, rng: Random, slots: Slots) -> str:
        trace = self._trace(slots["code"])
        assert trace is not None, "only solvable slots come here"
        return rng.choice(self.wordings).format(steps=trace[0], output=trace[1])

    def fault(self, slots: Slots, response: str) -> str | None:
        trace = self._trace(slots["code"])
        assert trace is not None, "only solvable slots come here"
        steps, output = trace
        spans = re.findall(r"`([^`]*)`", response)
        if not spans or spans[-1].strip('"') != output:
            return f"the output is not {output}"
        if stray := set(numbers_in(response)) - set(numbers_in(f"{steps} {output}")):
            return f"{min(stray)} does not belong there"
        for word in (" true", " false", "first print", "second print"):
            if word in response and word not in steps:
                return f"says {word}"
        return equation_fault(response)

    def key(self, slots: Slots, template: str) -> str:
        return f"{self.name}|" + re.sub(r"\s+", " ", slots["code"])

    def worksheet(self, rng: Random, slots: Slots, response: str) -> str:
        return f"# output\n{slots['code']}\n\n{response}"


FAMILIES: tuple[Family, ...] = (CodeExplain(),)
