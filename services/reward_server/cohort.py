"""Join the members of one group that arrive in several requests, perhaps at several replicas, and score it once."""

import asyncio
import time
import uuid
from collections.abc import Mapping
from typing import Any

import orjson
from redis.exceptions import RedisError

from guerdon.messages import Score
from http_face.refused import Unavailable
from reward_server.bells import Bell, Bells
from reward_server.cohort_record import Answer, Cohort, CohortRecords, Patience
from reward_server.cohort_scorer import ScoreGroup, Scorer
from reward_server.round_trips import RoundTrips


class Cohorts:
    """The groups that this process waits for. All state that matters is in Redis.

    Members join a group by its id. Whoever finds it complete scores it, under a lease; everybody who waits gets the
    same result. The group's deadline is the earliest of those who wait for it: if members are missing then, all of
    them get `cohort_incomplete`.

    Args:
        trips: the way to Redis.
        reply_to: the Redis list on which this process gets notices; each of them goes to `hear`.
        max_bytes: the members' texts that this process may hold in Redis.
    """

    def __init__(
        self, trips: RoundTrips, reply_to: str, max_bytes: int = 128 << 20, patience: Patience | None = None
    ) -> None:
        self.bells = Bells()
        self.records = CohortRecords(trips, reply_to, patience or Patience())
        self._max_bytes, self._bytes = max_bytes, 0
        self._scoring: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many groups somebody in this process waits for."""
        return len(self.bells)

    def hear(self, notice: dict[str, Any]) -> None:
        """Look again at the group that a notice names."""
        self.bells.ring(notice["cohort"])

    async def scores(
        self, cohort: Cohort, members: Mapping[int, bytes], deadline: float, score: ScoreGroup
    ) -> dict[int, Score]:
        """Bring members in, by slot, and return their scores, at `deadline` (Unix time) at the latest.

        Args:
            score: called if it is this process that scores the group.

        Raises:
            Unavailable: Redis is away, or too much waits here already; no member was brought in.
        """
        if deadline <= time.time():  # joining would end the group for those who still have time
            late = Score.failed("timeout", "the deadline had passed before the group was asked for")
            return dict.fromkeys(members, late)
        size = sum(map(len, members.values()))
        if self._bytes and self._bytes + size > self._max_bytes:
            raise Unavailable(f"{self._bytes} bytes of members wait for their groups already")
        self._bytes += size
        try:
            with self.bells.listen(cohort.id) as bell:
                return await Waiter(self, cohort, members, deadline, score, bell).scores()
        finally:
            self._bytes -= size

    def start_scoring(self, cohort: Cohort, token: str, answer: Answer, score: ScoreGroup) -> None:
        """Score a group for all who wait for it, whoever of them leaves meanwhile."""
        scorer = Scorer(self.records, self.bells, cohort, token, score)
        task = asyncio.create_task(scorer.run(answer), name="cohort")
        self._scoring.add(task)
        task.add_done_callback(self._scoring.discard)

    async def close(self) -> None:
        """Let go: other replicas take over what is being scored here."""
        for task in self._scoring:
            task.cancel()
        await asyncio.gather(*self._scoring, return_exceptions=True)


class Waiter:
    """One request's members of one group, until the group's result is known."""

    def __init__(
        self,
        cohorts: Cohorts,
        cohort: Cohort,
        members: Mapping[int, bytes],
        deadline: float,
        score: ScoreGroup,
        bell: Bell,
    ) -> None:
        self._cohorts, self._cohort, self._members = cohorts, cohort, members
        self._deadline, self._score, self._bell = deadline, score, bell
        self._id, self._taken = uuid.uuid4().hex, frozenset[int]()

    async def scores(self) -> dict[int, Score]:
        answer: Answer | None = None
        try:
            answer = await self._joined()
            while answer.what != "done" and len(self._taken) < len(self._members):
                answer = await self._looked()
            return self._settled(answer)
        except RedisError as error:
            raise Unavailable(f"Redis does not answer: {type(error).__name__}") from error
        finally:
            if answer is None or answer.what != "done":
                self._leave()

    def _leave(self) -> None:
        self._cohorts.records.leave(self._cohort, self._id)
        self._cohorts.bells.ring(self._cohort.id)  # who scores the group for nobody finds out now

    @property
    def _left_s(self) -> float:
        return self._deadline - time.time()

    async def _joined(self) -> Answer:
        token = uuid.uuid4().hex
        records = self._cohorts.records
        answer = await records.join(self._cohort, self._id, token, self._left_s, self._members)
        self._taken = answer.taken
        if answer.what == "size":
            other = f"this request gives the group {self._cohort.size} members, another one {int(answer.detail)}"
            return _ended("invalid_input", other)
        return self._scoring(answer, token)

    async def _looked(self) -> Answer:
        """Wait for a notice, a while, or the deadline; then see how things stand."""
        await self._bell.heard(min(self._cohorts.records.patience.sweep_s, self._left_s))
        late = self._left_s <= 0
        token = uuid.uuid4().hex
        try:
            answer = await self._cohorts.records.look(self._cohort, self._id, token, late)
            if answer.what == "gone" and late:
                return _ended("timeout", "how the group ended is unknown: Redis has lost it")
            if answer.what == "gone":
                return await self._joined()
        except RedisError as error:
            unknown = f"how the group ended is unknown: Redis does not answer ({type(error).__name__})"
            return _ended("timeout", unknown) if late else Answer("wait")
        return self._scoring(answer, token)

    def _scoring(self, answer: Answer, token: str) -> Answer:
        if answer.what == "score":
            self._cohorts.start_scoring(self._cohort, token, answer, self._score)
        return answer

    def _settled(self, answer: Answer) -> dict[int, Score]:
        result = orjson.loads(answer.detail) if answer.what == "done" else {}
        return {slot: self._settled_one(slot, result) for slot in self._members}

    def _settled_one(self, slot: int, result: dict[str, Any]) -> Score:
        if slot in self._taken:
            return Score.failed("invalid_input", f"slot {slot} already holds another completion")
        if "scores" in result:
            return Score.model_validate(result["scores"][slot])
        return Score.failed(result["status"], result["error"])


def _ended(status: str, error: str) -> Answer:
    return Answer("done", detail=orjson.dumps({"status": status, "error": error}))
