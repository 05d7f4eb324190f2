"""The filter language: what passes means what it says, everything else is a sentence."""

import logging
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dashboard.errors import BadQuery
from dashboard.metrics.filters import MAX_LENGTH, filter_text, parse_filter
from dashboard.metrics.tables import Tables, source
from tests.dashboard.metrics.evaluations import evaluation_of

COLUMNS = {
    "age": "DOUBLE",
    "region": "VARCHAR",
    "when": "TIMESTAMP",
    "my col": "BIGINT",
    "ok": "BOOLEAN",
    'q"x': "BIGINT",
}
logging.getLogger("sqlglot").setLevel(logging.ERROR)


@pytest.mark.parametrize(
    ("text", "sql", "columns"),
    [
        ("", "true", ()),
        (
            "age BETWEEN 70 AND 80 AND region = 'north'",
            '(("age" BETWEEN 70 AND 80) AND ("region" = \'north\'))',
            ("age", "region"),
        ),
        ("NOT (ok OR age IS NULL)", '(NOT ("ok" OR ("age" IS NULL)))', ("ok", "age")),
        ("AGE > -1.5e3", '("age" > (- 1.5e3))', ("age",)),
        ("region = 1", "(\"region\" = '1')", ("region",)),
        ("region IN (1, 'x')", "(\"region\" IN ('1', 'x'))", ("region",)),
        ("region LIKE 'n%' -- comment", "(\"region\" LIKE 'n%')", ("region",)),
        ('"my col" % 2 = 0', '(("my col" % 2) = 0)', ("my col",)),
        ('"q""x" = 1', '("q""x" = 1)', ('q"x',)),
        ("\"when\" >= DATE '2020-01-01'", "(\"when\" >= DATE '2020-01-01')", ("when",)),
        ("lower(region) = 'it''s'", "(lower(\"region\") = 'it''s')", ("region",)),
        ("age NOT IN (1)", '(NOT ("age" IN (1)))', ("age",)),
    ],
)
def test_accepted(text: str, sql: str, columns: tuple[str, ...]) -> None:
    found = parse_filter(text, COLUMNS)
    assert (found.sql, found.columns) == (sql, columns)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("agee > 1", "no column 'agee'; did you mean 'age'"),
        ("age > 1; DROP TABLE x", "cannot be read|not one expression"),
        ("age > 1; age < 3", "not one expression"),
        ("-- nothing", "not one expression"),
        ("age IN (SELECT 1)", "SELECT 1"),
        ("EXISTS (SELECT 1)", "EXISTS"),
        ("read_csv('/etc/passwd') IS NULL", "READ_CSV"),
        ("getenv('HOME') = 'x'", "(?i)getenv"),
        ("age = current_date", "CURRENT_DATE"),
        ("regexp_matches(region, '(a+)+$')", "REGEXP"),
        ("t.age = 1", "t.age"),
        ("age = ?", "PLACEHOLDER"),
        ("age::VARCHAR = '1'", "only casts are DATE"),
        ("CASE WHEN ok THEN age END > 1", "CASE"),
        ("1 < age < 3", "two comparisons joined by AND"),
        ("age BETWEEN SYMMETRIC 1 AND 2", "symmetric"),
        ("count(*) OVER () > 1", "WINDOW"),
        ("region > 5", "holds text"),
        ("age = 'x\x00'", "control character"),
        ("(" * 900 + "age" + ")" * 900, "nested too deeply"),
        ("NOT " * 400 + "ok", "nested"),
        ("+".join(["age"] * 300) + " > 1", "nested more than 60 deep"),
        ("age > 1 OR " * 300 + "ok", f"at most {MAX_LENGTH}"),
        ("age IS 1", "IS takes NULL"),
        ("age IN ()", "cannot be read|at least one value"),
        ("age > ", "cannot be read"),
        ("'unclosed", "cannot be read"),
        ("PRAGMA database_list", "cannot be read"),
        ("ATTACH 'x.db'", "cannot be read"),
        ("*", "STAR"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(BadQuery, match=says):
        parse_filter(text, COLUMNS)


TOKENS = """age region when ok "my col" 'x' 1 2.5 ( ) , ; = < > <> + - * / % . :: [ ] { } ? $1 -- /* */ || -> ~ @ ! \\
AND OR NOT IN BETWEEN LIKE IS NULL SELECT FROM WHERE UNION CASE WHEN THEN END CAST AS DATE INTERVAL lower( read_csv( if
getenv( EXISTS( x.y LATERAL PIVOT VALUES COLUMNS( EXCLUDE ATTACH COPY PRAGMA SET DROP DESCRIBE case"""
WORDS = st.sampled_from(TOKENS.split())


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=14).map(" ".join)))
def test_anything_is_either_refused_or_written_from_allowed_parts(text: str) -> None:
    try:
        sql = parse_filter(text, COLUMNS).sql
    except BadQuery:
        return
    bare = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", " ", sql)
    words = set(re.findall(r"[A-Za-z_]+", re.sub(r"\d+(?:\.\d*)?[eE][+-]?\d+", " ", bare)))
    allowed = "true false AND OR NOT IN BETWEEN LIKE ILIKE IS NULL DATE TIMESTAMP lower abs"
    assert words <= set(allowed.split())
    assert not set(bare) & set(";?${}[]@\\~:")


