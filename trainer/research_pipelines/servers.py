"""The servers a stage needs: `guerdon up` as a process, started when a stage asks for it and stopped when none does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from research_pipelines.failure import PipelineError
from research_pipelines.stage import Stage

START_S = 300.0
"""How long models may take to load."""
STOP_S = 30.0


class Servers:
    """A context manager: what it has started ends with it."""

    def __init__(self, out: Path, given: dict[str, str], *, threads: int | None) -> None:
        """Prepare.

        Args:
            out: the pipeline's folder.
            given: URLs of servers that run already, as reward_url and judge_url; these are never started here.
            threads: CPU threads of the served models; None leaves them alone.
        """
        self._folder, self._given, self._threads = out / "servers", given, threads
        self._process: subprocess.Popen[bytes] | None = None
        self._serving: tuple[str, bool] = ("", False)
        self._urls: dict[str, str] = {}

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def for_stage(self, stage: Stage) -> dict[str, str]:
        """Return the URLs of the servers that the stage needs, once they answer.

        Raises:
            PipelineError: they do not come up.
        """
        rewards = "" if "reward_url" in self._given else stage.rewards
        wanted = rewards, stage.judge and "judge_url" not in self._given
        if wanted == ("", False):
            return self._given
        alive = self._process is not None and self._process.poll() is None
        if wanted != self._serving or not alive:
            self.stop()
            self._start(*wanted)
        return self._urls | self._given

    def stop(self) -> None:
        """Stop what runs; twice does no harm."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process, self._serving = None, ("", False)

    def _start(self, rewards: str, judge: bool) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        config, ready = self._folder / "rewards.toml", self._folder / "ready.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "guerdon.cli", "up", "--port", "0", "--ready-file", str(ready)]
        command += ["--judge-port", "0"] if judge else ["--no-judge"]
        if rewards:
            config.write_text(rewards, encoding="utf-8")
            command += ["--config", str(config)]
        elif judge:
            command += ["--only-judge"]
        # A judge's ledger outlives a restart: nothing is paid twice.
        command += ["--data-dir", str(self._folder / "data")]
        with (self._folder / "log.txt").open("ab") as log:
            self._process = self._launch(command, log)
        self._urls = {name: url for name, url in self._await(ready).items() if url}
        self._serving = rewards, judge

    def _launch(self, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        env = os.environ | ({"GUERDON_REWARD_THREADS": str(self._threads)} if self._threads else {})
        # In a session of its own: Ctrl-C reaches the stage first, which still needs its rewards to end well.
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True
        )

    def _await(self, ready: Path) -> dict[str, str | None]:
        assert self._process is not None
        print("starting the servers …", file=sys.stderr, flush=True)
        until = time.monotonic() + START_S
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise PipelineError(f"the servers do not come up:\n{_tail(self._folder / 'log.txt')}")
            time.sleep(0.1)
        urls: dict[str, str | None] = json.loads(ready.read_text(encoding="utf-8"))
        return urls


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
