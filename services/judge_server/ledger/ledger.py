"""The verdict ledger: every call that was ever sent, in a database; the cache, the resume point, the account book."""

import asyncio
import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.engine import URL

from judge_server.judges import ConfigError
from judge_server.ledger.database import address, engine_of, locked
from judge_server.ledger.reply_json import load
from judge_server.ledger.tables import calls
from judge_server.ledger.thread import LedgerThread, LedgerUnavailable
from judge_server.llm import Reply

log = logging.getLogger("guerdon.judge")

ANSWER_S = 3.0
"""A ledger that does not answer by then is taken for gone."""
PROBE_S = 1.0
"""So long one answer to whether it can be written holds; every one costs a write."""
GRACE_S = 60.0
"""A call that has been under way for so long beyond its deadline belongs to a server that died."""


@dataclass(frozen=True)
class SentCall:
    """A call about to be sent; fields as in ledger_tables."""

    id: str
    key: str
    judge: str
    kind: str
    base_url: str | None
    run: str | None
    prompt_hash: str
    model: str
    seed: int | None
    sample: int
    prompt_version: str
    reserved_cost: float
    reserved_tokens: int
    created: float
    given_up: float
    state: str = "sent"


@dataclass(frozen=True)
class EndedCall:
    """What became of a call. `cost` None: nobody knows, so it counts as what was reserved for it."""

    call_id: str
    state: str
    finished: float
    latency: float
    status: str
    error: str | None = None
    model_returned: str | None = None
    system_fingerprint: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    reply: str | None = None


@dataclass(frozen=True)
class Sums:
    """What was spent in all: reported by servers, and presumed where no report came."""

    spent_cost: float = 0.0
    spent_tokens: int = 0
    presumed_cost: float = 0.0
    presumed_tokens: int = 0


