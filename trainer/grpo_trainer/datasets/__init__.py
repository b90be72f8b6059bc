"""Datasets by name: one module in this folder each, whose `load(**settings)` returns training and validation rows."""

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

Rows = list[dict[str, Any]]
STRICT = ConfigDict(strict=True, allow_inf_nan=False)


def names() -> list[str]:
    return sorted(module.name for module in iter_modules(__path__))


def load(name: str, **settings: Any) -> tuple[Rows, Rows]:
    """Return the dataset's (train, validation) rows; its own `load` says which settings there are and their types.

    Raises:
        ValueError: there is no such dataset or setting, or a setting has another type.
    """
    if name not in names():
        raise ValueError(f"there is no dataset {name!r}; {_known(name, names())}")
    own: Callable[..., tuple[Rows, Rows]] = import_module(f"{__name__}.{name}").load
    known = list(inspect.signature(own).parameters)
    if unknown := [setting for setting in settings if setting not in known]:
        raise ValueError(f"unknown setting {unknown[0]!r}; {_known(unknown[0], known)}")
    return own(**_checked(own, settings))


def _checked(own: Callable[..., Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings, each found to be of the type that the dataset's `load` declares."""
    declared = get_type_hints(own, include_extras=True)
    for name, value in settings.items():
        try:
            TypeAdapter(declared[name], config=STRICT).validate_python(value)
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise ValueError(f"{name}: {said[0].lower()}{said[1:]}, not {value!r}") from None
    return settings


def _known(wrong: str, known: list[str]) -> str:
    close = get_close_matches(wrong, known, n=1, cutoff=0.5)
    return f"{f'did you mean {close[0]!r}? ' if close else ''}known: {', '.join(known)}"
