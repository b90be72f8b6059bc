"""Where a server listens, and how it is reached there."""

import errno
import socket

from local_stack.failure import StackError

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


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
