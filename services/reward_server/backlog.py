"""What waits for the model: in an order in which runs share it fairly, and by length, so that neighbours pad little."""

import heapq
import itertools
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

Payload = TypeVar("Payload")
Owner = TypeVar("Owner")

WINDOW = 2
"""Calls' worth of tokens among which neighbours in length are looked for."""


class Request(NamedTuple, Generic[Payload]):
    """One item to run.

    Attributes:
        id: its content id; equal ids have equal results, and equal costs.
        tokens: what it costs the model.
        deadline: Unix time; afterwards nobody wants the result.
        run: whose it is; runs share the model fairly.
        bulk: whether everything that is not bulk goes first.
    """

    id: str
    payload: Payload
    tokens: int
    deadline: float
    run: str = ""
    bulk: bool = False


@dataclass(slots=True, eq=False)
class Job(Generic[Payload, Owner]):
    """One item that waits, and whose it is: the `index`-th of its owner's.

    Attributes:
        near: it stands in the window.
        gone: it has been taken, dropped, or has expired.
    """

    request: Request[Payload]
    owner: Owner
    index: int
    near: bool = False
    gone: bool = False


class Limits(NamedTuple):
    """What one model call may hold.

    Attributes:
        tokens: padded tokens.
        padding: padded/actual tokens.
        cheap: padded tokens up to which nobody minds the padding.
        packed: the model does not pad; a call costs its tokens.
    """

    tokens: int
    padding: float = 1.15
    cheap: int = 0
    packed: bool = False

    def padded(self, count: int, longest: int, total: int) -> int:
        return total if self.packed else count * longest

    def allow(self, count: int, longest: int, total: int) -> bool:
        padded = self.padded(count, longest, total)
        return padded <= self.tokens and (padded <= self.cheap or padded <= self.padding * total)


class Taken(NamedTuple, Generic[Payload, Owner]):
    """The next call's jobs, and those whose deadline has passed."""

    batch: list[Job[Payload, Owner]]
    expired: list[Job[Payload, Owner]]


Tag = tuple[bool, float, int]
"""A job's place: interactive before bulk, then virtual start time, then order of coming."""


