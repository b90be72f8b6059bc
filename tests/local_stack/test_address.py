"""Ports for servers that are yet to start: nobody else is given one, and the server itself can take it."""

import errno
import socket
import subprocess
import sys

import pytest

from local_stack.address import PORTS, free_port

NEIGHBOUR = "import socket, sys; socket.socket().bind(('127.0.0.1', int(sys.argv[1])))"


def test_no_port_is_drawn_twice() -> None:
    drawn = [free_port() for _ in range(200)]
    assert len(set(drawn)) == 200
    assert all(port in PORTS for port in drawn)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port that is held cannot be listened on")
def test_a_drawn_port_is_not_free_to_another_process() -> None:
    neighbour = subprocess.run([sys.executable, "-c", NEIGHBOUR, str(free_port())], capture_output=True, check=False)
    assert f"[Errno {errno.EADDRINUSE}]".encode() in neighbour.stderr


@pytest.mark.parametrize("option", [socket.SO_REUSEADDR, socket.SO_REUSEPORT])
def test_a_server_listens_on_the_port_drawn_for_it(option: int) -> None:
    port = free_port()
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, option, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()


def test_until_a_server_listens_nobody_answers() -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", free_port()))
