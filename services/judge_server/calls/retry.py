"""When a failed call is sent again, and how long is waited before."""

import random

from judge_server.llm import CallFailed

FIRST_S = 0.5
"""The longest first wait; every further one may be twice as long."""


def backoff_s(attempt: int) -> float:
    """Return a wait before the attempt after this one (from 1): exponential, half of it random.

    Of the kind called "equal jitter" (AWS Architecture Blog, 2015): callers that failed together come back apart.
    """
    longest = FIRST_S * 2.0 ** (attempt - 1)
    return longest / 2 + random.uniform(0, longest / 2)


def wait_s(failure: CallFailed, attempt: int, attempts: int, max_wait_s: float, left_s: float) -> float:
    """Return the seconds to wait before a call is sent again.

    Args:
        attempt: how many were made; attempts: how many may be.
        max_wait_s: longer than this nobody waits.
        left_s: time to the deadline.

    Raises:
        CallFailed: it is not sent again; its reason says why, and when to come back where the server said so.
    """
    if not failure.retriable:
        raise failure
    if attempt >= attempts:
        raise _given_up(failure, f"given up after {attempt} attempts" if attempts > 1 else "only one attempt is made")
    asked_s = failure.retry_after_s
    wait = min(backoff_s(attempt), max_wait_s)
    if asked_s is not None:
        if asked_s > max_wait_s:
            raise _given_up(
                failure, f"it says to come back in {asked_s:.0f} s, longer than max_wait_s = {max_wait_s:g}"
            )
        wait = asked_s + random.uniform(0, FIRST_S / 2)  # not all at the same moment
    if wait >= left_s:
        raise _given_up(failure, f"no time for another attempt: {wait:.1f} s to wait, {max(0.0, left_s):.1f} s left")
    return wait


def _given_up(failure: CallFailed, why: str) -> CallFailed:
    return CallFailed(
        failure.status,
        f"{failure.reason}; {why}",
        retriable=True,
        retry_after_s=failure.retry_after_s,
        throttled=failure.throttled,
        sent=failure.sent,
    )
