"""The run that a folder holds, compared with the one that is to go on with it: by what training depends on."""

import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from grpo_trainer.config.effective_settings import leaves
from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.config.run_file import RunFileError
from grpo_trainer.record.ledger import read_manifest
from long_work import written_whole

Manifest = Mapping[str, Any]

NOT_COMPARED = ("output", "services", "liveness", "rewards", "dataset")
"""Where a run writes, whom it asks and when it gives up is not what it is; rewards and rows are compared by content."""
OF_GRPO = (
    "max_steps",
    "num_train_epochs",
    "report_to",
    "run_name",
    "save_steps",
    "save_strategy",
    "save_total_limit",
)
"""Fields of `[grpo]` that may be others too: how long a run is, what it tells and what it keeps."""
ABSENT = "not there"
LONGEST = 100


def require_same(folder: Path, now: Manifest, *, changed: bool) -> None:
    """See that the run in the folder is the one that `now` describes.

    Args:
        now: a manifest, or the part of it that is known so far.
        changed: whether to go on with another run all the same.

    Raises:
        RunFileError: it is another run; the message names each difference.
    """
    found = [] if changed else differences(_manifest(folder), now)
    if found:
        raise RunFileError(
            f"{folder} holds a run that was made otherwise: {'; '.join(found)}. To go on with it, give the run file, "
            "the data and the served rewards as they were; another --out begins a new run; --resume-changed goes on "
            "with this one all the same."
        )


def keep_manifest(folder: Path, now: Manifest) -> Path | None:
    """Copy the folder's manifest to manifest-N.json where the run that goes on is another one; return its place."""
    before = _manifest(folder)
    if before is None or not differences(before, now):
        return None
    place = next(path for number in count(1) if not (path := folder / f"manifest-{number}.json").exists())
    written_whole.text(place, (folder / "manifest.json").read_text(encoding="utf-8"))
    return place


def differences(before: Manifest | None, now: Manifest) -> list[str]:
    """Return what training depends on and is otherwise now, a phrase each; what only one of the two knows is left out.

    A policy and a dataset may lie elsewhere than they did: their content is compared, not their path.
    """
    if before is None:
        return ["nobody knows how: it has no manifest.json"]
    try:
        was = _parts(before)
    except (AttributeError, KeyError, TypeError):
        return ["nobody knows how: its manifest.json is none of a run of `guerdon train`"]
    is_now = _parts(now)
    if "the policy" not in is_now:
        was.pop("the policy", None)
    found = _differ(was, is_now)
    if was.get("the dataset") != is_now.get("the dataset"):
        found += _differ(_of_dataset(before), _of_dataset(now))
    return found


def _differ(was: Mapping[str, str], is_now: Mapping[str, str]) -> list[str]:
    names = [name for name in {**was, **is_now} if was.get(name) != is_now.get(name)]
    return [f"{name} was {was.get(name, ABSENT)} and is {is_now.get(name, ABSENT)}" for name in names]


def _parts(manifest: Manifest) -> dict[str, str]:
    """Return what training depends on: by its name, as text."""
    config = _config(manifest)
    settings = {name: value for name, value in config.items() if name not in NOT_COMPARED}
    found = {place: _shown(value) for place, value in leaves("", settings) if not _may_change(place)}
    terms = {term["name"]: term for term in config["rewards"]}
    for name, reward in manifest["rewards"].items():
        found[f"reward {name}"] = _reward(reward["version"], terms[name])
    rows = manifest["dataset"]
    found["the dataset"] = (
        f"{rows['train_rows']} training rows with the fingerprint {rows['fingerprint'][:12]} and "
        f"{rows['validation_rows']} validation rows"
    )
    found["the number of ranks"] = str(manifest["ranks"])
    if policy := manifest.get("policy"):
        found["the policy"] = (
            f"{policy['parameters']} weights in {policy['dtype']} with the fingerprint {policy['fingerprint'][:12]}"
        )
    return found


def _may_change(place: str) -> bool:
    return place == "policy.model" or place in {f"grpo.{name}" for name in OF_GRPO}


def _reward(version: str, term: Mapping[str, Any]) -> str:
    share = term.get("target_share")
    return f"version {version}, weight {term['weight']:g}" + (f", target_share {share:g}" if share is not None else "")


def _of_dataset(manifest: Manifest) -> dict[str, str]:
    return {place: _shown(value) for place, value in leaves("dataset", _config(manifest)["dataset"])}


def _config(manifest: Manifest) -> dict[str, Any]:
    """Return the settings with the defaults of this version, so that a setting that is new is no difference."""
    config: dict[str, Any] = manifest["config"]
    try:
        return RunConfig.model_validate(config).model_dump()
    except ValidationError:
        return config


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _manifest(folder: Path) -> Manifest | None:
    return read_manifest(folder) if (folder / "manifest.json").exists() else None
