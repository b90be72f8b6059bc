"""The fields of the installed TRL's GRPOConfig, read from its source: importing it would load torch."""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SOURCES = (
    ("transformers", "training_args.py", "TrainingArguments"),
    ("trl", "trainer/base_config.py", "_BaseConfig"),
    ("trl", "trainer/grpo_config.py", "GRPOConfig"),
)
"""GRPOConfig and its bases, the base first."""

PLAIN: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
    "dict": (dict,),
    "list": (list,),
}

OURS = {
    "output_dir": "the run's directory is [output].dir",
    "reward_weights": "the weight of a reward is [[rewards]].weight",
    "logging_steps": "the ledger has one line a step",
    "logging_strategy": "the ledger has one line a step",
    "log_completions": "every completion is in the ledger's rollouts",
    "model_init_kwargs": "the model is described by [policy]",
    "remove_unused_columns": "the rewards read the dataset's columns",
    "trust_remote_code": "a policy's weights are data and never run code",
}
"""Fields that this trainer sets itself, and where a run file says the same thing."""


@cache
def annotations() -> dict[str, str]:
    """Return field name -> type as written in the source, e.g. "float | None".

    Raises:
        ModuleNotFoundError: TRL or transformers is not installed.
    """
    found: dict[str, str] = {}
    for package, file, name in SOURCES:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        tree = ast.parse((Path(spec.origin).parent / file).read_text(encoding="utf-8"))
        body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
        found |= {
            line.target.id: ast.unparse(line.annotation)
            for line in body
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
        }
    return {name: annotation for name, annotation in found.items() if not annotation.startswith("ClassVar")}


def problem(name: str, value: Any) -> str | None:
    """Return why `value` cannot be the field's, or None; types that are no plain Python types are TRL's to check."""
    if name in OURS:
        return f"is set by guerdon train: {OURS[name]}"
    names = [part.split("[")[0].strip(" '") for part in annotations()[name].split("|")]
    if any(part not in PLAIN and part != "None" for part in names):
        return None
    types = tuple(kind for part in names if part != "None" for kind in PLAIN[part])
    is_flag = isinstance(value, bool) and bool not in types  # True is an int to Python, but no batch size
    if is_flag or not isinstance(value, types):
        return f"is {value!r}, a {type(value).__name__}; TRL wants {annotations()[name]}"
    return None
