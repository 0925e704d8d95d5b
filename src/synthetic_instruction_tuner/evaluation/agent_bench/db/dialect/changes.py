"""MySQL's INSERT, UPDATE and DELETE as SQLite's: what goes into a column is text, written as MySQL writes it."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.expressions import called, digits
from synthetic_instruction_tuner.evaluation.agent_bench.db.dialect.kinds import decimals


def insert(tree: Any) -> None:
    """Rewrites an INSERT: no key is unique here, so that nothing is a duplicate."""
    tree.set("conflict", None)
    tree.set("ignore", None)
    source = tree.expression
    if isinstance(source, exp.Values):
        for row in source.expressions:
            if isinstance(row, exp.Tuple):
                row.set("expressions", [_as_text(_without_columns(cell)) for cell in row.expressions])
    elif isinstance(source, exp.Select):
        for one in source.expressions:
            inner = one.unalias()
            if not isinstance(inner, exp.Star):
                inner.replace(_as_text(inner.copy()))


def update(tree: Any) -> None:
    """Rewrites an UPDATE: its assignments are made one after the other, each with what the ones before have left."""
    made: dict[str, Any] = {}
    for assignment in tree.expressions:
        if not isinstance(assignment, (exp.EQ, exp.PropertyEQ)):
            continue
        column, value = assignment.this, assignment.expression
        if isinstance(value, exp.Column) and not value.this.args.get("quoted") and value.name.upper() == "DEFAULT":
            value = exp.Null()
        value = _as_text(_with(value, made))
        name = column.name.lower()
        made[name] = value.copy()
        plain = exp.Column(this=exp.to_identifier(column.name, quoted=True))
        assignment.replace(exp.EQ(this=plain, expression=value))


def limit_rows(tree: Any) -> None:
    """Says which rows by their number, since SQLite's UPDATE and DELETE have no ORDER BY and LIMIT."""
    order, limit = tree.args.get("order"), tree.args.get("limit")
    if order is None and limit is None:
        return
    rows = exp.select("rowid").from_(tree.this.copy())
    for name, part in (("where", tree.args.get("where")), ("order", order), ("limit", limit)):
        if part is not None:
            rows.set(name, part.copy())
    for name in ("order", "limit"):
        tree.set(name, None)
    tree.set("where", exp.Where(this=exp.In(this=exp.column("rowid"), query=exp.Subquery(this=rows))))


def joined_update(tree: Any) -> None:
    """Rewrites an UPDATE of a table that is joined with others: SQLite names the others behind FROM."""
    table = tree.this
    joins = table.args.get("joins") or []
    if not joins:
        return
    first, *rest = joins
    source = first.this
    conditions = [one for one in (first.args.get("on"),) if one is not None]
    table.set("joins", None)
    for join in rest:
        source.append("joins", join)
    where = tree.args.get("where")
    if where is not None:
        conditions.append(where.this)
    tree.set("from_", exp.From(this=source))
    if conditions:
        tree.set("where", exp.Where(this=exp.and_(*conditions)))


def delete(tree: Any) -> None:
    """Rewrites a DELETE that names its table twice, and one of rows that a join finds."""
    joins = tree.this.args.get("joins") or []
    if joins:
        wanted = tree.args["tables"][0].name if tree.args.get("tables") else tree.this.alias_or_name
        rows = exp.select(exp.column("rowid", table=wanted, quoted=True)).from_(tree.this.copy())
        rows.args["from_"].this.set("joins", None)
        rows.set("joins", [join.copy() for join in joins])
        if tree.args.get("where") is not None:
            rows.set("where", tree.args["where"].copy())
        sources = [tree.this, *(join.this for join in joins)]
        table = next((one for one in sources if one.alias_or_name.lower() == wanted.lower()), tree.this)
        tree.set("this", exp.Table(this=table.this.copy()))
        tree.set("where", exp.Where(this=exp.In(this=exp.column("rowid"), query=exp.Subquery(this=rows))))
    tree.set("tables", None)
    tree.set("using", None)


def _as_text(node: Any) -> Any:
    """Returns what goes into a column as MySQL's text of it: 7.40 stays 7.40."""
    sign = "-" if isinstance(node, exp.Neg) else ""
    value = node.this if sign else node
    if isinstance(value, exp.Literal) and not value.is_string:
        shown = digits(str(value.this))
        return exp.Literal.string(shown if not shown.strip("0.") else sign + shown)
    if isinstance(node, (exp.Literal, exp.Null, exp.Column)):
        return node
    places = decimals(node, kept=True)
    if places is not None and places >= 0:
        cut = places != decimals(node)  # digits of a quotient are not rounded
        return called("MYSQL_CUT" if cut else "MYSQL_FIXED", node, exp.Literal.number(places))
    return called("MYSQL_TEXT", node)


def _without_columns(cell: Any) -> Any:
    """Returns a new row's cell in which other cells of the row, which have no value yet, are NULL."""
    if isinstance(cell, exp.Var) and cell.name.upper() == "DEFAULT":
        return exp.Null()
    return cell


def _with(value: Any, made: dict[str, Any]) -> Any:
    """Returns an expression in which columns that have been assigned to stand for what they were given."""

    def given(node: Any) -> Any:
        if isinstance(node, exp.Column) and node.name.lower() in made and not node.find_ancestor(exp.Subquery):
            return made[node.name.lower()].copy()
        return node

    return value.transform(given) if made else value
