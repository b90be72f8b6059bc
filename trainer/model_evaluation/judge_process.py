"""A judge server for the time of one command: started, waited for, stopped. Its ledger stays beside the results."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model_evaluation.evaluation_error import EvaluationError

UP_S = 180.0
"""The embedded judge loads a model before it is ready."""
DOWN_S = 20.0
TAIL = 15
"""Lines of its log that are shown when it fails."""


@contextmanager
def judge_server(folder: Path, judges: Path | None, up_s: float = UP_S) -> Iterator[str]:
    """Run `guerdon up --only-judge` and yield its URL.

    Args:
        folder: where its ledger is kept, so that no verdict is paid for twice, and its log.
        judges: a judges.toml; None: the one of the package.

    Raises:
        EvaluationError: it does not come up; the message ends with its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "judge.log"
    with tempfile.TemporaryDirectory(prefix="guerdon-judge-") as scratch, log.open("ab") as stream:
        ready = Path(scratch) / "ready.json"
        # In a session of its own, so that Ctrl-C reaches it through us, after what it judges has been kept.
        process = subprocess.Popen(
            _command(ready, folder, judges),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield _url(process, ready, log, up_s)
        finally:
            _stop(process)


def _command(ready: Path, folder: Path, judges: Path | None) -> list[str]:
    command = [sys.executable, "-m", "guerdon.cli", "up", "--only-judge", "--judge-port", "0"]
    command += ["--ready-file", str(ready), "--data-dir", str(folder)]
    return command + (["--judges", str(judges)] if judges else [])


def _url(process: subprocess.Popen[bytes], ready: Path, log: Path, up_s: float) -> str:
    end = time.monotonic() + up_s
    while time.monotonic() < end:
        with suppress(OSError, ValueError, KeyError):  # not there, or not whole yet
            return str(json.loads(ready.read_text())["judge_url"])
        if process.poll() is not None:
            raise EvaluationError(f"the judge server ended before it was ready; {log} ends with:\n{_tail(log)}")
        time.sleep(0.1)
    raise EvaluationError(f"the judge server is not ready after {up_s:g} s; {log} ends with:\n{_tail(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(DOWN_S)
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-TAIL:])
