"""Queries of MySQL that SQLite does not have: comparisons with all rows, HAVING without groups, DUAL."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_VALUE, _ROWS = "compared_value", "compared_rows"


def nameless(tree: Any) -> bool:
    """Whether a derived table has no name, which MySQL refuses."""
    for one in tree.find_all(exp.Subquery):
        if isinstance(one.parent, (exp.From, exp.Join)) and not one.alias and isinstance(one.this, exp.Query):
            return True
    return False


def prepare(tree: Any) -> None:
    """Rewrites a statement's queries, before their expressions are."""
    for select in list(tree.find_all(exp.Select)):
        source = select.args.get("from_")
        if source is not None and isinstance(source.this, exp.Table) and source.this.name.upper() == "DUAL":
            select.set("from_", None)
        _without_having(select)
    for node in list(tree.find_all(*_COMPARED)):
        if isinstance(node.right, exp.All) or (isinstance(node.right, exp.Any) and not isinstance(node, exp.EQ)):
            node.replace(_with_rows(node))


def _without_having(select: Any) -> None:
    """HAVING without groups and aggregates is a condition of rows."""
    having = select.args.get("having")
    if having is None or select.args.get("group") or any(select.find_all(exp.AggFunc)):
        return
    select.set("having", None)
    select.where(having.this, copy=False)


def _with_rows(node: Any) -> Any:
    """Returns a comparison with all rows of a query, or with any, as MySQL decides it: NULL where a NULL decides."""
    every = isinstance(node.right, exp.All)
    query = node.right.this.unnest().copy()
    if not isinstance(query, exp.Select) or len(query.expressions) != 1:
        return node
    named = exp.alias_(query.expressions[0].unalias().copy(), _VALUE)
    query.set("expressions", [named])
    compared = type(node)(this=node.left.copy(), expression=exp.column(_VALUE))

    def found(condition: Any) -> Any:
        rows = exp.select(exp.Literal.number(1)).from_(query.copy().subquery(_ROWS))
        return exp.Exists(this=rows.where(condition))

    decided = found(exp.Not(this=exp.Paren(this=compared.copy())) if every else compared.copy())
    case = exp.Case(ifs=[exp.If(this=decided, true=exp.Literal.number(int(not every)))])
    case.append("ifs", exp.If(this=found(exp.Paren(this=compared.copy()).is_(exp.Null())), true=exp.Null()))
    case.set("default", exp.Literal.number(int(every)))
    return exp.Paren(this=case)
