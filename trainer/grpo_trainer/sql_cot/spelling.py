"""How names and values are written: in SQL, where they must survive any spelling, and in English."""

import re

KEYWORDS = frozenset(
    """abort action add after all alter always analyze and as asc attach autoincrement before begin between by cascade
    case cast check collate column commit conflict constraint create cross current current_date current_time
    current_timestamp database default deferrable deferred delete desc detach distinct do drop each else end escape
    except exclude exclusive exists explain fail false filter first following for foreign from full generated glob group
    groups having if ignore immediate in index indexed initially inner insert instead intersect into is isnull join key
    last left like limit match materialized natural no not nothing notnull null nulls of offset on or order others outer
    over partition plan pragma preceding primary query raise range recursive references regexp reindex release rename
    replace restrict returning right rollback row rows savepoint select set table temp temporary then ties to
    transaction trigger true unbounded union unique update using vacuum values view virtual when where window with
    without""".split()  # noqa: SIM905
)
UNCOUNTED = frozenset({"children", "data", "equipment", "people", "staff"})


def identifier(name: str) -> str:
    if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) and name.lower() not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(value: int | float | str) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


def words(name: str) -> str:
    """Return a name as English: `hire_date` and `HireDate` are both "hire date"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(spaced.replace("_", " ").split()).lower()


def plural(name: str) -> str:
    """Return a table's name as English, several of them; what ends in s is taken to be plural already."""
    text = words(name)
    if text.endswith("s") or text.rpartition(" ")[2] in UNCOUNTED:
        return text
    if re.search(r"[^aeiou]y$", text):
        return text[:-1] + "ies"
    return text + ("es" if re.search(r"(ch|sh|x|z)$", text) else "s")
