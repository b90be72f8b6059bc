"""A process per program: no sockets, limits of time, memory and files, namespaces where the kernel allows."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from shutil import which

from model_evaluation.solving.confined import REFUSED
from model_evaluation.solving.confinement import ConfinementError, Limits, Ran

CONFINED = Path(__file__).with_name("confined.py")
NAMESPACES = ("--user", "--map-current-user", "--net", "--ipc", "--pid", "--fork", "--kill-child")
MOST_OUTPUT = 100_000
"""Bytes at the end of what a program wrote that are read."""


class Process:
    """Runs each program in a new process group, in a directory that is removed afterwards."""

    def __init__(self, limits: Limits, why: str) -> None:
        """Try the confinement once.

        Raises:
            ConfinementError: programs could not be kept from the network.
        """
        self._limits, self.why = limits, why
        self._unshare = _unshare()
        if self.run("print(1)").output.strip() != "1":
            raise ConfinementError("a process without network does not start")
        spaces = "network, process and user namespaces of its own" if self._unshare else "no namespaces of its own"
        self.described = (
            f"process: no sockets (seccomp), {spaces}, {limits.memory_mb} MB, {limits.seconds:g} s; it can "
            "read and write the files that you can, so that programs of a stranger's model want a container"
        )

    def run(self, program: str) -> Ran:
        with tempfile.TemporaryDirectory(prefix="guerdon-tests-") as folder:
            place = Path(folder) / "program.py"
            place.write_text(program, encoding="utf-8", errors="backslashreplace")
            limits = (str(max(1, round(self._limits.seconds))), str(self._limits.memory_mb))
            command = [*self._unshare, sys.executable, "-I", "-S", str(CONFINED), *limits, str(place)]
            with (Path(folder) / "output").open("w+b") as output:
                status = self._waited(command, folder, output.fileno())
                output.seek(max(0, output.seek(0, os.SEEK_END) - MOST_OUTPUT))
                said = output.read().decode("utf-8", "replace")
        if status == REFUSED:
            raise ConfinementError(said.strip())
        return Ran(status, said)

    def _waited(self, command: list[str], folder: str, output: int) -> int | None:
        """Return the exit status; None where the time was up. Whatever the program started ends with it."""
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            return process.wait(self._limits.seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _unshare() -> list[str]:
    """Return the command that gives a process namespaces of its own; nothing where the kernel does not."""
    found = which("unshare")
    if found is None:
        return []
    command = [found, *NAMESPACES]
    tried = subprocess.run([*command, sys.executable, "-I", "-S", "-c", ""], capture_output=True, check=False)
    return command if tried.returncode == 0 else []
