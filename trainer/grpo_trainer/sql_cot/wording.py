"""What a query says in English: the question that it answers, and the reasoning that leads to it."""

from grpo_trainer.sql_cot.query import Predicate, Query
from grpo_trainer.sql_cot.spelling import plural, words

NUMBERS = {"=": "", "!=": "not", "<": "below", "<=": "at most", ">": "above", ">=": "at least"}
DATES = NUMBERS | {"<": "before", "<=": "no later than", ">": "after", ">=": "no earlier than"}
DO = {
    "COUNT": "count",
    "COUNT DISTINCT": "count the different values of",
    "SUM": "add up",
    "AVG": "average",
    "MIN": "find the lowest",
    "MAX": "find the highest",
    None: "list",
}
NAMED = {"SUM": "total", "AVG": "average", "MIN": "lowest", "MAX": "highest"}


def reasoning(query: Query, style: int) -> str:
    """Return what to do, in one sentence: the rows' condition behind them (style 0), or first (style 1)."""
    do, those = DO[query.aggregate], f"{plural(query.table.name)}{_whose(query)}"
    each = f" for each {words(query.group.name)}" if query.group else ""
    if query.order:
        return _sorting(query, those, style)
    if style == 0:
        what = f"the {those}" if query.column is None else f"{_article(query)}{_of(query)} of the {those}"
        return f"{_capital(do)} {what}{each}."
    what = "them" if query.column is None else f"{'their ' if _article(query) else ''}{_of(query)}"
    return f"Take {'the' if query.where else 'all'} {those}, then {do} {what}{each}."


def question(query: Query, style: int) -> str:
    them, with_ = plural(query.table.name), _with(query)
    per = f" per {words(query.group.name)}" if query.group else ""
    if query.order:
        high, low = ("latest", "earliest") if query.order.kind == "date" else ("highest", "lowest")
        end = high if query.descending else low
        of = f"{them}{with_}" if query.where else f"all {them}"
        return f"Of {of}, what is the {_of(query)} of the {query.limit} with the {end} {words(query.order.name)}?"
    if query.column is None:
        if style == 0:
            return f"How many {them}{with_} are there{per}?"
        return f"What is the number of {them}{with_}{per}?"
    if query.aggregate == "COUNT DISTINCT":
        return f"How many different values of {_of(query)} do {them}{with_} have?"
    if query.aggregate is None:
        return f"What {_of(query)} do {them}{with_} have?"
    return f"What is the {NAMED.get(query.aggregate, 'number of')} {_of(query)} of {them}{with_}{per}?"


def _whose(query: Query) -> str:
    """Return the predicates as clauses: " whose make is Kia and whose price is below 20000"."""
    clauses = (f"whose {_subject(query, p, 's')} is {_compared(p)}" for p in query.where)
    return " ".join(["", " and ".join(clauses)]) if query.where else ""


def _with(query: Query) -> str:
    """Return the predicates as attributes: " with make Kia and price below 20000"."""
    return " with " + " and ".join(f"{_subject(query, p)} {_compared(p)}" for p in query.where) if query.where else ""


def _subject(query: Query, predicate: Predicate, possessive: str = "") -> str:
    name = words(predicate.column.name)
    if query.link is None:
        return name
    owner = words(query.link.column).removesuffix(" id") or words(query.link.table)
    return f"{owner}'{possessive} {name}" if possessive else f"{owner} {name}"


def _compared(predicate: Predicate) -> str:
    said = (DATES if predicate.column.kind == "date" else NUMBERS)[predicate.operator]
    return f"{said} {predicate.value}".strip()


def _of(query: Query) -> str:
    return words(query.column.name) if query.column else "rows"


def _sorting(query: Query, those: str, style: int) -> str:
    assert query.order is not None
    ends = ("late", "early") if query.order.kind == "date" else ("high", "low")
    by = f"by {words(query.order.name)} from {' to '.join(ends if query.descending else ends[::-1])}"
    said = f"Sort the {those} {by}" if style == 0 else f"Take the {those}, sort {by}"
    return f"{said} and list the {_of(query)} of the first {query.limit}."


def _article(query: Query) -> str:
    """Return "the " where a column's name can follow it: not after "the lowest" and "the different values of"."""
    return "" if query.aggregate in ("MIN", "MAX", "COUNT DISTINCT") else "the "


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
