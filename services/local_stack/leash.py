"""Run a command that the kernel kills when the thread that started it ends, however it ends (on Linux)."""

import ctypes
import os
import signal
import sys
from typing import NoReturn

PR_SET_PDEATHSIG = 1


def leashed(command: list[str]) -> list[str]:
    """Return `command` behind this file, to be started by the calling process from a thread that stays.

    A wrapper rather than Popen's preexec_fn, which can deadlock in a process with threads.
    """
    # -I -S: nothing but the standard library, which makes it 20 ms instead of 60
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main(parent: int, command: list[str]) -> NoReturn:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        print(f"ERROR cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
