"""Families about Python: writing a tiny function, and saying what a few lines print.

Code is checked by a whitelisting interpreter, never by running it.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from random import Random
from typing import Any

from synthetic_instruction_tuner.nano.world.families.arithmetic import equation_fault, numbers_in
from synthetic_instruction_tuner.nano.world.families.rewriting import WORDS
from synthetic_instruction_tuner.nano.world.family import Family, Slots
from synthetic_instruction_tuner.nano.world.goals import Goal, read
from synthetic_instruction_tuner.nano.world.tiny_python import ProgramError, call
from synthetic_instruction_tuner.nano.world.vocabulary import VERBS

_N = {"n": r"[1-9]\d?", "k": "[2-9]", "m": r"[1-9]\d?", "w": "[a-z]+", "c": "[a-z]", "d": "[a-z]"}


def _goal(text: str, code: str) -> Goal:
    return Goal((text,), (code,), text, _N)


NUMBER_GOALS = tuple(
    _goal(text, code)
    for text, code in (
        ("adds {n} to a number", "x + {n}"),
        ("takes {n} from a number", "x - {n}"),
        ("multiplies a number by {n}", "x * {n}"),
        ("gives the rest of a number divided by {n}", "x % {n}"),
        ("multiplies a number by {n} and adds {m}", "x * {n} + {m}"),
        ("squares a number and adds {n}", "x * x + {n}"),
        ("tells if a number is greater than {n}", "x > {n}"),
        ("tells if a number is less than {n}", "x < {n}"),
        ("tells if {n} divides a number", "x % {n} == 0"),
        ("gives the larger of a number and {n}", "max(x, {n})"),
        ("gives the smaller of a number and {n}", "min(x, {n})"),
    )
)
TEXT_GOALS = tuple(
    _goal(text, code)
    for text, code in (
        ("turns a text into capitals", "x.upper()"),
        ("turns a text around", "x[::-1]"),
        ("gives the length of a text plus {k}", "len(x) + {k}"),
        ("counts the letter {c} in a text", 'x.count("{c}")'),
        ("gives the first {k} letters of a text", "x[:{k}]"),
        ("gives the last {k} letters of a text", "x[-{k}:]"),
        ("repeats a text {k} times", "x * {k}"),
        ("puts the word {w} after a text", 'x + "{w}"'),
        ("puts the word {w} before a text", '"{w}" + x'),
        ("tells if a text ends with {w}", 'x.endswith("{w}")'),
        ("tells if a text has {w} in it", '"{w}" in x'),
        ("replaces {c} with {d} in a text", 'x.replace("{c}", "{d}")'),
    )
)
LIST_GOALS = tuple(
    _goal(text, code)
    for text, code in (
        ("gives the sum of a list plus {n}", "sum(x) + {n}"),
        ("gives the largest number of a list", "max(x)"),
        ("gives the smallest number of a list", "min(x)"),
        ("sorts a list", "sorted(x)"),
        ("turns a list around", "x[::-1]"),
        ("gives the first {n} items of a list", "x[:{n}]"),
        ("multiplies each number in a list by {n}", "[i * {n} for i in x]"),
        ("adds {n} to each number in a list", "[i + {n} for i in x]"),
        ("keeps the numbers above {n} in a list", "[i for i in x if i > {n}]"),
        ("counts how often {n} is in a list", "len([i for i in x if i == {n}])"),
    )
)
GOALS = NUMBER_GOALS + TEXT_GOALS + LIST_GOALS
PARAMETERS = {"number": ("x", "n", "value"), "text": ("x", "text", "word"), "list": ("x", "items", "numbers")}
_FENCE = re.compile(r"```(?:python)?\n(.*?)\n?```", re.DOTALL)


def _kind(index: int) -> str:
    first_list = len(NUMBER_GOALS) + len(TEXT_GOALS)
    return "number" if index < len(NUMBER_GOALS) else "text" if index < first_list else "list"


def _probes(kind: str, slots: Slots) -> list[Any]:
    """Returns arguments that tell the goal's function from its neighbors, at both sides of the goal's numbers."""
    n = int(slots.get("n", slots.get("k", "3")))
    word, c = slots.get("w", "net"), slots.get("c", "e")
    if kind == "number":
        return [0, 1, 7, n - 1, n, n + 1, 2 * n, 3 * n + 1, 100]
    if kind == "text":
        return ["", word, f"ten {word}", f"{word} apples", c + "bee" + c, "a long river in the green land"]
    return [[n], [3, 1, 2], [n, n + 1, n - 1, n], list(range(n + 3, 0, -1)), [5, n, 80, 6, 41]]


def _show(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


@lru_cache(maxsize=4_096)
def _wanted(goal: str) -> list[tuple[Any, Any]]:
    """Returns probes with what the goal's function returns for them."""
    expression, kind, values = CodeFunction.solve({"goal": goal})
    return [(p, call(f"def f(x):\n    return {expression}", "f", (p,))) for p in _probes(kind, values)]


