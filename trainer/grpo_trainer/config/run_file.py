"""Read a run file: find it, lay its size and the command line over it, refuse what is wrong and say where."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from grpo_trainer.config import run_problems, run_size
from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.config.run_place import Place, line_of, nearest, sentence, shown
from grpo_trainer.config.run_size import SizeError, Table
from long_work.command_error import CommandError

SHIPPED = files("grpo_trainer") / "runs"

Problem = tuple[Place, str]


class RunFileError(CommandError):
    """The run cannot start as it is described; the message is for the person who wrote the file."""


class NotReadyError(RunFileError):
    """What the run needs does not answer now; as it is described, it may start later."""


@dataclass(frozen=True)
class RunFile:
    """A run file as it was read. `overrides` are the command line's settings, as (place, value)."""

    name: str
    source: str
    text: str
    overrides: list[tuple[Place, Any]]
    size: str = run_size.REAL

    def config(self) -> RunConfig:
        """Return the settings of the run at its size.

        Raises:
            RunFileError: the file is no TOML, has no such size, or does not describe a run; at another size of the
                file only what is misspelt there is refused.
        """
        try:
            table = tomllib.loads(self.text)
            sizes = run_size.taken(table)
            over = run_size.chosen(self.size, sizes)
        except tomllib.TOMLDecodeError as error:
            raise RunFileError(f"{self.source} is not valid TOML: {error}.") from None
        except SizeError as error:
            raise RunFileError(f"{self.source}: {error}.") from None
        effective = run_size.overlaid(table, over)
        for place, value in self.overrides:
            self._put(effective, place, value)
        config, problems = _checked(effective)
        if problems or config is None:
            raise RunFileError(self._all([(self._said_at(place, over), said) for place, said in problems]))
        if others := [one for name in sizes if name != self.size for one in _misspelt(table, name, sizes[name])]:
            raise RunFileError(self._all(others))
        return config

    def _said_at(self, place: Place, size: Mapping[str, Any]) -> Place:
        """Return where the file says what is at `place`: in its size, or below it."""
        return ("size", self.size, *place) if run_size.says(size, place) and not self._overrides(place) else place

    def _put(self, table: Table, place: Place, value: Any) -> None:
        *sections, key = place
        for section in sections:
            inner = table.get(str(section), {})
            if not isinstance(inner, dict):
                raise RunFileError(f"--set {'.'.join(map(str, place))}: [{section}] of {self.source} is no table.")
            table[str(section)] = table = dict(inner)  # the size's table stays as it was read
        table[str(key)] = value

    def _overrides(self, place: Place) -> bool:
        return any(place[: len(at)] == at[: len(place)] for at, _ in self.overrides)

    def _all(self, problems: list[Problem]) -> str:
        return " ".join(sentence(f"{self._where(place)}{said}") for place, said in problems)

    def _where(self, place: Place) -> str:
        if self._overrides(place):
            return f"the command line, {shown(place)}: "
        line = line_of(self.text, place)
        return f"{self.source}, {f'line {line}, ' if line else ''}{shown(place)}: "


def read(run: str, overrides: Iterable[tuple[Place, Any]] = (), size: str = run_size.REAL) -> RunFile:
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
        return RunFile(path.stem, run, text, list(overrides), size)
    if run in shipped():
        text = (SHIPPED / f"{run}.toml").read_text(encoding="utf-8")
        return RunFile(run, f"{run}.toml", text, list(overrides), size)
    names = ", ".join(shipped())
    said = sentence(f"there is no run file {run!r}{nearest(run, shipped())}")
    raise RunFileError(f"{said} Runs that ship: {names}.")


def shipped() -> list[str]:
    return sorted(entry.name.removesuffix(".toml") for entry in SHIPPED.iterdir() if entry.name.endswith(".toml"))


def _checked(table: Table) -> tuple[RunConfig | None, list[Problem]]:
    try:
        config = RunConfig.model_validate(table)
    except ValidationError as error:
        return None, [(e["loc"], run_problems.said_of(e)) for e in error.errors()]
    found = [run_problems.of_grpo, run_problems.of_names, run_problems.of_shares, run_problems.of_imputation]
    return config, [problem for problems in [*found, run_problems.of_output] for problem in problems(config)]


def _misspelt(table: Table, name: str, size: Table) -> list[Problem]:
    """Return what is wrong inside a size that is not the run's; files that its stages will make need not exist yet."""
    try:
        config = RunConfig.model_validate(run_size.overlaid(table, size))
        problems = run_problems.of_grpo(config)
    except ValidationError as error:
        problems = [(e["loc"], run_problems.said_of(e)) for e in error.errors()]
    return [(("size", name, *place), said) for place, said in problems if run_size.says(size, place)]
