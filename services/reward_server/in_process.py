"""The queue without Redis: items go straight to desks like a worker's, in this process."""

import asyncio
from collections.abc import Sequence

import orjson

from reward_server.backlog import Limits
from reward_server.boundary import Outcome
from reward_server.catalog import Served
from reward_server.content import Fields, canonical
from reward_server.desk import Desk
from reward_server.job_queue import Wait
from reward_server.quarantine import Quarantine
from reward_server.settings import Settings


class InProcess:
    """Stands in for JobQueue where a request is answered without API and worker; nothing is cached.

    Models must be loaded before they are asked.
    """

    def __init__(self, settings: Settings) -> None:
        self._limits = Limits(settings.max_batch_tokens, settings.max_padding, settings.cheap_tokens)
        self._call_s = settings.call_s
        self._quarantine = Quarantine()
        self._desks: dict[str, Desk] = {}

    async def outcomes(
        self, served: Served, contents: Sequence[Fields], deadline: float, *, run: str, bulk: bool
    ) -> Wait:
        """Run items as a worker would run a message of them."""
        if served.name not in self._desks:
            self._desks[served.name] = Desk(
                served, self._limits, self._call_s, self._quarantine, lambda name, call: None
            )
        wait = Wait(len(contents))
        answers, tokens = await asyncio.to_thread(_answers, self._desks[served.name], contents, deadline, run, bulk)
        for index, outcome in answers.items():
            wait.settle(index, outcome)
        wait.model_tokens = tokens
        return wait

    def close(self) -> None:
        for desk in self._desks.values():
            desk.batcher.close()


def _answers(
    desk: Desk, contents: Sequence[Fields], deadline: float, run: str, bulk: bool
) -> tuple[dict[int, Outcome], int]:
    """Return outcomes by index, of the items that were in time, and the tokens they cost."""
    jobs = [(str(index), orjson.loads(canonical(fields)), deadline) for index, fields in enumerate(contents)]
    message = {"version": desk.served.version, "jobs": jobs, "run": run, "bulk": bulk}
    parts = list(desk.answer(message, lambda submission: None))
    answers = {int(one): outcome for part in parts for one, outcome in part.outcomes}
    return answers, sum(part.tokens for part in parts)
