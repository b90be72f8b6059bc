"""A process that kills the stack's process groups when the process that owns them is gone.

It goes where the leash does not: to what the stack's processes started themselves, and to systems other than Linux.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress


class Watchdog:
    """Told over a pipe which groups there are; the end of the pipe tells it that its owner is no more."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, start_new_session=True, text=True
        )

    def watch(self, group: int) -> None:
        self._tell(f"+{group}")

    def forget(self, group: int) -> None:
        """Leave a group alone that has ended: its number may become somebody else's."""
        self._tell(f"-{group}")

    def close(self) -> None:
        """End it; what it still watches is killed."""
        if self._popen.stdin:
            with suppress(BrokenPipeError):
                self._popen.stdin.close()
        self._popen.wait()

    def _tell(self, line: str) -> None:
        if self._popen.stdin:
            with suppress(BrokenPipeError):  # somebody killed it; the leashes are left
                print(line, file=self._popen.stdin, flush=True)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
