"""The one filter language: a boolean SQL expression, checked node by node and written anew."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from dashboard.errors import BadQuery
from dashboard.metrics.columns import is_text, quoted, string

MAX_LENGTH = 2000
MAX_DEPTH = 60

_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.Like: "LIKE",
    exp.ILike: "ILIKE",
}
_ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
_FUNCTIONS: dict[type[exp.Expr], tuple[str, tuple[str, ...]]] = {
    exp.Lower: ("lower", ("this",)),
    exp.Upper: ("upper", ("this",)),
    exp.Length: ("length", ("this",)),
    exp.Trim: ("trim", ("this",)),
    exp.Contains: ("contains", ("this", "expression")),
    exp.StartsWith: ("starts_with", ("this", "expression")),
    exp.EndsWith: ("ends_with", ("this", "expression")),
    exp.Abs: ("abs", ("this",)),
    exp.Round: ("round", ("this", "decimals")),
    exp.Floor: ("floor", ("this",)),
    exp.Ceil: ("ceil", ("this",)),
    exp.Sqrt: ("sqrt", ("this",)),
    exp.Ln: ("ln", ("this",)),
    exp.Year: ("year", ("this",)),
    exp.Month: ("month", ("this",)),
    exp.Day: ("day", ("this",)),
    exp.Hour: ("hour", ("this",)),
    exp.DayOfWeek: ("dayofweek", ("this",)),
}
_CASTS = {exp.DataType.Type.DATE: "DATE", exp.DataType.Type.TIMESTAMP: "TIMESTAMP"}
_CASTS[exp.DataType.Type.TIMESTAMPNTZ] = "TIMESTAMP"
_NUMBER = re.compile(r"\d*\.?\d*(?:[eE][+-]?\d{1,3})?")
_ACCEPTED = (
    "accepted are comparisons, AND, OR, NOT, IN, BETWEEN, LIKE, IS NULL, + - * / %, DATE '...' and the functions "
    + ", ".join(name for name, _ in _FUNCTIONS.values())
)


@dataclass(frozen=True)
class Filter:
    """A checked filter: SQL generated from the checked tree, and the columns it reads (exact names)."""

    sql: str
    columns: tuple[str, ...] = ()


def parse_filter(text: str, columns: Mapping[str, str]) -> Filter:
    """Check a filter against the table's columns (name -> DuckDB type). BadQuery names the token or the column."""
    if not text.strip():
        return Filter("true")
    if len(text) > MAX_LENGTH:
        raise BadQuery(f"The filter has {len(text)} characters; at most {MAX_LENGTH} are accepted.")
    try:
        writer = _Writer(columns)
        sql = writer.write(_tree(text, columns), 0)
    except RecursionError as exc:
        raise BadQuery("The filter is nested too deeply; write it with fewer parentheses.") from exc
    return Filter(sql, tuple(writer.used))


def filter_text(name: str) -> str:
    """A column's name as it is written in a filter: quoted unless it is a plain word that SQL does not use itself."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
    if plain and Dialect.get_or_raise("duckdb").tokenize(name)[0].token_type == TokenType.VAR:
        return name
    return quoted(name)


def _tree(text: str, columns: Mapping[str, str]) -> exp.Expr:
    """The one syntax tree of a text; comments are dropped by writing anew."""
    control = next((char for char in text if ord(char) < 32 and char not in "\t\n\r"), None)
    if control is not None:
        raise BadQuery(f"The filter holds the control character {control!r}; only text is accepted.")
    try:
        trees = Dialect.get_or_raise("duckdb").parse_into(exp.Condition, text)
    except SqlglotError as exc:
        raise BadQuery(
            f"The filter cannot be read{_position(exc)}: {text[:80]!r}; {_ACCEPTED}.{_unquoted(text, columns)}"
        ) from exc
    if len(trees) != 1 or trees[0] is None:
        raise BadQuery(f"The filter {text[:80]!r} is not one expression; ';' and comments alone are not accepted.")
    return trees[0]


def _unquoted(text: str, columns: Mapping[str, str]) -> str:
    """A hint where a column's name stands in the text without the quotes that it needs."""
    bare = (name for name in columns if name in text and filter_text(name) not in text)
    name = max(bare, key=len, default=None)
    return f" The column {name} is written {filter_text(name)}, in double quotes." if name else ""


