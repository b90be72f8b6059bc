"""Datasets by name: each is one module of this folder with a function `load(**settings) -> (train, validation)`."""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from pkgutil import iter_modules
from typing import Any

Rows = list[dict[str, Any]]


def load(name: str, **settings: Any) -> tuple[Rows, Rows]:
    """Return the dataset's (train, validation) rows, each with at least a `prompt`.

    Raises:
        ValueError: there is no such dataset, it has no such setting, or it refuses a setting's value.
    """
    if name not in names():
        raise ValueError(f"there is no dataset {name!r}{_known(name, names())}")
    function = import_module(f"{__name__}.{name}").load
    known = list(signature(function).parameters)
    for setting in settings:
        if setting not in known:
            raise ValueError(f"{name} has no setting {setting!r}{_known(setting, known)}")
    train, validation = function(**settings)
    return train, validation


def names() -> list[str]:
    # Not every module is a dataset: what datasets are made of lies beside them, and has no `load`.
    modules = (module.name for module in iter_modules(__path__))
    return sorted(name for name in modules if hasattr(import_module(f"{__name__}.{name}"), "load"))


def _known(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return (f"; did you mean {near[0]!r}? There are: " if near else "; there are: ") + ", ".join(known)
