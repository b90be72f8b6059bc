"""Every contestant's completions, each made once: what an earlier run left is taken over."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from long_work.progress import Progress
from model_evaluation.answers import model_outputs
from model_evaluation.answers.checkpoint import PACKAGE, Checkpoint, downloaded, located
from model_evaluation.answers.completion import Completion
from model_evaluation.answers.completions import Answers, Draw, Draws
from model_evaluation.answers.contestant import Contestant
from model_evaluation.answers.sampling import Sampling
from model_evaluation.content_key import content_key
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.journal import Journal
from model_evaluation.prompts import Prompt

DONE = ("ok", "invalid_input")
"""What is not made again: what there is, and what no run can make."""


def answers(contestant: Contestant, prompts: Sequence[Prompt], sampling: Sampling, out: Path, batch: int) -> Answers:
    """Return a contestant's completions; those that are not in `out` yet are made, and kept there as they come.

    Raises:
        EvaluationError: the model cannot be asked at all.
    """
    if contestant.kind == "outputs":
        path = Path(contestant.source).expanduser()
        facts = {"kind": "outputs", "file": path.name, "sha256_of_outputs": content_key(_texts(contestant, prompts))}
        return Answers(contestant, model_outputs.completions(contestant.source, prompts), facts)
    wanted = [Draw(prompt, sampling) for prompt in prompts]
    return _made(contestant, wanted, Journal(_file(contestant, out)), batch)


def draws(
    contestant: Contestant, prompts: Sequence[Prompt], sampling: Sampling, number: int, out: Path, batch: int
) -> Draws:
    """Return `number` completions of every prompt, drawn with the seeds from the sampling's own on; kept as `answers`.

    Raises:
        EvaluationError: the model cannot be asked at all, or all draws would be alike.
    """
    if contestant.kind == "outputs":
        raise EvaluationError(f"{contestant.name}: a file of outputs holds one completion a prompt; give the model")
    if sampling.temperature == 0 and number > 1:
        raise EvaluationError(f"--temperature 0 is greedy: {number} completions of a prompt would be one and the same")
    wanted = [Draw(prompt, replace(sampling, seed=sampling.seed + one)) for prompt in prompts for one in range(number)]
    made = _made(contestant, wanted, Journal(_file(contestant, out)), batch)
    rows = [made.completions[start : start + number] for start in range(0, len(wanted), number)]
    return Draws(contestant, rows, made.facts)


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
    journal = Journal(_file(contestant, out))
    keys = [_key(identity, Draw(prompt, sampling)) for prompt in prompts]
    missing = journal.missing(dict.fromkeys(keys), DONE)
    return [None if key in missing else _taken(journal, key, one) for key, one in zip(keys, prompts, strict=True)]


def _made(contestant: Contestant, wanted: Sequence[Draw], journal: Journal, batch: int) -> Answers:
    if contestant.kind == "endpoint":
        return asyncio.run(_of_endpoint(contestant, wanted, journal))
    return _of_local(contestant, wanted, journal, batch)


def _of_local(contestant: Contestant, wanted: Sequence[Draw], journal: Journal, batch: int) -> Answers:
    checkpoint = downloaded(located(contestant.source))
    identity = checkpoint.identity
    keys = [_key({"kind": "local", **identity}, draw) for draw in wanted]
    by_key = dict(zip(keys, wanted, strict=True))
    missing = journal.missing(by_key, DONE)
    with Progress(f"{contestant.name}: answers", len(by_key), len(by_key) - len(missing)) as stage:
        if missing:
            _fill(contestant, checkpoint, missing, journal, batch, stage)
    facts = {"kind": "local", "source": contestant.source, "identity": identity, **_loaded_facts(journal, keys)}
    return Answers(contestant, [_taken(journal, key, one.prompt) for key, one in zip(keys, wanted, strict=True)], facts)


def _fill(
    contestant: Contestant,
    checkpoint: Checkpoint,
    missing: Mapping[str, Draw],
    journal: Journal,
    batch: int,
    stage: Progress,
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
        for some in _batches(missing, batch):
            by_prompt = {draw.prompt.id: key for key, draw in some.items()}
            made = model.answers([draw.prompt for draw in some.values()], next(iter(some.values())).sampling)
            journal.append({**one.record(by_prompt[one.prompt_id]), "model": loaded} for one in made)
            stage.advance(len(made))


def _batches(missing: Mapping[str, Draw], batch: int) -> Iterator[dict[str, Draw]]:
    """Yield draws of one seed together, those of like length in one batch, so that little of it is padding."""
    by_seed: defaultdict[Sampling, list[tuple[str, Draw]]] = defaultdict(list)
    for key, draw in missing.items():
        by_seed[draw.sampling].append((key, draw))
    for draws_of_seed in by_seed.values():
        ordered = sorted(draws_of_seed, key=lambda one: len(one[1].prompt.shown))
        yield from (dict(ordered[start : start + batch]) for start in range(0, len(ordered), batch))


async def _of_endpoint(contestant: Contestant, wanted: Sequence[Draw], journal: Journal) -> Answers:
    from model_evaluation.answers.endpoint import Endpoint

    facts = _endpoint_identity(contestant)
    keys = [_key(facts, draw) for draw in wanted]
    by_key = dict(zip(keys, wanted, strict=True))
    missing = journal.missing(by_key, DONE)
    with Progress(f"{contestant.name}: answers", len(by_key), len(by_key) - len(missing)) as stage:
        async with Endpoint(contestant) as endpoint:
            for some in _batches(missing, max(1, len(missing))):
                by_prompt = {draw.prompt.id: key for key, draw in some.items()}
                sampling = next(iter(some.values())).sampling
                async for one in endpoint.answers([draw.prompt for draw in some.values()], sampling):
                    journal.append([one.record(by_prompt[one.prompt_id])])
                    stage.advance()
    return Answers(contestant, [_taken(journal, key, one.prompt) for key, one in zip(keys, wanted, strict=True)], facts)


def _key(identity: dict[str, str], draw: Draw) -> str:
    """Return the key of one completion: another model, prompt or setting is another one."""
    return content_key([identity, draw.prompt.turns, draw.sampling.record()])


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


def _taken(journal: Journal, key: str, prompt: Prompt) -> Completion:
    # The same question with another reference has the same completion.
    record = {name: value for name, value in journal[key].items() if name != "model"}
    return Completion.read(record | {"prompt_id": prompt.id})


def _loaded_facts(journal: Journal, keys: Iterable[str]) -> dict[str, Any]:
    """Return how the model was loaded when it answered, be it by an earlier run."""
    return next((dict(journal[key]["model"]) for key in keys), {})


def _texts(contestant: Contestant, prompts: Sequence[Prompt]) -> list[str]:
    return [one.text or "" for one in model_outputs.completions(contestant.source, prompts)]


def _file(contestant: Contestant, out: Path) -> Path:
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", contestant.name)[-60:]
    return out / "completions" / f"{name}-{content_key(contestant.name)[:6]}.jsonl"
