"""What can be known to be wrong before a model is loaded: the data, the reward server, the place to write to."""

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx

from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.config.run_file import NotReadyError, RunFileError
from grpo_trainer.config.run_place import nearest, sentence
from grpo_trainer.config.run_size import REAL
from grpo_trainer.examination import hub_failure
from grpo_trainer.examination.finding import Finding, warn
from grpo_trainer.imputation.refusal import refusal
from grpo_trainer.record.ledger import holds_a_run
from guerdon.client import RewardClient, RewardServerError, Unreachable
from guerdon.messages import RewardInfo
from long_work.command_error import CommandError

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Ready:
    """A run that can start: its settings, its rows (train, validation), its rewards as served, where it writes."""

    name: str
    config: RunConfig
    out: Path
    rows: tuple[Rows, Rows]
    served: dict[str, RewardInfo]
    token: str | None
    resume: bool
    size: str = REAL
    resume_changed: bool = False


DEFAULT_VARIABLE = "GUERDON_REWARD_TOKEN"
"""Where the reward server takes its token from: on one machine, or in one compose file, nothing is said twice."""
SILENCE_S = 3.0
"""How long a reward server may not answer at all before it is said. One that answers is asked for a step's deadline."""


def load_rows(config: RunConfig) -> tuple[Rows, Rows]:
    """Return the dataset's (train, validation) rows, with prompts as the policy takes them.

    Raises:
        NotReadyError: it comes from a hub that does not answer.
        RunFileError: the dataset refuses its settings, or has no rows.
    """
    datasets = import_module("grpo_trainer.datasets")
    with hub_failure.told(f"[dataset] {config.dataset.name}", OSError, TypeError, ValueError, CommandError):
        train, validation = datasets.load(config.dataset.name, **config.dataset.settings)
    if not train:
        raise RunFileError(f"[dataset] {config.dataset.name} has no training rows with these settings.")
    return [_prompted(row, config) for row in train], [_prompted(row, config) for row in validation]


def served_rewards(config: RunConfig) -> dict[str, RewardInfo]:
    """Return what the server says about each reward of the run.

    Raises:
        NotReadyError: it cannot be reached, or cannot answer now.
        RunFileError: it does not serve one of them, or does not say which it serves.
    """
    url = config.services.reward_url
    try:
        with RewardClient(url, token(config), SILENCE_S) as client:
            served = {info.name: info for info in client.rewards(config.services.deadline_s)}
    except (Unreachable, httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotReadyError(
            f"no reward server answers at {url} ({error or type(error).__name__}). Start one with `guerdon up`, or "
            "name another with --reward-url."
        ) from error
    except RewardServerError as error:
        raise RunFileError(f"{url} does not say which rewards it serves: {error}.") from error
    if unknown := [name for name in config.weights if name not in served]:
        known = ", ".join(sorted(served))
        said = sentence(f"{url} serves no reward {unknown[0]!r}{nearest(unknown[0], served)}")
        raise RunFileError(f"{said} It serves: {known}.")
    scopes = {name: info.scope for name, info in served.items()}
    if config.imputed is not None and (why := refusal(config.imputed, scopes)):
        raise RunFileError(sentence(why))
    return {name: served[name] for name in config.weights}


def token(config: RunConfig) -> str | None:
    """Return the reward server's token from the environment.

    Raises:
        RunFileError: the run names a variable that is not set.
    """
    variable = config.services.token_env
    if variable is None:
        return os.environ.get(DEFAULT_VARIABLE)
    if not os.environ.get(variable):
        raise RunFileError(f"[services] token_env names {variable}, which is not set in the environment.")
    return os.environ[variable]


def output_folder(config: RunConfig, name: str, *, resume: bool) -> Path:
    """Return the run's directory.

    Raises:
        RunFileError: it holds a run that is not to be resumed, holds none to resume, or cannot be written.
    """
    folder = config.output.folder(name)
    if holds_a_run(folder) and not resume:
        raise RunFileError(f"{folder} holds a run already. Add --resume to go on with it, or choose another --out.")
    if resume and not holds_a_run(folder):
        raise RunFileError(f"{folder} holds no run to go on with; --resume needs --out with a run's directory.")
    if not is_first_rank():
        return folder  # the ranks will agree on the first one's
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as error:
        raise RunFileError(f"the output directory {folder} cannot be written: {error.strerror}.") from error
    return folder


def existing(folder: Path) -> Path:
    """Return the directory itself, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def warnings_of_served(ready: Ready) -> list[Finding]:
    """Return which served reward is used in a way that undoes what it is for."""
    found = []
    for name, info in ready.served.items():
        set_level = info.kind == "polychromic" and info.settings.get("objective", "polychromic") == "polychromic"
        if set_level and ready.config.grpo.get("scale_rewards") != "none":
            said = (
                f"{name} is an advantage of sets already: dividing it by each group's spread makes a set with little "
                'to choose count as much as one with much. Set grpo.scale_rewards = "none".'
            )
            found.append(warn("rewards", said))
    return found


def is_first_rank() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _prompted(row: dict[str, Any], config: RunConfig) -> dict[str, Any]:
    prompt = row.get("prompt")
    if config.policy.prompt == "plain" and not isinstance(prompt, str):
        raise RunFileError('[policy] prompt = "plain" needs prompts that are text; this dataset has chat messages.')
    if config.policy.prompt == "chat" and isinstance(prompt, str):
        return row | {"prompt": [{"role": "user", "content": prompt}]}
    return row
