"""One served kind at work in a worker: its batcher, and what its messages need."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from guerdon.messages import Score
from reward_server.backlog import Limits, Request
from reward_server.batcher import Batcher, Call, Submission
from reward_server.boundary import Outcome, failure, group_outcomes, out_of_memory, outcomes
from reward_server.catalog import Served
from reward_server.quarantine import Quarantine
from reward_server.rewards import Item, Reward

log = logging.getLogger(__name__)

HUNG_S = 60.0
"""How long after its deadline a message is given up."""

Payload = list[Item]
"""What a call runs at once or not at all: one item, or a whole group."""
Job = tuple[str, dict[str, Any], float]
"""Content id, the fields its kind reads, deadline (Unix time)."""


class Part(NamedTuple):
    """Answers to some of a message's items: (content id, outcome), the tokens they cost, the model's time.

    Attributes:
        last: no others will come.
    """

    outcomes: list[tuple[str, Outcome]]
    tokens: int = 0
    model_s: float = 0.0
    last: bool = False


class Desk:
    """A kind, the batcher that feeds it, and the lock that lets suspects run by themselves.

    Args:
        served: the kind with its settings.
        limits: of one model call.
        call_s: what one should take at most.
        quarantine: shared by all desks of the process.
        watch: called after each model call.
    """

    def __init__(
        self,
        served: Served,
        limits: Limits,
        call_s: float,
        quarantine: Quarantine,
        watch: Callable[[str, Call], None],
    ) -> None:
        self.served = served
        calls = served.kind.calls_at_once()
        # What only waits for others takes no process down: it need neither be alone nor keep a suspect waiting.
        self._company: Callable[[], AbstractContextManager[None]] = quarantine.company if calls == 1 else nullcontext
        self._alone: Callable[[], AbstractContextManager[None]] = quarantine.alone if calls == 1 else nullcontext
        if calls > 1 and served.scope == "group":  # groups of one call are scored one after the other
            limits = limits._replace(tokens=1)
        self.batcher: Batcher[Payload, Outcome] = Batcher(
            self._in_company,
            lambda error: _failed(failure(error)),
            limits,
            call_s,
            lambda call: watch(served.name, call),
            calls=calls,
        )

    def load(self) -> None:
        """Load the kind's model, and batch as it computes: padded or packed."""
        self.served.kind.load()
        self.batcher.limits = self.batcher.limits._replace(packed=not self.served.kind.pads())

    def answer(self, message: dict[str, Any], submitted: Callable[[Submission[Outcome]], None]) -> Iterator[Part]:
        """Yield the answers to a message's items as they come; nothing for those that were too late or dropped.

        Args:
            message: as the publisher wrote it, with deadlines in this machine's time.
            submitted: called with what the batcher was given, so that items can be dropped from it.
        """
        if message["version"] != self.served.version:
            # On our queue by nobody's right: each version has its own. A score of ours is not the one it asks for.
            why = f"this worker serves version {self.served.version}, not {message['version']}"
            refused = _failed(Score.failed("model_error", why))
            yield Part([(one, refused) for one, _, _ in message["jobs"]], last=True)
            return
        requests, broken = self._requests(message)
        if broken:
            yield Part(broken)
        submission = self.batcher.submit(requests)
        submitted(submission)
        # Not for ever: a model that hangs must not keep the message and this thread as well.
        until = max((request.deadline for request in requests), default=0.0) + HUNG_S
        model_s = 0.0
        last = False
        while not last:
            news, last = submission.news(until)
            if not news and not last:
                return  # the model hangs
            done = [(requests[i], submission.results[i]) for i in news]
            answers = [(request.id, result) for request, result in done if result is not None]
            tokens = sum(request.tokens for request, result in done if result is not None)
            yield Part(answers, tokens, submission.model_s - model_s, last)
            model_s = submission.model_s

    def answer_alone(self, message: dict[str, Any], started: Callable[[], None]) -> Iterator[Part]:
        """Run each item by itself, while nothing else runs in this process; `started` is called when it is so."""
        for one, fields, deadline in message["jobs"]:
            with self._alone():
                if deadline > time.time():
                    started()
                    yield Part([(one, self._run_alone(fields))])

    def _run_alone(self, fields: dict[str, Any]) -> Outcome:
        try:
            payload = _payload(fields)
            self.served.kind.prepare(payload)
            [outcome] = self._run([payload])
        except Exception as error:  # noqa: BLE001 - the boundary
            return _failed(failure(error))
        return outcome

    def _in_company(self, payloads: list[Payload]) -> list[Outcome]:
        with self._company():
            return self._run(payloads)

    def _run(self, payloads: list[Payload]) -> list[Outcome]:
        kind = self.served.kind
        if self.served.scope == "group":
            assert isinstance(kind, Reward)
            return group_outcomes(kind, payloads, self._trouble)
        return outcomes(kind, [item for [item] in payloads], self._trouble)

    def _trouble(self, error: Exception) -> None:
        if not out_of_memory(error):
            return
        self.batcher.shrink()
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _requests(self, message: dict[str, Any]) -> tuple[list[Request[Payload]], list[tuple[str, Outcome]]]:
        """Return the jobs to run, and outcomes of those whose kind cannot even tokenise them."""
        requests: list[Request[Payload]] = []
        broken: list[tuple[str, Outcome]] = []
        jobs: list[tuple[Job, Payload]] = []
        now = time.time()
        for job in message["jobs"]:
            if job[2] <= now:  # nobody wants it any more: it shall not even be tokenised
                continue
            try:
                jobs.append((job, _payload(job[1])))
            except Exception as error:  # noqa: BLE001 - the boundary: one bad item fails alone
                broken.append((job[0], _failed(failure(error))))
        self._prepare([payload for _, payload in jobs])
        for (one, _, deadline), payload in jobs:
            try:
                tokens = sum(max(1, int(self.served.kind.tokens(item))) for item in payload)
            except Exception as error:  # noqa: BLE001 - the boundary
                broken.append((one, _failed(failure(error))))
                continue
            requests.append(Request(one, payload, tokens, deadline, message["run"], message["bulk"]))
        return requests, broken

    def _prepare(self, payloads: Sequence[Payload]) -> None:
        """Tokenise all at once; what cannot be is left as it is, for the model's call to fail alone."""
        items = [item for payload in payloads for item in payload]
        with self._company():
            try:
                self.served.kind.prepare(items)
            except Exception:  # noqa: BLE001 - one of them; the others must not suffer
                for item in items:
                    self._prepare_one(item)

    def _prepare_one(self, item: Item) -> None:
        try:
            self.served.kind.prepare([item])
        except Exception as error:  # noqa: BLE001 - it fails again when it is scored, with this reason
            log.debug("an item of %s cannot be prepared: %s", self.served.name, type(error).__name__)


def _payload(fields: dict[str, Any]) -> Payload:
    members = fields.get("members")
    return [Item.from_fields(member) for member in members] if members is not None else [Item.from_fields(fields)]


def _failed(score: Score) -> Outcome:
    return {"status": score.status, "error": score.error}
