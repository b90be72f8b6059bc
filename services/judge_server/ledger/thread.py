"""One thread that alone speaks to the database, and does what waits for it in few statements and one commit."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

log = logging.getLogger("guerdon.judge")

MOST = 256
"""Pieces of work in one transaction."""

Result = TypeVar("Result")


class LedgerUnavailable(Exception):
    """The ledger cannot be read or written now; the message says why, without any row's contents."""


Deed = Callable[[Connection, Sequence[Any]], Sequence[Any]]
"""What is done with many arguments at once; returns a result for each."""


@dataclass(slots=True)
class Work:
    deed: Deed
    argument: Any
    result: "asyncio.Future[Any]"


@dataclass(slots=True)
class Done(Generic[Result]):
    result: "asyncio.Future[Result]"
    value: Result | None = None
    error: Exception | None = None

    def deliver(self) -> None:
        if self.result.done():  # who asked has gone
            return
        if self.error is not None:
            self.result.set_exception(self.error)
        else:
            self.result.set_result(self.value)  # type: ignore[arg-type]  # None is a Result where the deed returns it


class LedgerThread:
    """Runs deeds on one connection. What comes while a transaction is under way shares the next (group commit).

    Within a transaction, deeds are done in the order of `order`, those of one kind together.
    """

    def __init__(self, engine: Engine, order: Sequence[Deed]) -> None:
        self._engine = engine
        self._order = {deed: place for place, deed in enumerate(order)}
        self._loop = asyncio.get_running_loop()
        self._waiting: SimpleQueue[Work | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def post(self, deed: Deed, argument: Any) -> "asyncio.Future[Any]":
        """Have something done; the future, which need not be awaited, may raise LedgerUnavailable."""
        result: asyncio.Future[Any] = self._loop.create_future()
        result.add_done_callback(_noticed)
        self._waiting.put(Work(deed, argument, result))
        return result

    async def close(self) -> None:
        """Do what is waiting, then end."""
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        going = True
        while going:
            works = [self._waiting.get()]
            try:
                while len(works) < MOST:
                    works.append(self._waiting.get_nowait())
            except Empty:
                pass
            going = None not in works
            self._deliver(self._done([work for work in works if work is not None]))
        self._engine.dispose()

    def _deliver(self, done: list[Done[Any]]) -> None:
        try:
            self._loop.call_soon_threadsafe(_deliver, done)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.debug("the loop ended before the ledger did")

    def _done(self, works: list[Work]) -> list[Done[Any]]:
        """Do everything in one transaction; where that fails, each in its own, so that one bad row fails alone.

        But what is wrong with the database itself (locked, full, away) is so for all of them, and may take its time.
        """
        try:
            with self._engine.begin() as connection:
                return self._all(connection, works)
        except Exception as error:  # noqa: BLE001 - the boundary of the thread: who waits must hear of it
            if len(works) > 1 and not isinstance(error, OperationalError):
                return [done for work in works for done in self._done([work])]
            return [Done(work.result, error=_named(error)) for work in works]

    def _all(self, connection: Connection, works: list[Work]) -> list[Done[Any]]:
        kinds: dict[Deed, list[Work]] = {}
        for work in works:
            kinds.setdefault(work.deed, []).append(work)
        done: list[Done[Any]] = []
        for deed in sorted(kinds, key=lambda deed: self._order.get(deed, len(self._order))):
            values = deed(connection, [work.argument for work in kinds[deed]])
            done += [Done(work.result, value) for work, value in zip(kinds[deed], values, strict=True)]
        return done


def _deliver(done: list[Done[Any]]) -> None:
    for one in done:
        one.deliver()


def _named(error: Exception) -> Exception:
    if not isinstance(error, SQLAlchemyError):
        return error
    cause = str(getattr(error, "orig", None) or type(error).__name__).partition("\n")[0]  # the rest quotes the row
    return LedgerUnavailable(cause)


def _noticed(result: "asyncio.Future[Any]") -> None:
    """Look at the exception of a future that nobody awaits, lest asyncio complain with its contents."""
    if not result.cancelled():
        result.exception()