class Ledger:
    """The ledger of one server. Calls of many coroutines share its statements and commits."""

    def __init__(self, url: URL, lock: IO[str] | None) -> None:
        self._lock = lock  # held for life
        self._thread = LedgerThread(engine_of(url), (_insert, _finish, _find))
        self._probe: asyncio.Task[bool] | None = None
        self._probed = 0.0

    @classmethod
    async def open(cls, where: str, replicas: int = 1) -> "Ledger":
        """Open a SQLite file, or a database by its URL, and bring its tables up to date.

        Calls that a dead server left as sent are presumed to have cost the most they can.

        Raises:
            ConfigError: it cannot be used; the message says why and what would work.
        """
        url = address(where)
        lock = None
        if url.get_backend_name() == "sqlite":
            if replicas > 1:
                raise ConfigError(
                    f"{replicas} replicas cannot share the SQLite ledger {where}: set GUERDON_JUDGE_LEDGER to the "
                    "URL of a PostgreSQL database (postgresql://…)"
                )
            lock = locked(url.database)
        ledger = cls(url, lock)
        try:
            await ledger._thread.post(_migrate, lock is not None)
        except BaseException as error:
            await ledger.close()
            if isinstance(error, LedgerUnavailable):
                raise ConfigError(f"the ledger {url.render_as_string()} cannot be opened: {error}") from error
            raise
        return ledger

    async def find(self, key: str) -> Reply | None:
        """Return the reply to an earlier call with this key that could be read.

        Raises:
            LedgerUnavailable: the database does not say.
        """
        stored: str | None = await self._thread.post(_find, key)
        return None if stored is None else load(stored)

    async def begin(self, call: SentCall) -> None:
        """Note a call before it is sent, so that it survives the death of this process.

        Raises:
            LedgerUnavailable: it is not noted.
        """
        await self._thread.post(_insert, vars(call))

    def finish(self, ended: EndedCall) -> "asyncio.Future[None]":
        """Note what became of a call; awaiting it raises LedgerUnavailable where it is not noted."""
        result = self._thread.post(_finish, vars(ended))
        result.add_done_callback(_complain)
        return result

    async def sums(self, judge: str, run: str | None) -> Sums:
        """Return what a judge has spent, in all or in one run. Raises as `find` does."""
        sums: Sums = await self._thread.post(_sum, (judge, run))
        return sums

    async def answers(self) -> bool:
        """Say whether the database can be written; or could, a moment ago."""
        if self._probe is None or (self._probe.done() and time.monotonic() - self._probed > PROBE_S):
            self._probe = asyncio.create_task(self._writable(), name="probe")
            self._probed = time.monotonic()
        return await asyncio.shield(self._probe)

    async def _writable(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._thread.post(_touch, None)
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer is no
            log.warning("the ledger cannot be written: %s", error or f"no answer within {ANSWER_S:g} s")
            return False
        return True

    async def close(self) -> None:
        if self._probe is not None:
            await self._probe
        await self._thread.close()
        if self._lock is not None:
            self._lock.close()


def _migrate(connection: Connection, arguments: Sequence[bool]) -> Sequence[None]:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "judge_server.ledger:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(f"the ledger was written by a newer judge server: {error}") from error
    now = time.time()
    dead = calls.c.state == "sent"
    if not any(arguments):  # not ours alone: others may be at work
        dead &= calls.c.given_up < now - GRACE_S
    why = "the server died before the call ended"
    connection.execute(
        update(calls).where(dead).values(state="presumed", status="judge_transport", error=why, finished=now)
    )
    return [None] * len(arguments)


def _insert(connection: Connection, rows: Sequence[dict[str, Any]]) -> Sequence[None]:
    connection.execute(INSERT, list(rows))
    return [None] * len(rows)


def _finish(connection: Connection, rows: Sequence[dict[str, Any]]) -> Sequence[None]:
    connection.execute(FINISH, list(rows))
    return [None] * len(rows)


def _find(connection: Connection, keys: Sequence[str]) -> Sequence[str | None]:
    found = {row.key: row.reply for row in connection.execute(FIND, {"keys": list(keys)})}
    return [found.get(key) for key in keys]


def _sum(connection: Connection, whose: Sequence[tuple[str, str | None]]) -> Sequence[Sums]:
    return [_sums_of(connection, judge, run) for judge, run in whose]


def _sums_of(connection: Connection, judge: str, run: str | None) -> Sums:
    one = calls.c.judge == judge
    query = select(
        func.coalesce(func.sum(calls.c.cost), 0.0),
        func.coalesce(func.sum(calls.c.prompt_tokens + calls.c.completion_tokens), 0),
    )
    unknown = select(
        func.coalesce(func.sum(calls.c.reserved_cost), 0.0), func.coalesce(func.sum(calls.c.reserved_tokens), 0)
    ).where(calls.c.cost.is_(None))
    if run is not None:
        one &= calls.c.run == run
    spent_cost, spent_tokens = connection.execute(query.where(one, calls.c.cost.is_not(None))).one()
    presumed_cost, presumed_tokens = connection.execute(unknown.where(one)).one()
    return Sums(float(spent_cost), int(spent_tokens), float(presumed_cost), int(presumed_tokens))


def _touch(connection: Connection, arguments: Sequence[None]) -> Sequence[None]:
    probe = SentCall(uuid.uuid4().hex, "", "", "", None, None, "", "", None, 0, "", 0.0, 0, 0.0, 0.0)
    connection.execute(INSERT, vars(probe))  # a statement that changes nothing would succeed on a full disk
    connection.execute(delete(calls).where(calls.c.id == probe.id))
    return [None] * len(arguments)


def _complain(result: "asyncio.Future[None]") -> None:
    if not result.cancelled() and (error := result.exception()) is not None:
        log.error("a paid call is not in the ledger, and will be paid again: %s", error)


INSERT = insert(calls)
FINISH = (
    update(calls)
    .where(calls.c.id == bindparam("call_id"))
    .values({name: bindparam(name) for name in EndedCall.__dataclass_fields__ if name != "call_id"})
)
FIND = select(calls.c.key, calls.c.reply).where(
    calls.c.key.in_(bindparam("keys", expanding=True)), calls.c.state == "ok", calls.c.reply.is_not(None)
)
