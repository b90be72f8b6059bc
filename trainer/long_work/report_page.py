"""A report as one page that needs no network: one style, and every value as text, never as markup."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any


def rendered(package: str, filters: Mapping[str, Callable[..., str]], **values: Any) -> str:
    """Return templates/report.html of a package, filled in; an unknown name in it is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    style = Markup((files("long_work") / "report_page.css").read_text(encoding="utf-8"))  # noqa: S704 - ours
    return environment.get_template("report.html").render(style=style, **values)