SIGNS = ["<", "<=", ">", ">=", "=", "<>"]
COMPARISONS = st.tuples(st.sampled_from("xy"), st.sampled_from(SIGNS), st.integers(-3, 3)).map(
    lambda part: (f"{part[0]} {part[1]} {part[2]}", lambda f: compare(f[part[0]], part[1], part[2]))
)
BETWEENS = st.tuples(st.sampled_from("xy"), st.integers(-3, 3), st.integers(-3, 3)).map(
    lambda part: (
        f"{part[0]} BETWEEN {part[1]} AND {part[2]}",
        lambda f: both(compare(f[part[0]], ">=", part[1]), compare(f[part[0]], "<=", part[2])),
    )
)
MISSING = st.just(("x IS NULL", lambda f: f["x"].isna().to_numpy(dtype=object)))
EXPRESSIONS = st.recursive(
    st.one_of(COMPARISONS, BETWEENS, MISSING),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(
            lambda pair: (f"({pair[0][0]}) AND ({pair[1][0]})", lambda f: both(pair[0][1](f), pair[1][1](f)))
        ),
        inner.map(lambda one: (f"NOT ({one[0]})", lambda f: negation(one[1](f)))),
    ),
    max_leaves=5,
)


def compare(column: pd.Series, operator: str, value: int) -> np.ndarray:
    """Three-valued comparison, None for a missing value."""
    python = {"=": "__eq__", "<>": "__ne__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}[operator]
    return np.array([None if math.isnan(x) else getattr(x, python)(value) for x in column], dtype=object)


def both(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    def one(a: bool | None, b: bool | None) -> bool | None:
        return False if a is False or b is False else None if a is None or b is None else True

    return np.array([one(a, b) for a, b in zip(left, right, strict=True)], dtype=object)


def negation(values: np.ndarray) -> np.ndarray:
    return np.array([None if value is None else not value for value in values], dtype=object)


@settings(max_examples=50, deadline=None)
@given(EXPRESSIONS)
def test_filters_select_what_three_valued_logic_selects(tables: Tables, expression) -> None:
    text, truth = expression
    assume(len(text) < MAX_LENGTH)
    grid = [(x, y) for x in (-2.0, 0.0, 1.0, 2.5, math.nan) for y in (-1.0, 0.5, 3.0, math.nan)]
    frame = pd.DataFrame(grid, columns=["x", "y"])
    evaluation = evaluation_of(tables.folder, frame.assign(label="a"))
    assert evaluation.table is not None
    where = parse_filter(text, tables.columns(evaluation.table)).sql
    got = tables.first(f"SELECT count(*) AS n FROM {source(evaluation.table)} WHERE {where}")["n"]
    assert got == sum(value is True for value in truth(frame))


def test_names_are_written_as_a_filter_reads_them() -> None:
    for name in COLUMNS:
        assert parse_filter(f"{filter_text(name)} IS NULL", COLUMNS).columns == (name,)


def test_ambiguous_case_is_refused() -> None:
    with pytest.raises(BadQuery, match="no column 'AGE'"):
        parse_filter("AGE = 1", {"age": "DOUBLE", "Age": "DOUBLE"})


def test_a_name_that_needs_quotes_is_shown_with_them() -> None:
    with pytest.raises(BadQuery, match=re.escape('The column my col is written "my col"')):
        parse_filter("my col > 15", COLUMNS)
