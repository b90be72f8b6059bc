"""When to ask again, and what to raise when asking again cannot help."""

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx

RETRIED = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that another attempt can change. Everything else says the request itself is wrong."""
FAULT_PATIENCE_S = 180.0
"""How long a server is asked again that answers with a fault of its own: it is hardly mended by the next attempt."""


class ServerError(RuntimeError):
    """No answer came back, neither scores nor verdicts; the message says why."""


RewardServerError = ServerError
"""Its name where rewards are asked for."""


class Refused(ServerError):
    """The server understood the request and refuses it; asking again changes nothing.

    Attributes:
        status_code: the HTTP status, e.g. 422 for an unknown reward or judge.
    """

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code


class Unreadable(ServerError):
    """An answer came that is none of this contract: a proxy's page, or another version of the server."""


class Unreachable(ServerError):
    """The server could not be reached, or did not admit the request, before the deadline."""


@dataclass
class Attempts:
    """The retry rule: wait 0.1 s, doubled up to 5 s with jitter, or what Retry-After says, until the deadline.

    Both servers keep what they have found under its content: asking twice neither changes an answer nor pays for it
    again.

    Attributes:
        patience_s: a server that has not answered at all for so long is given up before the deadline.
        fault_patience_s: so is one that answers with faults: 5xx, but not 503 with a Retry-After, its word that it
            will answer.
        silent_since: when the connection failed first, of the failures that have no answer between them.
        faulty_since: when the first fault came, of those that have no better answer between them.
    """

    url: str
    deadline_s: float
    clock: Callable[[], float] = time.monotonic
    patience_s: float = math.inf
    fault_patience_s: float = FAULT_PATIENCE_S
    tried: int = 0
    started: float = field(init=False)
    silent_since: float | None = None
    faulty_since: float | None = None

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def left_s(self) -> float:
        return self.deadline_s - (self.clock() - self.started)

    def wait_s(self, outcome: httpx.Response | httpx.RequestError) -> float:
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
        self._note(outcome)
        left_s, given_s = min(self._limits())
        if wait >= left_s:
            last = f"{type(outcome).__name__}: {outcome}"
            if isinstance(outcome, httpx.Response):
                last = f"{outcome.status_code}: {reason(outcome)}"
            raise Unreachable(f"{self.url}: no answer in {given_s:g} s ({self.tried} attempts); last: {last}")
        return wait

    def _note(self, outcome: httpx.Response | httpx.RequestError) -> None:
        now = self.clock()
        if not isinstance(outcome, httpx.Response):
            self.silent_since = now if self.silent_since is None else self.silent_since
            return
        self.silent_since = None
        if not is_fault(outcome):
            self.faulty_since = None
        elif self.faulty_since is None:
            self.faulty_since = now

    def _limits(self) -> Iterator[tuple[float, float]]:
        """Yield what is left of the deadline and of each patience that is being tried, and how much there was."""
        now = self.clock()
        yield self.left_s, self.deadline_s
        if self.silent_since is not None:
            yield self.patience_s - (now - self.silent_since), self.patience_s
        if self.faulty_since is not None:
            yield self.fault_patience_s - (now - self.faulty_since), self.fault_patience_s


def is_fault(response: httpx.Response) -> bool:
    """Whether the server failed, and not merely put off the caller."""
    put_off = response.status_code == 503 and "retry-after" in response.headers
    return response.status_code >= 500 and not put_off


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
