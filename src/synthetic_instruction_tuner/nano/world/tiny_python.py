"""A tiny interpreter for a whitelisted part of Python, to check code that a model wrote without running it.

Source is parsed with `ast` and walked node by node: no builtins other than those listed, no attributes other than a few
string methods, no imports, and limits on steps and on the size of every value.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any

MAX_STEPS = 2_000
MAX_SIZE = 1_000  # characters or items
MAX_NUMBER = 10**12

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Mod: operator.mod,
    ast.FloorDiv: operator.floordiv, ast.Div: operator.truediv,
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip
_METHODS = {"upper", "lower", "count", "join", "startswith", "endswith", "replace", "split", "strip"}


class ProgramError(Exception):
    """The source uses something that the interpreter does not support, or fails."""


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


def call(source: str, name: str, arguments: tuple[Any, ...]) -> Any:
    """Returns what the only function in `source` returns for the arguments.

    Raises:
        ProgramError: the source is not one function called `name`, does something unknown, or fails.
    """
    body = _parse(source)
    if len(body) != 1 or not isinstance(body[0], ast.FunctionDef) or body[0].name != name or body[0].decorator_list:
        raise ProgramError(f"not one function called {name}")
    parameters = body[0].args
    if len(parameters.args) != len(arguments) or parameters.vararg or parameters.kwonlyargs or parameters.defaults:
        raise ProgramError("other parameters")
    machine = _Machine(dict(zip((a.arg for a in parameters.args), arguments, strict=True)))
    try:
        machine.run(body[0].body)
    except _Return as returned:
        return returned.value
    return None


@lru_cache(maxsize=4_096)  # the nodes are only read
def _parse(source: str) -> list[ast.stmt]:
    if len(source) > 2 * MAX_SIZE:
        raise ProgramError("too long")
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ProgramError("not Python") from error


def _bounded(value: Any) -> Any:
    if isinstance(value, int | float) and abs(value) > MAX_NUMBER:
        raise ProgramError("number too large")
    if isinstance(value, str | list) and len(value) > MAX_SIZE:
        raise ProgramError("value too large")
    return value


def _text(value: Any) -> str:
    if isinstance(value, list):  # nested lists can be huge as text
        raise ProgramError("text of a list")
    return str(value)


_CALLS: dict[str, Callable[..., Any]] = {
    "len": len, "sum": sum, "max": max, "min": min, "sorted": sorted, "abs": abs,
    "str": _text, "int": int, "list": list,
}  # fmt: skip


class _Machine:
    def __init__(self, names: dict[str, Any]) -> None:
        self.names, self.steps = names, 0

    def run(self, body: list[ast.stmt]) -> None:
        try:
            for statement in body:
                self.execute(statement)
        except (TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
            raise ProgramError(str(error)) from error

    def execute(self, node: ast.stmt) -> None:
        match node:
            case ast.Return(value=ast.expr() as value):
                raise _Return(self.value(value))
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self.names[name] = self.value(value)
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                self.names[name] = _bounded(self.binary(op, self.names[name], self.value(value)))
            case ast.If(test=test, body=body, orelse=orelse):
                for inner in body if self.value(test) else orelse:
                    self.execute(inner)
            case ast.For(target=ast.Name(id=name), iter=iterable, body=body, orelse=[]):
                for item in list(self.value(iterable)):
                    self.names[name] = item
                    for inner in body:
                        self.execute(inner)
            case _:
                raise ProgramError(f"does not know {type(node).__name__}")

    def value(self, node: ast.expr) -> Any:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise ProgramError("runs too long")
        return _bounded(self._value(node))

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value) if isinstance(value, int | float | str):
                return value
            case ast.Name(id=name):
                return self.names[name]
            case ast.List(elts=items):
                return [self.value(item) for item in items]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.value(operand)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self.value(operand)
            case ast.BinOp(left=left, op=op, right=right):
                return self.binary(op, self.value(left), self.value(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return _COMPARE[type(op)](self.value(left), self.value(right))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if self.value(test) else orelse)
            case ast.Subscript(value=value, slice=ast.Slice(lower=low, upper=high, step=step)):
                bounds = (None if bound is None else self.value(bound) for bound in (low, high, step))
                return self.value(value)[slice(*bounds)]
            case ast.Subscript(value=value, slice=index):
                return self.value(value)[self.value(index)]
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _CALLS:
                return _CALLS[name](*map(self.value, arguments))
            case ast.Call(func=ast.Attribute(value=owner, attr=method), args=arguments, keywords=[]):
                return self.method(self.value(owner), method, [self.value(a) for a in arguments])
            case ast.ListComp(elt=element, generators=[ast.comprehension(target=ast.Name(id=name)) as loop]):
                return self.comprehension(element, name, loop)
            case _:
                raise ProgramError(f"does not know {type(node).__name__}")

    def binary(self, op: ast.operator, left: Any, right: Any) -> Any:
        sized = any(isinstance(side, str | list) for side in (left, right))
        if type(op) not in _BINARY or (sized and not isinstance(op, ast.Add | ast.Mult)):
            raise ProgramError("does not know this operator")
        for count, other in ((left, right), (right, left)):  # checked before it is computed
            repeats = isinstance(op, ast.Mult) and isinstance(count, int) and isinstance(other, str | list)
            if repeats and count * len(other) > MAX_SIZE:
                raise ProgramError("value too large")
        return _BINARY[type(op)](left, right)

    def method(self, owner: Any, name: str, arguments: list[Any]) -> Any:
        if name not in _METHODS or not isinstance(owner, str):
            raise ProgramError(f"does not know .{name}")
        return getattr(owner, name)(*arguments)

    def comprehension(self, element: ast.expr, name: str, loop: ast.comprehension) -> list[Any]:
        outer, result = self.names, []
        for item in list(self.value(loop.iter)):
            self.names = {**outer, name: item}
            if all(self.value(test) for test in loop.ifs):
                result.append(self.value(element))
        self.names = outer
        return result
