"""The family that writes a tiny Python function.

A whitelisting interpreter checks the code, which is never run.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from random import Random
from typing import Any

from synthetic_instruction_tuner.nano.world.families.arithmetic.working import numbers_in
from synthetic_instruction_tuner.nano.world.families.coding.function_goals import GOALS, PARAMETERS, kind_of
from synthetic_instruction_tuner.nano.world.family import Family, Slots
from synthetic_instruction_tuner.nano.world.goals import read
from synthetic_instruction_tuner.nano.world.tiny_python import ProgramError, call
from synthetic_instruction_tuner.nano.world.vocabulary import VERBS, WORDS

_FENCE = re.compile(r"```(?:python)?\n(.*?)\n?```", re.DOTALL)


def _probes(kind: str, slots: Slots) -> list[Any]:
    """Returns arguments that distinguish the goal's function from similar ones, on both sides of the goal's numbers."""
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
        return GOALS[index].solutions[0].format(**values), kind_of(index), values

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
        # There are few goals without a parameter, so for these the function's name decides what is held out.
        _, _, values = self.solve(slots)
        return f"{self.name}|{slots['goal']}" + ("" if values else f"|{slots['function']}")

    def worksheet(self, rng: Random, slots: Slots, response: str) -> str:
        return f"# code\nname: {slots['function']}\nrule: {slots['goal']}\n\n{response}"


FAMILIES: tuple[Family, ...] = (CodeFunction(),)
