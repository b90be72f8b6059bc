"""When to ask again, and what to raise when asking again cannot help."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

RETRIED = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that another attempt can change. Everything else says the request itself is wrong."""


class RewardServerError(RuntimeError):
    """No scores came back; the message says why."""


class Refused(RewardServerError):
    """The server understood the request and refuses it; asking again changes nothing.

    Attributes:
        status_code: the HTTP status, e.g. 422 for an unknown reward.
    """

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code


class Unreadable(RewardServerError):
    """An answer came that is none of this contract: a proxy's page, or another version of the server."""


class Unreachable(RewardServerError):
    """The server could not be reached, or did not admit the request, before the deadline."""


@dataclass
class Attempts:
    """The retry rule: wait 0.1 s, doubled up to 5 s with jitter, or what Retry-After says, until the deadline.

    Scores are keyed by content, so that asking twice never changes an answer.
    """

    url: str
    deadline_s: float
    clock: Callable[[], float] = time.monotonic
    tried: int = 0
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def left_s(self) -> float:
        return self.deadline_s - (self.clock() - self.started)

    def wait_s(self, outcome: httpx.Response | httpx.TransportError) -> float:
        """Return the seconds to wait before the next attempt.

        Raises:
            Refused: another attempt cannot help.
            Unreachable: no time is left for one.
        """
        self.tried += 1
        if isinstance(outcome, httpx.Response) and outcome.status_code not in RETRIED:
            raise Refused(outcome.status_code, f"{self.url} answered {outcome.status_code}: {reason(outcome)}")
        wait: float = min(5.0, 0.1 * 2 ** (self.tried - 1)) * random.uniform(0.5, 1.5)
        if isinstance(outcome, httpx.Response):
            wait = max(wait, retry_after_s(outcome))
        if wait >= self.left_s:
            last = f"{type(outcome).__name__}: {outcome}"
            if isinstance(outcome, httpx.Response):
                last = f"{outcome.status_code}: {reason(outcome)}"
            raise Unreachable(f"{self.url}: no scores in {self.deadline_s:g} s ({self.tried} attempts); last: {last}")
        return wait


def retry_after_s(response: httpx.Response) -> float:
    try:
        return max(0.0, float(response.headers.get("retry-after", 0)))
    except ValueError:  # an HTTP date: no server of ours sends one
        return 0.0


def reason(response: httpx.Response) -> str:
    """Return the server's own words for a refusal, with the fields it names."""
    try:
        body = response.json()
        fields = "; ".join(f"{problem['field']}: {problem['problem']}" for problem in body.get("fields", []))
        return f"{body['error']}{f' ({fields})' if fields else ''}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return response.text[:500]
