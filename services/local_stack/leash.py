"""Run a command that cannot outlive the process that started it, even when that one is killed with SIGKILL."""

import ctypes
import os
import signal
import sys
import threading
from typing import NoReturn

PR_SET_PDEATHSIG = 1


def leashed(command: list[str]) -> list[str]:
    """Return `command` behind this file, to be started by the calling process with its standard input a pipe.

    On Linux the kernel kills the command when the *thread* that started it ends, so start it from one that stays.
    A wrapper rather than Popen's preexec_fn, which can deadlock in a process with threads.
    """
    # -I -S: nothing but the standard library, which makes it 15 ms instead of 60
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main(arguments: list[str]) -> NoReturn:
    parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):  # it died before the line above
            sys.exit(1)
        become(command)
    stay(command)


def become(command: list[str]) -> NoReturn:
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        os._exit(127)


def stay(command: list[str]) -> NoReturn:
    """Without prctl: remain as the command's parent, and kill its process group when standard input ends."""
    child = os.fork()
    if child == 0:
        become(command)
    # Signals go to the whole group: the command decides what they mean, this process only waits for it.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=kill_at_end_of_input, args=(child,), daemon=True).start()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def kill_at_end_of_input(child: int) -> None:
    while os.read(0, 1):
        pass
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)  # this process as well
    os.kill(child, signal.SIGKILL)  # the group is the terminal's, not ours to kill


if __name__ == "__main__":
    main(sys.argv[1:])
