"""One process of the stack: how it is started, whether it lives, where its output goes, how it is stopped."""

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from local_stack.leash import leashed
from local_stack.watchdog import Watchdog


@dataclass
class Process:
    """A command with its name, its log file and its additions to our environment."""

    name: str
    command: list[str]
    log: Path | None
    """Where its output goes; None: to the terminal, as ours."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    relays: bool = True
    """Whether warnings in the log are for the terminal too. Valkey's are about the machine, and come at every start."""
    _popen: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _watchdog: Watchdog | None = field(default=None, init=False, repr=False)

    def start(self, watchdog: Watchdog) -> None:
        """Start the command in a session of its own, so that Ctrl-C reaches it through us and in our order."""
        with self.log.open("ab") if self.log else nullcontext() as log:
            self._popen = subprocess.Popen(
                leashed(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT if log else None,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.env},
                start_new_session=True,
            )
        self._watchdog = watchdog
        watchdog.watch(self._popen.pid)

    @property
    def pid(self) -> int | None:
        return self._popen.pid if self._popen else None

    @property
    def exit_code(self) -> int | None:
        """What it ended with, negative for a signal; None while it runs or before it was started."""
        return self._popen.poll() if self._popen else None

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def interrupt(self) -> None:
        """Do what Ctrl-C in its own terminal would."""
        self._signal(signal.SIGINT)

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def wait(self, seconds: float) -> None:
        """Wait for it to end; after `seconds`, kill it. What it started and left behind is killed as well."""
        if self._popen is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(max(0.0, seconds))
        self._signal(signal.SIGKILL)
        self._popen.wait()
        if self._watchdog is not None:
            self._watchdog.forget(self._popen.pid)

    def tail(self, lines: int = 15) -> str:
        """Return the end of the log."""
        if self.log is None:
            return ""
        with suppress(OSError), self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 16_384))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        return ""

    def _signal(self, number: signal.Signals) -> None:
        if self._popen is not None:
            with suppress(ProcessLookupError, PermissionError):  # nobody is left in the group
                os.killpg(self._popen.pid, number)


def ending(exit_code: int) -> str:
    """Say how a process ended: `exited with 1`, `was killed by SIGKILL`."""
    if exit_code >= 0:
        return f"exited with {exit_code}"
    return f"was killed by {signal.Signals(-exit_code).name}"