class CodeFunction(Family):
    """A function of one parameter that returns one expression."""

    name = "code_function"
    domain = "coding"
    takes_marks = False
    patterns = {"function": r"[a-z]+_[a-z]+", "goal": "[a-z][a-z0-9 ]+"}
    templates = (
        "Write a Python function {function} that {goal}.",
        "I need Python code: a function named {function} which {goal}.",
        "Can you code {function} in Python? It {goal}.",
        "Define {function} in Python. The function {goal}.",
        "In Python, how do I write {function}, a function that {goal}?",
    )
    wordings = (
        "```python\n{code}\n```\nThe function {function} takes a {kind} and {goal}. "
        "For example, {function}({argument}) returns {value}.",
        "Here is the function:\n\n```python\n{code}\n```\n\nIt {goal} and returns what comes out. "
        "So {function}({argument}) returns {value}.",
        "This function {goal}:\n\n```python\n{code}\n```\n\nYou can try it out with a small {kind}: "
        "{function}({argument}) returns {value}.",
        "```python\n{code}\n```\nHow it works: the {kind} comes in as {parameter}, and the function {goal}. "
        "As a test, {function}({argument}) returns {value}.",
    )
    _example = re.compile(r"\w+\((.*)\) returns (.+?)\.?$", re.MULTILINE)

    def fill(self, rng: Random) -> Slots:
        goal = rng.choice(GOALS)
        text = goal.texts[0]
        c, d = rng.sample("abcdeghilmnoprstuw", 2)
        text = text.format(
            n=rng.randint(2, 60), k=rng.randint(2, 5), m=rng.randint(2, 60), w=rng.choice(WORDS), c=c, d=d
        )
        return {"function": f"{rng.choice(VERBS)}_{rng.choice(WORDS)}", "goal": text}

    def solvable(self, slots: Slots) -> bool:
        return read(GOALS, slots["goal"]) is not None

    @staticmethod
    def solve(slots: Slots) -> tuple[str, str, Slots]:
        """Returns the expression in x, the kind of x and the values of the goal."""
        found = read(GOALS, slots["goal"])
        assert found is not None, "only solvable slots come here"
        index, values = found
        return GOALS[index].solutions[0].format(**values), _kind(index), values

    def answer(self, rng: Random, slots: Slots) -> str:
        expression, kind, _ = self.solve(slots)
        parameter = rng.choice(PARAMETERS[kind])
        body = re.sub(r"\bx\b", parameter, expression)
        code = f"def {slots['function']}({parameter}):\n    return {body}"
        argument: Any = [rng.randint(1, 20) for _ in range(3)]
        if kind != "list":
            argument = rng.randint(1, 9) if kind == "number" else rng.choice(WORDS)
        value = call(f"def f(x):\n    return {expression}", "f", (argument,))
        return rng.choice(self.wordings).format(
            **slots, code=code, kind=kind, parameter=parameter, argument=_show(argument), value=_show(value)
        )

    def fault(self, slots: Slots, response: str) -> str | None:
        blocks = _FENCE.findall(response)
        if len(blocks) != 1:
            return "not one block of code"
        try:
            for probe, expected in _wanted(slots["goal"]):
                result = call(blocks[0], slots["function"], (probe,))
                if result != expected or type(result) is not type(expected):
                    return f"wrong for {probe!r}"
        except ProgramError as error:
            return str(error)
        return self._prose_fault(slots, _FENCE.sub("", response))

    def _prose_fault(self, slots: Slots, prose: str) -> str | None:
        wanted = f"def f(x):\n    return {self.solve(slots)[0]}"
        for argument, value in self._example.findall(prose):
            try:
                if call(wanted, "f", (ast.literal_eval(argument),)) != ast.literal_eval(value):
                    return "a wrong example"
            except (ProgramError, ValueError, SyntaxError):
                return "an example that cannot be read"
        plain = self._example.sub("", prose)
        stray = set(numbers_in(plain)) - set(numbers_in(slots["goal"]))
        return f"speaks of {min(stray)}" if stray else None

    def key(self, slots: Slots, template: str) -> str:
        # Goals without a parameter are few: there the function's name is what is held out.
        _, _, values = self.solve(slots)
        return f"{self.name}|{slots['goal']}" + ("" if values else f"|{slots['function']}")

    def worksheet(self, rng: Random, slots: Slots, response: str) -> str:
        return f"# code\nname: {slots['function']}\nrule: {slots['goal']}\n\n{response}"


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


FAMILIES: tuple[Family, ...] = (CodeFunction(), CodeExplain())
