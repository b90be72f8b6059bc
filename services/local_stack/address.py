"""Where a server listens, and how it is reached there."""

import errno
import secrets
import socket
import sys

from local_stack.failure import StackError

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
PORTS = range(12_000, 30_000)
"""Below those that the kernel gives to outgoing connections, which come and go at any time."""
TRIES = 100

_drawn: dict[int, socket.socket] = {}


def url_of(host: str, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def refuse_taken(host: str, port: int, option: str) -> None:
    """Check that a port can be listened on.

    Raises:
        StackError: it cannot; the message names the command-line option that takes another.
    """
    try:
        # Not left to the server: readiness would then be asked of whatever else is listening there.
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StackError(
                f"port {port} on {host} is in use. Stop what uses it, or take another: {option} {port + 1} "
                f"({option} 0 picks a free one)"
            ) from None
        raise StackError(f"cannot listen on {host} port {port}: {error.strerror}") from None


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port for a server that is yet to start; no second call returns it, in this process or (Linux) another.

    The server has to set SO_REUSEADDR, as nearly all do: the port stays bound here, without listening.

    Raises:
        StackError: none of those tried is free.
    """
    for _ in range(TRIES):
        port = secrets.choice(PORTS)
        if port not in _drawn and (held := _hold(host, port)) is not None:
            _drawn[port] = held
            return port
    raise StackError(f"none of {TRIES} ports between {PORTS[0]} and {PORTS[-1]} on {host} is free")


def _hold(host: str, port: int) -> socket.socket | None:
    """Bind `port` for ourselves alone, then for a server as well; None when somebody has it."""
    holding = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        holding.bind((host, port))
    except OSError as error:
        holding.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    if sys.platform == "linux":
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):  # llama.cpp's server sets the second one only
            holding.setsockopt(socket.SOL_SOCKET, option, 1)
    else:  # elsewhere two cannot be bound at once: the number is remembered, the port let go
        holding.close()
    return holding
