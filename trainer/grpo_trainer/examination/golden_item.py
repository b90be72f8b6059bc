"""Score one golden item: a completion for a row of the dataset, sent as a training step would send it."""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

from grpo_trainer.config.run_file import NotReadyError, RunFileError
from grpo_trainer.examination.finding import Finding, fail, ok, warn
from grpo_trainer.examination.preflight import Ready, is_first_rank
from guerdon.client import RewardServerError
from guerdon.step_scores import StepScores
from guerdon.trl import RemoteReward

PLACEHOLDER = "The answer is 1."
"""The completion where a row has no text as its reference; any text is one that a policy may write."""

SUBJECT = "golden item"


def scored(ready: Ready) -> list[Finding]:
    """Say what every reward made of one whole group; a failure is shown with its type and its reason."""
    try:
        step = asked(ready)
    except (RewardServerError, ValueError) as error:
        return [fail(SUBJECT, f"the reward server refuses it: {error}")]
    return _found(ready, step)


def asked(ready: Ready) -> StepScores:
    """Ask every reward for the scores of one whole group.

    Raises:
        RewardServerError: the server refuses the request.
        ValueError: the row cannot be sent.
    """
    row = ready.rows[0][0]
    size = int(ready.config.grpo.get("num_generations", 8))
    found: list[StepScores] = []
    reward = RemoteReward(
        ready.config.weights,
        num_generations=size,
        url=ready.config.services.reward_url,
        run=f"{ready.name}-golden",
        attempt=f"{time.time_ns():x}",
        token=ready.token,
        deadline_s=ready.config.services.deadline_s,
        served=ready.served,
        on_scores=found.append,
    )
    columns: dict[str, Any] = {name: [value] * size for name, value in row.items() if name != "prompt"}
    asyncio.run(reward([row["prompt"]] * size, [completion(row)] * size, **columns))
    return found[0]


def require(ready: Ready) -> None:
    """Score a golden item on the first rank, before a run is started.

    A run that goes on whatever fails is only warned of a reward that has no score: one row says little of the others.

    Raises:
        NotReadyError: a reward has no score for it, for a reason that may pass.
        RunFileError: a reward has no score for it, and will have none.
    """
    if not is_first_rank():
        return
    try:
        step = asked(ready)
    except (RewardServerError, ValueError) as error:
        raise RunFileError(f"the reward server refuses a {SUBJECT}: {error}") from error
    found = _found(ready, step)
    for one in found:
        if one.level == "warn":
            print(f"guerdon train: {one.text}", file=sys.stderr)
    if failed := [one.text for one in found if one.level == "fail"]:
        statuses = {score.status for served in step.rewards for score in served.scores if not score.ok}
        kind = NotReadyError if statuses <= PASSING else RunFileError
        raise kind(f"the run's rewards do not answer a {SUBJECT}: {' '.join(failed)}")


def completion(row: dict[str, Any]) -> Any:
    """Return a completion as TRL hands one over: text after a text, a chat message after chat messages."""
    text = row["reference"] if isinstance(row.get("reference"), str) and row["reference"] else PLACEHOLDER
    return text if isinstance(row["prompt"], str) else [{"role": "assistant", "content": text}]


def _found(ready: Ready, step: StepScores) -> list[Finding]:
    lost = warn if ready.config.services.max_failed_share == 1 else fail
    return [_said(step, index, lost) for index in range(len(step.rewards))]


def _said(step: StepScores, index: int, lost_is: Callable[[str, str], Finding]) -> Finding:
    served = step.rewards[index]
    lost = [score for score in served.scores if not score.ok]
    if not lost:
        values = ", ".join(f"{value:.4g}" for value in sorted({s.value for s in served.scores if s.value is not None}))
        return ok(SUBJECT, f"{served.reward} answered {values} in {step.seconds:.2f} s")
    return lost_is(
        SUBJECT,
        f"{served.reward} has no score for {len(lost)} of {len(served.scores)} completions of a row of the dataset: "
        f"{lost[0].status}: {lost[0].error}. {ADVICE.get(lost[0].status, TRY)}",
    )


TRY = "`guerdon rewards check` tries the reward by itself."
ADVICE = {
    "timeout": "Is a worker running? Raise [services] deadline_s if the reward needs longer.",
    "worker_lost": "The worker dies over it; its log says why.",
    "overloaded": "Wait, or give the server more workers.",
    "invalid_input": "The dataset lacks what the reward reads; GET /v1/rewards says what it needs.",
    "judge_budget": "Raise the judge's budget.",
    "judge_quota": "The judge's provider refuses more; wait, or name another judge.",
    "judge_timeout": "The judge's model takes longer than the judge server waits for it; see its log.",
    "judge_transport": "The judge server or its provider does not answer; start it, or see its log.",
}
"""What helps against a failure, by its status."""
PASSING = {"timeout", "worker_lost", "overloaded", "judge_quota", "judge_timeout", "judge_transport"}
"""Failures of a server that is not ready yet, or too busy, e.g. while its models are loaded."""
