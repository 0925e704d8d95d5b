"""What the functions of `write_function` do: each goal in words, with the expression that reaches it."""

from __future__ import annotations

from synthetic_instruction_tuner.nano.world.goals import Goal

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


def kind_of(index: int) -> str:
    """Returns what the goal's function takes: a number, a text or a list."""
    first_list = len(NUMBER_GOALS) + len(TEXT_GOALS)
    return "number" if index < len(NUMBER_GOALS) else "text" if index < first_list else "list"
