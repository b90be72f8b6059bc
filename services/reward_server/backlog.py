"""What waits for the model: in lanes, so that runs share it fairly, and by length, so that neighbours pad little."""

import heapq
import itertools
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

Payload = TypeVar("Payload")
Owner = TypeVar("Owner")


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
    """One item that waits, and whose it is: the `index`-th of its owner's."""

    request: Request[Payload]
    owner: Owner
    index: int
    gone: bool = False


class Limits(NamedTuple):
    """What one model call may hold: padded tokens, padded/actual tokens, and padded tokens up to which none minds."""

    tokens: int
    padding: float = 1.15
    cheap: int = 0

    def allow(self, count: int, longest: int, total: int) -> bool:
        padded = count * longest
        return padded <= self.tokens and (padded <= self.cheap or padded <= self.padding * total)


class Taken(NamedTuple, Generic[Payload, Owner]):
    """The next call's jobs, and those whose deadline has passed."""

    batch: list[Job[Payload, Owner]]
    expired: list[Job[Payload, Owner]]


@dataclass(slots=True)
class Lane(Generic[Payload, Owner]):
    """The jobs of one run, oldest first, and the tokens the run has been served, as virtual time."""

    served: float
    jobs: deque[Job[Payload, Owner]] = field(default_factory=deque)


class Backlog(Generic[Payload, Owner]):
    """Jobs that wait. Neither thread-safe nor aware of the time: both are its caller's business.

    Each call starts from the oldest job of the run that has been served least (start-time fair queueing, Goyal et al.
    1996; interactive runs before bulk ones) and is filled with the jobs nearest to it in length, whosesoever, while
    the limits allow. Taking a batch costs time in proportion to the batch, however much waits.
    """

    def __init__(self) -> None:
        self._lanes: dict[tuple[bool, str], Lane[Payload, Owner]] = {}
        self._by_length: dict[int, dict[str, list[Job[Payload, Owner]]]] = {}
        self._lengths: list[int] = []
        self._deadlines: list[tuple[float, int, list[Job[Payload, Owner]]]] = []
        self._order = itertools.count()
        self._served = 0.0
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def add(self, jobs: Iterable[Job[Payload, Owner]]) -> None:
        due: dict[float, list[Job[Payload, Owner]]] = {}
        for job in jobs:
            request = job.request
            lane = self._lanes.get((request.bulk, request.run))
            if lane is None:
                lane = self._lanes[request.bulk, request.run] = Lane(self._served)
            lane.jobs.append(job)
            due.setdefault(request.deadline, []).append(job)
            self._waiting += 1
            self._file(job)
        for deadline, some in due.items():
            heapq.heappush(self._deadlines, (deadline, next(self._order), some))

    def take(self, now: float, limits: Limits) -> Taken[Payload, Owner]:
        """Take out the next batch, and what has expired by `now`."""
        expired = self._expired(now)
        first = self._first()
        if first is None:
            return Taken([], expired)
        batch = list(self._around(first.request, limits))
        for job in batch:
            self._lanes[job.request.bulk, job.request.run].served += job.request.tokens
            self._remove(job)
        return Taken(batch, expired)

    def drop(self, unwanted: Callable[[Job[Payload, Owner]], bool]) -> list[Job[Payload, Owner]]:
        """Take out every job that is `unwanted`."""
        dropped = [job for lane in self._lanes.values() for job in lane.jobs if not job.gone and unwanted(job)]
        for job in dropped:
            self._remove(job)
        return dropped

    def _file(self, job: Job[Payload, Owner]) -> None:
        tokens = job.request.tokens
        same = self._by_length.get(tokens)
        if same is None:
            same = self._by_length[tokens] = {}
            insort(self._lengths, tokens)
        same.setdefault(job.request.id, []).append(job)

    def _remove(self, job: Job[Payload, Owner]) -> None:
        job.gone = True
        self._waiting -= 1
        same = self._by_length[job.request.tokens]
        twins = same[job.request.id]
        twins.remove(job)
        if not twins:
            del same[job.request.id]
        if not same:
            del self._by_length[job.request.tokens]
            del self._lengths[bisect_left(self._lengths, job.request.tokens)]

    def _expired(self, now: float) -> list[Job[Payload, Owner]]:
        expired = []
        while self._deadlines and self._deadlines[0][0] <= now:
            expired += [job for job in heapq.heappop(self._deadlines)[2] if not job.gone]
        for job in expired:
            self._remove(job)
        return expired

    def _first(self) -> Job[Payload, Owner] | None:
        """Return the oldest job of the run whose turn it is; forget runs that have none left."""
        while self._lanes:
            key = min(self._lanes, key=lambda key: (key[0], self._lanes[key].served))
            lane = self._lanes[key]
            while lane.jobs and lane.jobs[0].gone:
                lane.jobs.popleft()
            if lane.jobs:
                self._served = max(self._served, lane.served)  # a run that comes later starts here, not at zero
                return lane.jobs[0]
            del self._lanes[key]
        self._deadlines.clear()  # what is left there is gone
        return None

    def _around(self, request: Request[Payload], limits: Limits) -> Iterator[Job[Payload, Owner]]:
        """Yield the jobs of `request`'s content, then those nearest in length while the limits allow."""
        yield from self._by_length[request.tokens][request.id]
        count, longest, total = 1, request.tokens, request.tokens
        closed = False
        for tokens in self._outwards(request.tokens):
            if closed and tokens > longest:
                continue
            for one, twins in self._by_length[tokens].items():
                if one == request.id:
                    continue
                if not limits.allow(count + 1, max(longest, tokens), total + tokens):
                    if tokens <= longest:
                        return
                    closed = True  # to longer ones; shorter ones may still fit
                    break
                count, longest, total = count + 1, max(longest, tokens), total + tokens
                yield from twins

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
