"""Read a run file: find it, apply the command line's overrides, refuse what is wrong and say where."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from grpo_trainer import datasets, grpo_fields
from grpo_trainer.run_config import RunConfig

Place = tuple[str | int, ...]
SHIPPED = files("grpo_trainer") / "runs"
HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?")


class RunFileError(Exception):
    """The run cannot start as it is described; the message is for the person who wrote the file."""


@dataclass(frozen=True)
class RunFile:
    """A run file as it was read. `overrides` are the command line's settings, as (place, value)."""

    name: str
    source: str
    text: str
    overrides: list[tuple[Place, Any]]

    def config(self) -> RunConfig:
        """Return the settings of the run.

        Raises:
            RunFileError: the file is no TOML, or does not describe a run.
        """
        try:
            table = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise RunFileError(f"{self.source} is not valid TOML: {error}.") from None
        for place, value in self.overrides:
            self._put(table, place, value)
        try:
            config = RunConfig.model_validate(table)
        except ValidationError as error:
            raise RunFileError(self._all([(e["loc"], _said(e)) for e in error.errors()])) from None
        if problems := [*_grpo_problems(config), *_name_problems(config)]:
            raise RunFileError(self._all(problems))
        return config

    def _put(self, table: dict[str, Any], place: Place, value: Any) -> None:
        *sections, key = place
        for section in sections:
            table = table.setdefault(str(section), {})
            if not isinstance(table, dict):
                raise RunFileError(f"--set {'.'.join(map(str, place))}: [{section}] of {self.source} is no table.")
        table[str(key)] = value

    def _all(self, problems: list[tuple[Place, str]]) -> str:
        return " ".join(sentence(f"{self._where(place)}{said}") for place, said in problems)

    def _where(self, place: Place) -> str:
        shown = _shown(place)
        if any(place[: len(at)] == at[: len(place)] for at, _ in self.overrides):
            return f"the command line, {shown}: "
        line = line_of(self.text, place)
        return f"{self.source}, {f'line {line}, ' if line else ''}{shown}: "


def read(run: str, overrides: Iterable[tuple[Place, Any]] = ()) -> RunFile:
    """Read the file at path `run`, or the run of that name which ships.

    Raises:
        RunFileError: there is neither.
    """
    path = Path(run)
    if path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RunFileError(f"{run} cannot be read: {error}.") from None
        return RunFile(path.stem, run, text, list(overrides))
    if run in shipped():
        return RunFile(run, f"{run}.toml", (SHIPPED / f"{run}.toml").read_text(encoding="utf-8"), list(overrides))
    names = ", ".join(shipped())
    said = sentence(f"there is no run file {run!r}{nearest(run, shipped())}")
    raise RunFileError(f"{said} Runs that ship: {names}.")


def shipped() -> list[str]:
    return sorted(entry.name.removesuffix(".toml") for entry in SHIPPED.iterdir() if entry.name.endswith(".toml"))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that was probably meant, as the end of a sentence; nothing when none is near."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def sentence(text: str) -> str:
    return text if text.endswith("?") else f"{text}."


def line_of(text: str, place: Place) -> int | None:
    """Return the line, from 1, where `place` is set; else that of the nearest table around it; else None."""
    table: Place = ()
    counts: dict[Place, int] = {}
    best: tuple[int, int] | None = None  # (how much of the place it covers, line)
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.fullmatch(line):
            table = tuple(part.strip(" '\"") for part in header[2].split("."))
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            here = table
        elif key := re.match(r"""\s*(["']?)([\w.-]+)\1\s*=""", line):
            here = (*table, *key[2].split("."))
        else:
            continue
        if here and place[: len(here)] == here and (best is None or len(here) > best[0]):
            best = len(here), number
    return best[1] if best else None


def _shown(place: Place) -> str:
    """Return ("policy", "lora", "r") as `policy.lora.r`, and an index of a list as its number from 1."""
    return ".".join(str(part) if isinstance(part, str) else f"{part + 1}" for part in place)


def _said(error: Mapping[str, Any]) -> str:
    """Return what pydantic found, in this file's words."""
    place, kind = error["loc"], error["type"]
    if kind == "extra_forbidden":
        known = _known_keys(place[:-1])
        return f"unknown key {place[-1]!r}{nearest(str(place[-1]), known) or '; known: ' + ', '.join(known)}"
    if kind == "missing":
        return "missing; a run needs it"
    shown = repr(error["input"])
    return f"{error['msg'][0].lower()}{error['msg'][1:]}, not {shown[:80]}"


def _known_keys(place: Place) -> list[str]:
    model: Any = RunConfig
    for part in place:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            model = next((a for a in getattr(annotation, "__args__", ()) if isinstance(a, type)), annotation)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _grpo_problems(config: RunConfig) -> list[tuple[Place, str]]:
    known = grpo_fields.annotations()
    found: list[tuple[Place, str]] = []
    for name, value in config.grpo.items():
        if name not in known:
            said = f"TRL's GRPOConfig has no field {name!r}{nearest(name, known)}"
            found.append((("grpo", name), said))
        elif said := grpo_fields.problem(name, value) or "":
            found.append((("grpo", name), f"{name} {said}"))
    return found


def _name_problems(config: RunConfig) -> list[tuple[Place, str]]:
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