def _position(exc: SqlglotError) -> str:
    found: dict[str, Any] = next(iter(getattr(exc, "errors", None) or []), {})
    token, column = found.get("highlight"), found.get("col")
    return f" at {token!r} (character {column})" if token else ""


class _Writer:
    """Writes SQL for allowed nodes only; `used` collects the columns in order of appearance."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.columns = columns
        self.used: dict[str, None] = {}
        self.rules: dict[type[exp.Expr], Callable[[exp.Expr, int], str]] = {
            exp.Literal: self.literal,
            exp.Column: self.column,
            exp.Boolean: lambda node, _: "true" if node.this else "false",
            exp.Paren: lambda node, depth: self.write(only(node, "this").this, depth),
            exp.Not: lambda node, depth: f"(NOT {self.write(only(node, 'this').this, depth)})",
            exp.Neg: lambda node, depth: f"(- {self.write(only(node, 'this').this, depth)})",
            exp.And: self.connective,
            exp.Or: self.connective,
            exp.Between: self.between,
            exp.In: self.one_of,
            exp.Is: self.is_,
            exp.Cast: self.moment,
            exp.Coalesce: self.coalesce,
            **dict.fromkeys(_COMPARISONS, self.comparison),
            **dict.fromkeys(_ARITHMETIC, self.arithmetic),
            **dict.fromkeys(_FUNCTIONS, self.function),
        }

    def write(self, node: exp.Expr, depth: int) -> str:
        """SQL of one node and what is below it."""
        if not isinstance(node, exp.Expr):
            raise BadQuery(f"The filter is incomplete: a value is missing; {_ACCEPTED}.")
        rule = self.rules.get(type(node))
        if rule is None:
            raise BadQuery(f"{_name(node)} is not accepted in a filter; {_ACCEPTED}.")
        if depth > MAX_DEPTH:
            raise BadQuery(f"The filter is nested more than {MAX_DEPTH} deep; write it with fewer parentheses.")
        return rule(node, depth + 1)

    def literal(self, node: exp.Expr, _: int) -> str:
        value = str(node.this)
        if node.args.get("is_string"):
            return string(value)
        if not _NUMBER.fullmatch(value) or not any(char.isdigit() for char in value):
            raise BadQuery(f"{value[:40]!r} is not a number; accepted are numbers such as 12, 0.5 or 1e-3.")
        return value

    def column(self, node: exp.Expr, _: int) -> str:
        identifier = only(node, "this").this
        if type(identifier) is not exp.Identifier:
            raise BadQuery(f"{_name(node)} is not accepted in a filter; {_ACCEPTED}.")
        name = self.resolve(str(identifier.this))
        self.used[name] = None
        return quoted(name)

    def resolve(self, name: str) -> str:
        """The exact column of a name: as written, else the only one that differs in case."""
        if name in self.columns:
            return name
        similar = [column for column in self.columns if column.casefold() == name.casefold()]
        if len(similar) == 1:
            return similar[0]
        near = difflib.get_close_matches(name, self.columns, n=3, cutoff=0.7)
        text = f"; did you mean {' or '.join(map(repr, near))}?" if near else "; the Data page lists those it has."
        raise BadQuery(f"The table has no column {name[:80]!r}{text}")

    def connective(self, node: exp.Expr, depth: int) -> str:
        only(node, "this", "expression")
        word = " AND " if type(node) is exp.And else " OR "
        # flattened, because a long chain of ANDs is a deep tree
        return "(" + word.join(self.write(part, depth) for part in node.flatten(unnest=False)) + ")"

    def comparison(self, node: exp.Expr, depth: int) -> str:
        only(node, "this", "expression")
        left, right = node.this, node.args["expression"]
        for side in (left, right):
            if type(side) in _COMPARISONS:
                raise BadQuery(f"Chained comparison {_name(node)}: write it as two comparisons joined by AND.")
        exact = type(node) in (exp.EQ, exp.NEQ)
        sides = self.operand(left, right, depth, exact), self.operand(right, left, depth, exact)
        return f"({sides[0]} {_COMPARISONS[type(node)]} {sides[1]})"

    def operand(self, node: exp.Expr, other: exp.Expr, depth: int, exact: bool = True) -> str:
        """One side of a comparison; a number equal to a text column is meant as text: labels '1' and 1 are equal."""
        written = self.write(node, depth)
        if type(node) is not exp.Literal or node.args.get("is_string") or type(other) is not exp.Column:
            return written
        self.write(other, depth)
        name = self.resolve(str(other.this.this))
        if not is_text(self.columns[name]):
            return written
        if not exact:
            raise BadQuery(f"Column {name!r} holds text and cannot be compared with the number {written} by size.")
        return string(written)

    def arithmetic(self, node: exp.Expr, depth: int) -> str:
        only(node, "this", "expression", "typed", "safe")
        sides = self.write(node.this, depth), self.write(node.args["expression"], depth)
        return f"({sides[0]} {_ARITHMETIC[type(node)]} {sides[1]})"

    def between(self, node: exp.Expr, depth: int) -> str:
        only(node, "this", "low", "high")
        value = self.write(node.this, depth)
        low, high = self.write(node.args["low"], depth), self.write(node.args["high"], depth)
        return f"({value} BETWEEN {low} AND {high})"

    def one_of(self, node: exp.Expr, depth: int) -> str:
        only(node, "this", "expressions")
        options = node.args.get("expressions") or []
        if not options:
            raise BadQuery("IN needs at least one value, such as IN ('a', 'b').")
        written = ", ".join(self.operand(option, node.this, depth) for option in options)
        return f"({self.write(node.this, depth)} IN ({written}))"

    def is_(self, node: exp.Expr, depth: int) -> str:
        only(node, "this", "expression")
        what = node.args["expression"]
        if type(what) not in (exp.Null, exp.Boolean):
            raise BadQuery(f"IS {_name(what)} is not accepted; IS takes NULL, NOT NULL, TRUE or FALSE.")
        word = "NULL" if type(what) is exp.Null else self.write(what, depth)
        return f"({self.write(node.this, depth)} IS {word})"

    def moment(self, node: exp.Expr, _: int) -> str:
        only(node, "this", "to")
        kind = _CASTS.get(node.args["to"].this)
        if kind is None or type(node.this) is not exp.Literal or not node.this.args.get("is_string"):
            raise BadQuery(f"{_name(node)} is not accepted; the only casts are DATE '...' and TIMESTAMP '...'.")
        return f"{kind} {string(str(node.this.this))}"

    def coalesce(self, node: exp.Expr, depth: int) -> str:
        only(node, "this", "expressions")
        parts = [node.this, *(node.args.get("expressions") or [])]
        return f"coalesce({', '.join(self.write(part, depth) for part in parts)})"

    def function(self, node: exp.Expr, depth: int) -> str:
        name, arguments = _FUNCTIONS[type(node)]
        only(node, *arguments)
        given = [node.this, *(node.args[part] for part in arguments[1:] if node.args.get(part) is not None)]
        return f"{name}({', '.join(self.write(part, depth) for part in given)})"


def only(node: exp.Expr, *allowed: str) -> exp.Expr:
    """The node, if it carries nothing but the allowed parts: whatever is not written must not be there."""
    extra = [name for name, value in node.args.items() if value and name not in allowed]
    if extra:
        raise BadQuery(f"{_name(node)} is not accepted in a filter with {extra[0]!r}; {_ACCEPTED}.")
    return node


def _name(node: exp.Expr) -> str:
    """What the user wrote, shortened; the node's kind where it cannot be written."""
    try:
        return f"{node.key.upper()} {node.sql(dialect='duckdb', comments=False)[:60]!r}"
    except (SqlglotError, ValueError, TypeError, AttributeError, KeyError):
        return node.key.upper()
