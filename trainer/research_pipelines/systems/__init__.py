"""The research systems: one file each, whose `stages(plan)` says what is run, in order."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

HERE = Path(__file__).parent


def names() -> list[str]:
    """Return the systems' names as they are typed, e.g. chat-quality for chat_quality.py."""
    beside = [f.stem for f in HERE.parent.glob("*.py") if "def stages(" in f.read_text()]
    return sorted(name.replace("_", "-") for name in [*beside, *(module.name for module in iter_modules(__path__))])


def system(name: str) -> ModuleType:
    """Return the module of a system; its `name` is one of `names()`."""
    module = name.replace("-", "_")
    if (HERE.parent / f"{module}.py").exists():
        return import_module(f"research_pipelines.{module}")
    return import_module(f"{__name__}.{module}")


def summary(name: str) -> str:
    """Return the first line of a system's docstring."""
    return (system(name).__doc__ or "").strip().partition("\n")[0]
