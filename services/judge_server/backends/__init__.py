"""One file for each kind of judge: a file `x.py` with a function `connect` makes the kind `x` known."""

import pkgutil
from importlib import import_module

from judge_server.judges import ConfigError, Judge
from judge_server.llm import Backend


def kinds() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def connect(judge: Judge) -> Backend:
    """Return what asks a judge; its package is imported only now, because some take a second.

    Raises:
        ConfigError: there is no such kind, or what judges.toml says of the judge makes no sense to it.
    """
    if judge.kind not in kinds():
        raise ConfigError(f"[{judge.name}] kind = {judge.kind!r}: there is no such kind; known: {', '.join(kinds())}")
    backend: Backend = import_module(f"{__name__}.{judge.kind}").connect(judge)
    return backend
