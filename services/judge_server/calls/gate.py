"""Whether a judge is asked at all: not while its server has said that nobody need come back soon."""

import time
from collections.abc import Callable

from judge_server.llm import CallFailed

NO_QUOTA_S = 30.0
"""So long an account with nothing left to spend is not asked again."""
LONGEST_S = 600.0
"""Whatever a server says, a call every ten minutes finds out whether it still holds."""


class Gate:
    """Closed for calls that have not been sent, so that one of them hears of it and not each of thousands.

    Args:
        max_wait_s: shorter waits are waited, and close nothing.
    """

    def __init__(self, max_wait_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_wait_s, self._clock = max_wait_s, clock
        self._closed_until = 0.0
        self._failure: CallFailed | None = None

    def heard(self, failure: CallFailed) -> None:
        """Take note of why a call failed; a failure that concerns every other call as well closes the gate."""
        if failure.status != "judge_quota":
            return
        if not failure.retriable:
            self._close(failure, NO_QUOTA_S)
        elif failure.retry_after_s is not None and failure.retry_after_s > self._max_wait_s:
            self._close(failure, min(failure.retry_after_s, LONGEST_S))

    def check(self) -> None:
        """Let a call through.

        Raises:
            CallFailed: as the call failed that closed the gate; nothing was sent.
        """
        left_s = self._closed_until - self._clock()
        if self._failure is not None and left_s > 0:
            why = f"{self._failure.reason}; it is not asked again for {left_s:.0f} s"
            raise CallFailed(self._failure.status, why, retry_after_s=left_s)

    def _close(self, failure: CallFailed, seconds: float) -> None:
        self._failure, self._closed_until = failure, max(self._closed_until, self._clock() + seconds)
