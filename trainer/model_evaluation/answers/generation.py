"""Every contestant's completions, each made once: what an earlier run left is taken over."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model_evaluation.answers import model_outputs
from model_evaluation.answers.checkpoint import PACKAGE, Checkpoint, downloaded, located
from model_evaluation.answers.completion import Completion
from model_evaluation.answers.contestant import Contestant
from model_evaluation.answers.sampling import Sampling
from model_evaluation.content_key import content_key
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.journal import Journal
from model_evaluation.prompts import Prompt
from model_evaluation.stage import Stage

DONE = ("ok", "invalid_input")
"""What is not made again: what there is, and what no run can make."""


@dataclass(frozen=True)
class Answers:
    """What one contestant said.

    Attributes:
        completions: one a prompt, in the prompts' order.
        facts: what the manifest says about the model: source, hashes, template, type of numbers.
    """

    contestant: Contestant
    completions: list[Completion]
    facts: dict[str, Any]


def answers(contestant: Contestant, prompts: Sequence[Prompt], sampling: Sampling, out: Path, batch: int) -> Answers:
    """Return a contestant's completions; those that are not in `out` yet are made, and kept there as they come.

    Raises:
        EvaluationError: the model cannot be asked at all.
    """
    if contestant.kind == "outputs":
        path = Path(contestant.source).expanduser()
        facts = {"kind": "outputs", "file": path.name, "sha256_of_outputs": content_key(_texts(contestant, prompts))}
        return Answers(contestant, model_outputs.completions(contestant.source, prompts), facts)
    journal = Journal(_file(contestant, out))
    if contestant.kind == "endpoint":
        return asyncio.run(_of_endpoint(contestant, prompts, sampling, journal))
    return _of_local(contestant, prompts, sampling, journal, batch)


def kept(contestant: Contestant, prompts: Sequence[Prompt], sampling: Sampling, out: Path) -> list[Completion | None]:
    """Return the completions that `answers` would not make, None for the others; nothing is loaded or downloaded.

    Raises:
        EvaluationError: there is no such model here, or a file of outputs is not as it should be.
    """
    if contestant.kind == "outputs":
        return list(model_outputs.completions(contestant.source, prompts))
    identity = _endpoint_identity(contestant) if contestant.kind == "endpoint" else _identity_here(contestant)
    if identity is None or not _file(contestant, out).exists():
        return [None] * len(prompts)
    journal, keys = Journal(_file(contestant, out)), _keys(identity, prompts, sampling)
    missing = journal.missing(dict.fromkeys(keys.values()), DONE)
    return [None if keys[prompt.id] in missing else _taken(journal, keys, prompt) for prompt in prompts]


def _of_local(
    contestant: Contestant, prompts: Sequence[Prompt], sampling: Sampling, journal: Journal, batch: int
) -> Answers:
    checkpoint = downloaded(located(contestant.source))
    identity = checkpoint.identity
    keys = _keys({"kind": "local", **identity}, prompts, sampling)
    by_key = {keys[prompt.id]: prompt for prompt in prompts}
    wanted = list(journal.missing(by_key, DONE).values())
    with Stage(f"{contestant.name}: answers", len(by_key), len(by_key) - len(wanted)) as stage:
        if wanted:
            _fill(contestant, checkpoint, wanted, sampling, journal, keys, batch, stage)
    facts = {"kind": "local", "source": contestant.source, "identity": identity, **_loaded_facts(journal, keys)}
    return Answers(contestant, [_taken(journal, keys, prompt) for prompt in prompts], facts)


def _fill(
    contestant: Contestant,
    checkpoint: Checkpoint,
    wanted: Sequence[Prompt],
    sampling: Sampling,
    journal: Journal,
    keys: dict[str, str],
    batch: int,
    stage: Stage,
) -> None:
    try:
        from model_evaluation.answers.language_model import LanguageModel
    except ModuleNotFoundError as error:
        raise EvaluationError(
            f"{contestant.name} is a model on this machine, which needs the package {error.name!r}: "
            "pip install 'guerdon[trainer]'; models behind endpoints and files of outputs do without"
        ) from None
    with LanguageModel(contestant.name, checkpoint) as model:
        loaded = {
            "device": model.device,
            "dtype": str(model.dtype).removeprefix("torch."),
            "own_chat_template": model.has_template,
        }
        # Prompts of like length together, so that little of a batch is padding.
        ordered = sorted(wanted, key=lambda prompt: len(prompt.shown))
        for some in (ordered[start : start + batch] for start in range(0, len(ordered), batch)):
            made = model.answers(some, sampling)
            journal.append({**one.record(keys[one.prompt_id]), "model": loaded} for one in made)
            stage.advance(len(made))


async def _of_endpoint(
    contestant: Contestant, prompts: Sequence[Prompt], sampling: Sampling, journal: Journal
) -> Answers:
    from model_evaluation.answers.endpoint import Endpoint

    facts = _endpoint_identity(contestant)
    keys = _keys(facts, prompts, sampling)
    by_key = {keys[prompt.id]: prompt for prompt in prompts}
    wanted = list(journal.missing(by_key, DONE).values())
    with Stage(f"{contestant.name}: answers", len(by_key), len(by_key) - len(wanted)) as stage:
        async with Endpoint(contestant) as endpoint:
            async for one in endpoint.answers(wanted, sampling):
                journal.append([one.record(keys[one.prompt_id])])
                stage.advance()
    return Answers(contestant, [_taken(journal, keys, prompt) for prompt in prompts], facts)


def _keys(identity: dict[str, str], prompts: Sequence[Prompt], sampling: Sampling) -> dict[str, str]:
    """Return each prompt's key: another model, prompt or setting is another completion."""
    return {prompt.id: content_key([identity, prompt.turns, sampling.record()]) for prompt in prompts}


def _endpoint_identity(contestant: Contestant) -> dict[str, str]:
    return {"kind": "endpoint", "url": contestant.source, "model": contestant.model}


def _identity_here(contestant: Contestant) -> dict[str, str] | None:
    """Return what tells a local model from others; None where it is still to be downloaded."""
    checkpoint = located(contestant.source)
    if not checkpoint.weights.startswith(PACKAGE) and not Path(checkpoint.weights).exists():
        from huggingface_hub import snapshot_download

        folder: str | None = None
        with suppress(OSError, ValueError):
            folder = snapshot_download(checkpoint.weights, local_files_only=True)
        if folder is None:
            return None
        checkpoint = replace(checkpoint, weights=folder)
    return {"kind": "local", **checkpoint.identity}


def _taken(journal: Journal, keys: dict[str, str], prompt: Prompt) -> Completion:
    # The same question with another reference has the same completion.
    record = {name: value for name, value in journal[keys[prompt.id]].items() if name != "model"}
    return Completion.read(record | {"prompt_id": prompt.id})


def _loaded_facts(journal: Journal, keys: dict[str, str]) -> dict[str, Any]:
    """Return how the model was loaded when it answered, be it by an earlier run."""
    return next((dict(journal[key]["model"]) for key in keys.values()), {})


def _texts(contestant: Contestant, prompts: Sequence[Prompt]) -> list[str]:
    return [one.text or "" for one in model_outputs.completions(contestant.source, prompts)]


def _file(contestant: Contestant, out: Path) -> Path:
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", contestant.name)[-60:]
    return out / "completions" / f"{name}-{content_key(contestant.name)[:6]}.jsonl"
