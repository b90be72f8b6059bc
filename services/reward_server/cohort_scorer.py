"""One replica's turn to score a complete group, for all who wait for it anywhere."""

import time
from collections.abc import Awaitable, Callable

import orjson
from redis.exceptions import RedisError

from guerdon.messages import Score
from reward_server.bells import Bell, Bells
from reward_server.boundary import failure
from reward_server.cohort_record import Answer, Cohort, CohortRecords
from reward_server.leased import Lost, leased

ScoreGroup = Callable[[list[bytes], float], Awaitable[list[Score]]]
"""Scores a whole group, its members in the order of their slots, until a Unix time."""


class Scorer:
    """A claim to a group: a lease, renewed while its scores are being computed."""

    def __init__(self, records: CohortRecords, bells: Bells, cohort: Cohort, token: str, score: ScoreGroup) -> None:
        self._records, self._bells, self._cohort = records, bells, cohort
        self._token, self._score = token, score

    async def run(self, answer: Answer) -> None:
        """Score the group and store the result, unless nobody waits for it any more or another replica has taken over.

        Its own deadline is a little before the group's, so that what some members miss is still a result for all.
        """
        left_s = answer.detail / 1000
        ends = time.time() + left_s
        with self._bells.listen(self._cohort.id) as bell:
            scores = self._scores(answer.texts, ends - min(0.25, left_s / 10))
            try:
                result, scored = await leased(scores, self._renewed, bell, self._records.patience.lease_s)
            except Lost:
                return
            await self._store(result, scored, ends, bell)

    async def _scores(self, texts: list[bytes], deadline: float) -> tuple[bytes, bool]:
        """Return the result for all who wait, and whether any member has a score."""
        try:
            scores = await self._score(texts, deadline)
            if len(scores) != len(texts):
                raise ValueError(f"{len(scores)} scores for {len(texts)} members")
            return _result(scores), any(score.ok for score in scores)
        except Exception as error:  # noqa: BLE001 - the boundary: all who wait get the same reason
            return _result([failure(error)] * len(texts)), False

    async def _renewed(self) -> bool:
        return await self._records.renew(self._cohort, self._token)

    async def _store(self, result: bytes, scored: bool, ends: float, bell: Bell) -> None:
        while True:
            try:
                await self._records.store(self._cohort, self._token, result, scored=scored)
                return
            except RedisError:
                if time.time() > ends:
                    return
                await bell.heard(0.2)


def _result(scores: list[Score]) -> bytes:
    told = [score.model_dump(exclude_defaults=True) | {"status": score.status} for score in scores]
    return orjson.dumps({"scores": told})
