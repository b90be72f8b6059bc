"""Ask a judge server for verdicts and grades, under the same rule for when to ask again as of rewards."""

import math
from typing import Any

from guerdon.connection import GRACE_S, Ask, AsyncConnection, Connection, posting
from guerdon.judge_messages import (
    Budget,
    BudgetList,
    CompareRequest,
    CompareResponse,
    GradeRequest,
    GradeResponse,
    JudgeInfo,
    JudgeList,
)

URL = "http://127.0.0.1:8001"
LOOK_S = 10.0
"""How long the client tries to learn what a server has: its judges, their budgets."""


class JudgeClient(Connection):
    """A blocking client of one judge server, for many threads. Use it as a context manager, or close() it."""

    def __init__(self, url: str = URL, token: str | None = None, patience_s: float = math.inf) -> None:
        super().__init__(url, token, patience_s)

    def compare(self, request: CompareRequest) -> CompareResponse:
        """Have every pair of the request compared; failed ones are null in the answer, never an exception.

        Raises:
            Refused: the request itself is wrong (unknown judge, malformed comparison, no token).
            Unreachable: no server answered before the deadline.
            Unreadable: what answered is no judge server.
        """
        return self._asked("/v1/compare", CompareResponse, request.deadline_s, posting("/v1/compare", request))

    def grade(self, request: GradeRequest) -> GradeResponse:
        """Have every answer of the request graded; raises as `compare` does."""
        return self._asked("/v1/grade", GradeResponse, request.deadline_s, posting("/v1/grade", request))

    def judges(self) -> list[JudgeInfo]:
        """Return the judges that are configured; raises as `compare` does."""
        return self._asked("/v1/judges", JudgeList, LOOK_S, _look("/v1/judges")).judges

    def budget(self, run: str | None = None) -> list[Budget]:
        """Return what every judge has spent, or what one run has with each; raises as `compare` does."""
        return self._asked("/v1/budget", BudgetList, LOOK_S, _look("/v1/budget", run)).budgets


class AsyncJudgeClient(AsyncConnection):
    """The same for asyncio. Use it as an async context manager, or await aclose()."""

    def __init__(self, url: str = URL, token: str | None = None, patience_s: float = math.inf) -> None:
        super().__init__(url, token, patience_s)

    async def compare(self, request: CompareRequest) -> CompareResponse:
        """Have every pair of the request compared, as JudgeClient.compare does."""
        return await self._asked("/v1/compare", CompareResponse, request.deadline_s, posting("/v1/compare", request))

    async def grade(self, request: GradeRequest) -> GradeResponse:
        """Have every answer of the request graded, as JudgeClient.grade does."""
        return await self._asked("/v1/grade", GradeResponse, request.deadline_s, posting("/v1/grade", request))

    async def judges(self) -> list[JudgeInfo]:
        """Return the judges that are configured."""
        return (await self._asked("/v1/judges", JudgeList, LOOK_S, _look("/v1/judges"))).judges

    async def budget(self, run: str | None = None) -> list[Budget]:
        """Return what every judge has spent, or what one run has with each."""
        return (await self._asked("/v1/budget", BudgetList, LOOK_S, _look("/v1/budget", run))).budgets


def _look(path: str, run: str | None = None) -> Ask:
    asked: dict[str, Any] = {"method": "GET", "url": path, "timeout": GRACE_S}
    return lambda left_s: asked if run is None else asked | {"params": {"run": run}}
