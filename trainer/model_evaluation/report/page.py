"""A report as one page that needs no network: charts inside, and every word of a model as text, never as markup."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from model_evaluation.report import comparison_charts, figure

Report = Mapping[str, Any]
TEMPLATES = files("model_evaluation.report") / "templates"


def comparison(report: Report, opened: int) -> str:
    """Return the page of a comparison; the first `opened` samples are unfolded."""
    names = [model["name"] for model in report["models"]]
    complete = sum(verdict["winner"] is not None for sample in report["samples"] for verdict in sample["verdicts"])
    return render(
        "report.html",
        r=report,
        title=" against ".join(names) if len(names) == 2 else f"{len(names)} models compared",
        charts=[Markup(svg) for svg in comparison_charts.svgs(report)],  # noqa: S704 - ours; matplotlib escapes names
        complete=complete,
        opened=opened,
    )


def diversity(report: Report) -> str:
    """Return the page of `guerdon diversity`."""
    from model_evaluation.report import diversity_charts

    names = [arm["name"] for arm in report["arms"]]
    return render(
        "diversity.html",
        r=report,
        title=f"Diversity of {names[0]}" if len(names) == 1 else f"Diversity of {len(names)} arms",
        charts=[Markup(svg) for svg in diversity_charts.svgs(report)],  # noqa: S704 - ours; matplotlib escapes names
    )


def passk(report: Report) -> str:
    """Return the page of `guerdon passk`."""
    from model_evaluation.report import passk_charts

    return render(
        "passk.html",
        r=report,
        title="pass@k",
        charts=[Markup(svg) for svg in passk_charts.svgs(report)],  # noqa: S704 - ours; matplotlib escapes names
    )


def render(template: str, **values: Any) -> str:
    """Fill a template; what is not marked as markup is escaped, and an unknown name is an error."""
    return _environment().get_template(template).render(**values)


@cache  # templates are compiled once
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("model_evaluation.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {
        "style": Markup(_text("style.css")),  # noqa: S704 - our own file
        "script": Markup(_text("browser.js")),  # noqa: S704 - our own file
        **{one.__name__: one for one in (figure.number, figure.percent, figure.interval, figure.estimate)},
        **{one.__name__: one for one in (figure.p_value, figure.money, figure.capitalised)},
        **{one.__name__: one for one in (figure.asked, figure.by_status, figure.precise)},
        **{one.__name__: one for one in (badge, kinds, question, said)},
    }
    return environment


def badge(verdict: Report) -> str:
    winner = verdict["winner"]
    if winner is None:
        return f"no verdict: {verdict['status']}"
    return "tie" if winner == "tie" else f"{verdict['model_a' if winner == 'a' else 'model_b']} won"


def said(verdict: Report, order: Report) -> str:
    """Return what one call said, by the models' names."""
    winner = order["winner"]
    if winner is None:
        return str(order["status"])
    return "tie" if winner == "tie" else f"{verdict['model_a' if winner == 'a' else 'model_b']} is better"


def kinds(sample: Report) -> list[str]:
    """Return under which of the browser's filters a sample is shown."""
    found = {verdict["winner"] or "failed" for verdict in sample["verdicts"]}
    turned = any(
        comparison_charts.order_kind(verdict["orders"]) not in {None, comparison_charts.POSITION[0]}
        for verdict in sample["verdicts"]
    )
    return sorted(found | ({"turned"} if turned else set()))


def question(sample: Report) -> str:
    """Return a prompt in one line."""
    prompt = sample["prompt"]
    text = prompt if isinstance(prompt, str) else prompt[-1]["content"]
    return " ".join(text.split())[:200]


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8").rstrip()
