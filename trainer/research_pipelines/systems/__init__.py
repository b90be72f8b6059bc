"""The research systems: one file each, whose `stages(plan)` says what is run, in order."""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def names() -> list[str]:
    """Return the systems' names as they are typed, e.g. chat-quality for chat_quality.py."""
    return sorted(module.name.replace("_", "-") for module in iter_modules(__path__))


def system(name: str) -> ModuleType:
    """Return the module of a system; its `name` is one of `names()`."""
    return import_module(f"{__name__}.{name.replace('-', '_')}")


def summary(name: str) -> str:
    """Return the first line of a system's docstring."""
    return (system(name).__doc__ or "").strip().partition("\n")[0]
