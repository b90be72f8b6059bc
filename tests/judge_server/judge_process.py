"""The judge server as a real process, with judges of a test's own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from local_stack.address import free_port

ROOTS = os.pathsep.join(str(Path(__file__).parents[2] / name) for name in ("proto", "services", "trainer"))


@dataclass
class JudgeProcess:
    """A server that is ready. `http` asks it."""

    popen: subprocess.Popen[bytes]
    http: httpx.Client
    log: Path


def started(directory: Path, judges: str, **env: str) -> subprocess.Popen[bytes]:
    """Start `python -m judge_server`; its log goes to `directory`, as does its ledger."""
    (directory / "judges.toml").write_text(judges)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GUERDON_", "OPENAI_"))}
    ours = {
        "PYTHONPATH": ROOTS,
        "GUERDON_JUDGE_CONFIG": str(directory / "judges.toml"),
        "GUERDON_JUDGE_LEDGER": str(directory / "ledger.sqlite3"),
    }
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "judge_server"], env=inherited | ours | env, stdout=log, stderr=subprocess.STDOUT
        )


@contextmanager
def running(directory: Path, judges: str, **env: str) -> Iterator[JudgeProcess]:
    port = free_port()
    popen = started(directory, judges, GUERDON_JUDGE_PORT=str(port), **env)
    log = directory / "log"
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as http:
            end = time.monotonic() + 60
            while not _ready(http):
                assert popen.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.02)
            yield JudgeProcess(popen, http, log)
    finally:
        popen.kill()
        popen.wait()


def _ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").is_success
    except httpx.HTTPError:
        return False
