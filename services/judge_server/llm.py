"""One call to a language model: what is sent, what comes back, and how it can fail. Knows no judge and no money."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from guerdon.messages import Status

Turns = tuple[tuple[str, str], ...]
"""Rendered chat messages: pairs of role and content."""


@dataclass(frozen=True)
class Call:
    """What is sent.

    Attributes:
        turns: the rendered messages.
        max_tokens: of the completion; with the prompt it bounds the cost.
        schema: a JSON schema that the reply should follow, for backends that can constrain it.
        top_logprobs: how many alternatives of each token to report; 0: no log-probabilities.
        sample: distinguishes repeated calls in the ledger; with a seed, it is added to it.
    """

    turns: Turns
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    schema: dict[str, Any] | None = None
    top_logprobs: int = 0
    sample: int = 0


@dataclass(frozen=True)
class TokenLogprob:
    """One token of a completion: its text, log-probability (nats), and the likeliest tokens in its place."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Reply:
    """What came back, whatever it says.

    Attributes:
        text: the content; "" when there is none.
        reasoning: what a reasoning model reported beside its content.
        finish: the server's finish reason: stop, length, content_filter, …
        refusal: the server's own refusal text, where it has one.
        model, fingerprint: as the server reports them.
        prompt_tokens, completion_tokens: as the server reports them; None: it does not.
    """

    text: str
    finish: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    model: str | None = None
    fingerprint: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    logprobs: tuple[TokenLogprob, ...] = field(default=())


class CallFailed(Exception):
    """A call or its reply is of no use.

    Attributes:
        status: what the judgment ends in.
        retriable: whether the same call can succeed when it is sent again.
        retry_after_s: when the server said to come back.
        throttled: the server has too much to do (429): fewer calls at a time.
        sent: whether the server may have worked on it, so that it may have to be paid; False only where that is
            certain (the connection was refused, or the server answered with an error).
    """

    def __init__(
        self,
        status: Status,
        reason: str,
        *,
        retriable: bool = False,
        retry_after_s: float | None = None,
        throttled: bool = False,
        sent: bool = False,
    ) -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason
        self.retriable = retriable
        self.retry_after_s = retry_after_s
        self.throttled = throttled
        self.sent = sent


class Backend(Protocol):
    """Sends calls. One file of `backends/` each; the file's name is the kind's name."""

    async def ask(self, call: Call, timeout_s: float) -> Reply:
        """Send a call once, without any retry of its own.

        Raises:
            CallFailed: no reply came.
        """
        ...

    async def close(self) -> None: ...


Reading = TypeVar("Reading")


@dataclass(frozen=True)
class Outcome(Generic[Reading]):
    """What became of a call: a reading of its reply, or a failure; and what it cost, either way.

    Attributes:
        reply: what came back, if anything did; also when it could not be read.
        attempts: calls that were sent for it: 0 when the ledger had it.
        prompt_tokens, completion_tokens, cost: as reported by the server, of all attempts; 0 for a cached one.
    """

    reading: Reading | None = None
    failure: CallFailed | None = None
    reply: Reply | None = None
    cached: bool = False
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


class Asker(Protocol):
    """Asks one judge on behalf of one request: through ledger, budget, limits and retries."""

    async def ask(self, call: Call, read: Callable[[Reply], Reading]) -> Outcome[Reading]:
        """Return what became of a call; never raises for a failure of the machinery.

        `read` makes sense of a reply, or raises CallFailed: its usage is then booked, and it is never reused.
        """
        ...
