"""What the API still has to send: cut into messages small enough to share, few enough per run to be fair."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reward_server.catalog import Served

MESSAGE_BYTES = 4 << 20
"""Redis and the worker hold a message whole."""
FIRST_ITEMS = 32
"""Items in a message while nobody knows yet how long they take."""


@dataclass(slots=True, eq=False)
class Pending:
    """One distinct item that a worker owes an answer for, and all who wait for it.

    Attributes:
        content: the canonical JSON of the fields its kind reads.
        deadline: Unix time; the latest of those who wait.
        suspect: it was with a worker that died, and must not share a call again.
        travelling: the id and the trace of the request that asked first, which accompany it to the worker.
        sent_deadline: the deadline it went out with last.
        asked: when it was asked for first, in Unix time.
        message: the number of the message it went out with last.
    """

    served: Served
    id: str
    content: bytes
    deadline: float
    run: str
    bulk: bool
    waits: list[tuple[Any, int]] = field(default_factory=list)
    attempts: int = 0
    suspect: bool = False
    travelling: dict[str, str] = field(default_factory=dict)
    asked: float = field(default_factory=time.time)
    sent_deadline: float = 0.0
    message: int | None = None


class LaneKey(NamedTuple):
    """Items of one lane may share a message."""

    bulk: bool
    suspect: bool
    run: str
    reward: str


@dataclass(slots=True, eq=False)
class Message:
    """Items on their way.

    Attributes:
        sent: when, in Unix time.
        taken_by: the worker that has it; None while it is on the queue, or lost.
        check_at: when to look again whether it got lost.
    """

    number: int
    lane: LaneKey
    jobs: list[Pending]
    sent: float
    taken_by: str | None = None
    check_at: float = 0.0

    def travelling(self) -> list[dict[str, str]]:
        """Return what accompanies the items, each request once."""
        distinct = {tuple(job.travelling.items()): job.travelling for job in self.jobs if job.travelling}
        return list(distinct.values())


@dataclass(slots=True)
class Lane:
    """What one run has to send to one reward; how many of its messages are out; when it last had its turn."""

    jobs: deque[Pending] = field(default_factory=deque)
    out: int = 0
    turn: int = 0


class Outbox:
    """Items by run and reward, and the messages that are out. Its methods may be called from any thread.

    Redis lists are first come, first served; so a run may only have `run_messages` out at a time, per reward, and the
    rest of its items waits here while those of smaller runs pass. Interactive runs come before bulk ones.

    Args:
        message_items: at most this many items in one message.
        message_s: and not more than this much of the model's time.
        run_messages: messages of one run and reward that are out at once.
    """

    def __init__(self, message_items: int, message_s: float, run_messages: int) -> None:
        self._message_items, self._message_s, self._run_messages = message_items, message_s, run_messages
        self._lanes: dict[LaneKey, Lane] = {}
        self._item_s: dict[str, float] = {}
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._closed = False
        self.out: dict[int, Message] = {}

    def put(self, items: Iterable[Pending]) -> None:
        with self._changed:
            for item in items:
                key = LaneKey(item.bulk, item.suspect, item.run, item.served.name)
                lane = self._lanes.get(key)
                if lane is None:
                    lane = self._lanes[key] = Lane()
                lane.jobs.append(item)
                item.message = None
            self._changed.notify()

    def take(self) -> Message | None:
        """Return the next message to publish, waiting for one; None: the outbox is closed."""
        with self._changed:
            while not self._closed:
                if (message := self._next()) is not None:
                    return message
                self._changed.wait()
            return None

    def finish(self, message: Message) -> None:
        """Let go of a message: it was answered, or given up as lost."""
        with self._changed:
            if self.out.pop(message.number, None) is None:
                return
            lane = self._lanes.get(message.lane)
            if lane is not None:
                lane.out -= 1
                self._changed.notify()

    def learn(self, reward: str, items: int, model_s: float) -> float:
        """Take in how long a worker's model took for some items; return the seconds an item takes lately."""
        if items and model_s > 0:
            before = self._item_s.get(reward, model_s / items)
            self._item_s[reward] = 0.8 * before + 0.2 * model_s / items
        return self._item_s.get(reward, 0.0)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _next(self) -> Message | None:
        for key in sorted(self._lanes, key=lambda key: (key.bulk, self._lanes[key].turn)):
            lane = self._lanes[key]
            if lane.jobs and lane.out < self._run_messages:
                jobs = self._cut(lane, 1 if key.suspect else self._size(lane.jobs[0].served))
                if jobs:
                    return self._sent(key, jobs)
            if not lane.jobs and not lane.out:
                del self._lanes[key]
        return None

    def _sent(self, key: LaneKey, jobs: list[Pending]) -> Message:
        message = Message(next(self._numbers), key, jobs, time.time())
        lane = self._lanes[key]
        lane.out, lane.turn = lane.out + 1, message.number
        for job in jobs:
            job.message, job.attempts, job.sent_deadline = message.number, job.attempts + 1, job.deadline
        self.out[message.number] = message
        return message

    def _cut(self, lane: Lane, size: int) -> list[Pending]:
        jobs: list[Pending] = []
        space = MESSAGE_BYTES
        while lane.jobs and len(jobs) < size:
            job = lane.jobs[0]
            if jobs and len(job.content) > space:
                break
            lane.jobs.popleft()
            if job.waits:  # else nobody wants it any more
                jobs.append(job)
                space -= len(job.content)
        return jobs

    def _size(self, served: Served) -> int:
        if served.kind.calls_at_once() > 1:  # there is no model to share; fewer messages wait on a worker's threads
            return self._message_items
        known = self._item_s.get(served.name)
        return min(self._message_items, FIRST_ITEMS if known is None else max(1, int(self._message_s / known)))