class Backlog(Generic[Payload, Owner]):
    """Jobs that wait. Neither thread-safe nor aware of the time: both are its caller's business.

    Runs share the model by start-time fair queueing (Goyal et al. 1996): a job's tag is where its run's last job
    ended, in tokens, or where the model is now if that is later. The jobs with the smallest tags, a few calls' worth,
    stand in the window. A call starts from the first of them and is filled with those nearest to it in length. The
    window bounds how long an item of unusual length is passed over. Taking a batch costs time in proportion to it,
    however much waits.
    """

    def __init__(self) -> None:
        self._ends: dict[tuple[bool, str], float] = {}
        self._now = 0.0
        self._rest: list[tuple[Tag, Job[Payload, Owner]]] = []
        self._order: list[tuple[Tag, Job[Payload, Owner]]] = []
        self._edge: Tag = (False, -1.0, 0)
        self._window = 0
        self._twins: dict[str, list[Job[Payload, Owner]]] = {}
        self._by_length: dict[int, dict[str, int]] = {}
        self._lengths: list[int] = []
        self._deadlines: list[tuple[float, int, list[Job[Payload, Owner]]]] = []
        self._count = itertools.count()
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def add(self, jobs: Iterable[Job[Payload, Owner]]) -> None:
        due: dict[float, list[Job[Payload, Owner]]] = {}
        for job in jobs:
            self._waiting += 1
            self._twins.setdefault(job.request.id, []).append(job)
            tag = self._tag(job.request)
            if tag < self._edge:
                self._enter(tag, job)
            else:
                heapq.heappush(self._rest, (tag, job))
            due.setdefault(job.request.deadline, []).append(job)
        for deadline, some in due.items():
            heapq.heappush(self._deadlines, (deadline, next(self._count), some))

    def take(self, now: float, limits: Limits) -> Taken[Payload, Owner]:
        """Take out the next batch, and what has expired by `now`."""
        expired = self._expired(now)
        self._fill(WINDOW * limits.tokens)
        first = self._first()
        if first is None:
            return Taken([], expired)
        batch = list(self._around(first.request, limits))
        for job in batch:
            self._remove(job)
        return Taken(batch, expired)

    def drop(self, unwanted: Callable[[Job[Payload, Owner]], bool]) -> list[Job[Payload, Owner]]:
        """Take out every job that is `unwanted`."""
        everywhere = (job for _, job in itertools.chain(self._rest, self._order))
        dropped = [job for job in everywhere if not job.gone and unwanted(job)]
        for job in dropped:
            self._remove(job)
        return dropped

    def _tag(self, request: Request[Payload]) -> Tag:
        lane = request.bulk, request.run
        start = max(self._now, self._ends.get(lane, 0.0))
        self._ends[lane] = start + request.tokens
        return request.bulk, start, next(self._count)

    def _fill(self, tokens: int) -> None:
        while self._rest and self._window < tokens:
            tag, job = heapq.heappop(self._rest)
            if not job.gone:
                self._edge = tag
                self._enter(tag, job)

    def _enter(self, tag: Tag, job: Job[Payload, Owner]) -> None:
        """Put a job into the window."""
        heapq.heappush(self._order, (tag, job))
        job.near = True
        tokens = job.request.tokens
        self._window += tokens
        same = self._by_length.get(tokens)
        if same is None:
            same = self._by_length[tokens] = {}
            insort(self._lengths, tokens)
        same[job.request.id] = same.get(job.request.id, 0) + 1

    def _remove(self, job: Job[Payload, Owner]) -> None:
        job.gone = True
        self._waiting -= 1
        if not self._waiting:
            self._ends.clear()  # nobody is owed anything any more
        one, tokens = job.request.id, job.request.tokens
        self._twins[one].remove(job)
        if not self._twins[one]:
            del self._twins[one]
        if not job.near:
            return
        self._window -= tokens
        same = self._by_length[tokens]
        same[one] -= 1
        if not same[one]:
            del same[one]
        if not same:
            del self._by_length[tokens]
            del self._lengths[bisect_left(self._lengths, tokens)]

    def _expired(self, now: float) -> list[Job[Payload, Owner]]:
        expired = []
        while self._deadlines and self._deadlines[0][0] <= now:
            expired += [job for job in heapq.heappop(self._deadlines)[2] if not job.gone]
        for job in expired:
            self._remove(job)
        return expired

    def _first(self) -> Job[Payload, Owner] | None:
        """Return the window's first job; the model's virtual time is its tag."""
        while self._order:
            (_, start, _), job = self._order[0]
            if not job.gone:
                self._now = max(self._now, start)
                return job
            heapq.heappop(self._order)
        self._deadlines.clear()  # what is left there is gone
        self._edge = (False, -1.0, 0)
        return None

    def _around(self, request: Request[Payload], limits: Limits) -> Iterator[Job[Payload, Owner]]:
        """Yield the jobs of `request`'s content, then those nearest in length while the limits allow."""
        yield from self._twins[request.id]
        count, longest, total = 1, request.tokens, request.tokens
        closed = False
        for tokens in self._outwards(request.tokens):
            if closed and tokens > longest:
                continue
            for one in self._by_length[tokens]:
                if one == request.id:
                    continue
                if not limits.allow(count + 1, max(longest, tokens), total + tokens):
                    if tokens <= longest:
                        return
                    closed = True  # to longer ones; shorter ones may still fit
                    break
                count, longest, total = count + 1, max(longest, tokens), total + tokens
                yield from self._twins[one]

    def _outwards(self, target: int) -> Iterator[int]:
        """Yield the waiting lengths, the nearest to `target` first, the shorter of two as near."""
        above = bisect_left(self._lengths, target)
        below = above - 1
        while below >= 0 or above < len(self._lengths):
            up = self._lengths[above] - target if above < len(self._lengths) else float("inf")
            down = target - self._lengths[below] if below >= 0 else float("inf")
            if down <= up:
                yield self._lengths[below]
                below -= 1
            else:
                yield self._lengths[above]
                above += 1
