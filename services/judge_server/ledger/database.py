"""Where the ledger is: a SQLite file that one process has to itself, or a PostgreSQL database."""

import fcntl
import os
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import SingletonThreadPool

from judge_server.judges import ConfigError

DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
"""What a URL may begin with, and the driver that is used for it."""
LOCKED_S = 2.0
"""How long another process that writes to the SQLite file is waited for; every call waits with it."""


def address(where: str) -> URL:
    """Return the URL of a file or database.

    Raises:
        ConfigError: it is neither, or a database of another kind.
    """
    if "://" not in where:
        return URL.create("sqlite", database=where)
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):  # its message may quote a password
        raise ConfigError(
            "GUERDON_JUDGE_LEDGER is neither a file nor the URL of a database, like postgresql://user@host:5432/name"
        ) from None
    if url.drivername not in DRIVERS:
        raise ConfigError(f"the ledger cannot be a {url.drivername} database; a SQLite file, or postgresql://…")
    return url.set(drivername=DRIVERS[url.drivername])


def locked(database: str | None) -> IO[str] | None:
    """Lock a SQLite file until what is returned is closed; what is not a file needs no lock.

    Raises:
        ConfigError: another process has it, or it cannot be opened.
    """
    if not database or database == ":memory:":
        return None
    path = Path(f"{database}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("a+")
    except OSError as error:
        raise ConfigError(f"the ledger {database} cannot be opened: {error.strerror} ({path})") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        owner = lock.read().strip()
        lock.close()
        raise ConfigError(
            f"the ledger {database} is in use by process {owner or 'unknown'}: stop that, or set GUERDON_JUDGE_LEDGER "
            "to another file; several servers share a PostgreSQL database (postgresql://…)"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def engine_of(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True, hide_parameters=True)
    engine = create_engine(url, poolclass=SingletonThreadPool, hide_parameters=True, connect_args={"timeout": LOCKED_S})

    @event.listens_for(engine, "connect")
    def _tune(connection: Any, _record: Any) -> None:
        # Committed rows survive the death of the process; only a loss of power can take the last of them.
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")

    return engine
