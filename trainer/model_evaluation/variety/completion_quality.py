"""What served rewards say of every completion, each asked once: what an earlier run was told is taken over."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
from pydantic import ValidationError

from guerdon.client import RewardClient, RewardServerError
from guerdon.messages import Item, RewardInfo, Score, ScoreRequest
from long_work.progress import Progress
from model_evaluation.answers.completion import Completion
from model_evaluation.answers.completions import Draws
from model_evaluation.content_key import content_key
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.journal import Journal
from model_evaluation.prompts import Prompt

CHUNK = 64
"""Completions in one request."""
DEADLINE_S = 300.0
DONE = ("ok", "invalid_input")
TOKEN = "GUERDON_REWARD_TOKEN"  # noqa: S105 - the name of the variable
FILE = "quality.jsonl"

Scores = list[list[Score]]
"""A row a prompt, with one score a completion."""


def served(names: Sequence[str], url: str) -> dict[str, RewardInfo]:
    """Return what is known of the rewards that are asked for.

    Raises:
        EvaluationError: the server does not answer, or one of them scores whole groups, or is not served.
    """
    try:
        with RewardClient(url, os.environ.get(TOKEN)) as client:
            known = {info.name: info for info in client.rewards()}
    except (httpx.HTTPError, httpx.InvalidURL, RewardServerError, ValidationError) as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise EvaluationError(f"the reward server at {url} cannot be asked: {said}; `guerdon up` starts one") from None
    for name in names:
        if name not in known:
            raise EvaluationError(f"{url} serves no reward {name!r}; it serves: {', '.join(sorted(known))}")
        if known[name].scope != "item":
            raise EvaluationError(f"--reward {name}: quality is of one completion, and this one scores whole groups")
    return {name: known[name] for name in names}


def scored(
    infos: Mapping[str, RewardInfo], url: str, prompts: Sequence[Prompt], draws: Sequence[Draws], out: Path
) -> dict[str, list[Scores]]:
    """Return each reward's scores of all completions, per reward one table a model, in the order of `draws`.

    A completion that failed has no score, for the reason why it failed.

    Raises:
        EvaluationError: the server refuses what it is asked, or goes away.
    """
    journal, found = Journal(out / FILE), {}
    for name, info in infos.items():
        wanted = {
            _key(info, prompt, one.text): _item(prompt, one.text)
            for made in draws
            for prompt, row in zip(prompts, made.completions, strict=True)
            for one in row
            if one.text is not None
        }
        _fill(info, url, wanted, journal)
        found[name] = [
            [
                [_taken(journal, info, prompt, one) for one in row]
                for prompt, row in zip(prompts, made.completions, strict=True)
            ]
            for made in draws
        ]
    return found


def _fill(info: RewardInfo, url: str, wanted: Mapping[str, Item], journal: Journal) -> None:
    missing = list(journal.missing(wanted, DONE).items())
    with (
        Progress(f"{info.name}: scores", len(wanted), len(wanted) - len(missing)) as stage,
        RewardClient(url, os.environ.get(TOKEN)) as client,
    ):
        for start in range(0, len(missing), CHUNK):
            some = missing[start : start + CHUNK]
            asked = ScoreRequest(rewards=[info.name], items=[item for _, item in some], deadline_s=DEADLINE_S)
            try:
                answer = client.score(asked).rewards[0]
            except RewardServerError as error:
                raise EvaluationError(f"{info.name}: {error}") from None
            if answer.version != info.version:
                raise EvaluationError(f"{info.name} became another version while it was asked; run the command again")
            journal.append(
                {"key": key, **score.model_dump(exclude={"components", "notes"})}
                for (key, _), score in zip(some, answer.scores, strict=True)
            )
            stage.advance(len(some))


def _taken(journal: Journal, info: RewardInfo, prompt: Prompt, one: Completion) -> Score:
    if one.text is None:
        return Score.failed(one.status, one.why_missing)
    return journal.read(_key(info, prompt, one.text), Score)


def _key(info: RewardInfo, prompt: Prompt, text: str) -> str:
    return content_key([info.name, info.version, prompt.turns, prompt.reference, text])


def _item(prompt: Prompt, text: str) -> Item:
    return Item.model_validate({"prompt": prompt.wire, "completion": text, "reference": prompt.reference})
