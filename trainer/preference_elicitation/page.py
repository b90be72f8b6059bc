"""A probe's report as one page that needs no network; a model's words stand in it as text, never as markup."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from preference_elicitation import charts

NONE = "–"
Report = Mapping[str, Any]


def page(report: Report) -> str:
    """Fill the template; an unknown name in it is an error."""
    environment = Environment(
        loader=PackageLoader("preference_elicitation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"number": number, "estimate": estimate, "percent": percent, "sentence": sentence}
    drawn = [Markup(svg) for svg in charts.svgs(report)]  # noqa: S704 - ours; matplotlib escapes the names in it
    return environment.get_template("report.html").render(r=report, charts=drawn)


def lines(report: Report) -> list[str]:
    """Return the report in a few lines for a terminal."""
    width = max(len(arm["name"]) for arm in report["arms"])
    told = [
        f"{arm['name']:<{width}}  gain {estimate(arm['gain'])}  accuracy {percent(arm['accuracy_before'])} → "
        f"{percent(arm['accuracy_after'])}  asked again {percent(arm['repeated'])}"
        for arm in report["arms"]
    ]
    return [*told, *(sentence(one) for one in report["differences"])]


def sentence(one: Report) -> str:
    """Return what a difference shows, in words."""
    found = one["interval"]
    if found is None:
        return f"{one['arm']} against {one['against']}: {estimate(one)}"
    if found["low"] > 0:
        said = "gains more than"
    else:
        said = "gains less than" if found["high"] < 0 else "is not shown to differ from"
    return f"{one['arm']} {said} {one['against']}: {estimate(one)}"


def number(value: float | None) -> str:
    return NONE if value is None else f"{value:+.3f}".replace("-", "−")


def percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}%"


def estimate(value: Report) -> str:
    if value["value"] is None:
        return f"{NONE} ({value['reason']})"
    found = value["interval"]
    return (
        f"{number(value['value'])} [{number(found['low'])}, {number(found['high'])}]"
        if found
        else number(value["value"])
    )
