"""How a table's columns are written in SQL: quoting, numbers, and the text of a class.

Tables hold no NaN: reading a run turns it into NULL, which DuckDB treats as missing everywhere.
"""

_FLOATS = ("DOUBLE", "FLOAT")
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")


def quoted(name: str) -> str:
    """A column's name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def string(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def is_number(type_name: str) -> bool:
    """Whether a column type as DuckDB names it holds numbers."""
    return type_name in _FLOATS or type_name in _INTEGERS or type_name.startswith("DECIMAL")


def is_text(type_name: str) -> bool:
    """Whether a column type as DuckDB names it holds text."""
    return type_name == "VARCHAR" or type_name.startswith("ENUM")


def number(expression: str) -> str:
    """The expression as a finite double; NULL where it is text without a number in it, NaN or infinite."""
    return f"(CASE WHEN isfinite(TRY_CAST({expression} AS DOUBLE)) THEN TRY_CAST({expression} AS DOUBLE) END)"


def class_text(expression: str, type_name: str) -> str:
    """The text that names a class: 'True' for a boolean, '1' for 1 and 1.0.

    Several classes stand one after the other. Whole numbers lose their fraction because one missing value turns an
    integer column into floats.
    """
    if type_name in _FLOATS or type_name.startswith("DECIMAL"):
        x = f"CAST({expression} AS DOUBLE)" if type_name.startswith("DECIMAL") else expression
        whole = f"isfinite({x}) AND {x} = trunc({x}) AND abs({x}) < 9e15"
        return f"CASE WHEN {whole} THEN CAST(CAST({x} AS BIGINT) AS VARCHAR) ELSE CAST({x} AS VARCHAR) END"
    if type_name == "BOOLEAN":
        return f"CASE {expression} WHEN true THEN 'True' WHEN false THEN 'False' END"
    if type_name == "VARCHAR[]":
        return f"array_to_string({expression}, ', ')"
    return expression if type_name == "VARCHAR" else f"CAST({expression} AS VARCHAR)"


def holds_class(expression: str, type_name: str, name: str) -> str:
    """A condition: the class is this one, or one of several; NULL where there is none."""
    if type_name == "VARCHAR[]":
        return f"list_contains({expression}, {string(name)})"
    return f"({class_text(expression, type_name)}) = {string(name)}"


def condition(name: str) -> str:
    """A boolean column as a condition that is never NULL; numbers and texts such as 'true' count too."""
    return f"coalesce(TRY_CAST({quoted(name)} AS BOOLEAN), false)"
