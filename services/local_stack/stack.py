"""The servers, the worker and Redis as processes on this machine, for as long as a `with` block lasts."""

import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx

from local_stack.address import LOOPBACK, free_port, refuse_taken, url_of
from local_stack.console import Console
from local_stack.failure import StackError
from local_stack.judge import LocalJudge, local_judge, missing_packages
from local_stack.process import Process
from local_stack.restarts import Restarts
from local_stack.run_directory import new_run_directory
from local_stack.supervisor import Supervisor
from local_stack.valkey import embedded, silence, without_password

API = [sys.executable, "-m", "reward_server"]
WORKER = [sys.executable, "-m", "reward_server.worker"]


@dataclass
class Stack:
    """Start with `with Stack() as stack`, then use `stack.url`. Everything ends with the block, or with this process.

    Enter it in a thread that stays, and from one process: a fork of this process is not its owner.
    """

    port: int = 0
    """Port of the API; 0 picks a free one."""
    host: str = "127.0.0.1"
    redis_url: str | None = field(default=None, repr=False)
    """A Redis that is already there; None starts an embedded one."""
    config: Path | None = None
    """A rewards.toml."""
    data: Path | None = None
    """Keep what the embedded Redis holds, and the judge's ledger, in this directory."""
    reward: bool = True
    """Run the reward server, with its worker and Redis."""
    worker: bool = True
    workers: int = 1
    """Worker processes, where `worker` is true; each loads every model."""
    threads: int | None = None
    """CPU threads of the worker's models; GUERDON_REWARD_THREADS overrides it."""
    judge: bool = False
    """Run the judge server, with the embedded model if one of its judges asks that."""
    judge_port: int = 0
    judges: Path | None = None
    """A judges.toml."""
    env: dict[str, str] = field(default_factory=dict)
    """Further settings of all processes, e.g. {"GUERDON_REWARD_CACHE": "false"}."""
    directory: Path | None = None
    """Where logs go; None: a new directory under the user's cache."""
    ready_s: float = 180.0
    """How long the models may take to load."""
    restarts: Restarts = field(default_factory=Restarts)
    """When a process that died is started again, and when no more."""
    console: Console = field(default_factory=Console)

    def __post_init__(self) -> None:
        self.password_file: Path | None = None
        self.processes: dict[str, Process] = {}
        self.local_judge: LocalJudge | None = None
        self._heartbeats: list[Path] = []
        self._supervisor = Supervisor(self.console, self.restarts)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the reward server is reached."""
        return url_of(self.host, self.port)

    @property
    def judge_url(self) -> str | None:
        """Where the judge server is reached; None without one."""
        return self.local_judge.url if self.local_judge else None

    @property
    def failure(self) -> str | None:
        """Why the stack has given up, if it has."""
        return self._supervisor.failure

    def start(self) -> None:
        """Start everything and return when it is serving.

        Raises:
            StackError: it does not come up.
        """
        try:
            self._start()
        except BaseException:  # a Ctrl-C while the models load must not leave processes behind
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything; twice does no harm."""
        self._supervisor.stop()

    def _start(self) -> None:
        if self.reward:
            self.port = self.port or free_port(self.host)
            refuse_taken(self.host, self.port, "--port")
        directory = self.directory = self.directory or new_run_directory()
        directory.mkdir(parents=True, exist_ok=True)
        if self.judge:
            self.local_judge = self._judge(directory)
        redis_url = self._start_redis(directory) if self.reward else None  # the first: all others are stopped before
        for process in self.local_judge.processes if self.local_judge else []:
            self._watch(process)
        if redis_url is not None:
            self._start_reward(directory, self._environment(redis_url))
        self._wait_until_serving()
        self._supervisor.lenient.set()

    def _start_reward(self, directory: Path, env: dict[str, str]) -> None:
        self._watch(Process("reward-api", API, directory / "reward-api.log", env))
        for number in range(1, self.workers + 1 if self.worker else 1):
            self._start_worker("reward-worker" if number == 1 else f"reward-worker-{number}", directory, env)

    def _judge(self, directory: Path) -> LocalJudge:
        if missing := missing_packages():
            raise StackError(
                f"the judge server needs packages that are not installed here: {', '.join(missing)}\n"
                "Install them with:  pip install 'guerdon[judge]'"
            )
        # Beyond loopback it wants a token of its own; to share a machine's rewards is no wish to share its judges.
        shared = self.host in LOOPBACK or os.environ.get("GUERDON_JUDGE_TOKEN")
        host = self.host if shared else "127.0.0.1"
        port = self.judge_port or free_port(host)
        refuse_taken(host, port, "--judge-port")
        return local_judge(directory, host, port, url_of(host, port), self.judges, self.data, self.env)

    def _start_worker(self, name: str, directory: Path, env: dict[str, str]) -> None:
        heartbeat = directory / f"{name}.heartbeat"
        self._heartbeats.append(heartbeat)
        env = env | self._thread_environment() | {"GUERDON_REWARD_HEARTBEAT_FILE": str(heartbeat)}
        self._watch(Process(name, WORKER, directory / f"{name}.log", env))

    def _start_redis(self, directory: Path) -> str:
        patience_s = 1.0
        if self.redis_url is None:
            valkey = embedded(directory, self.data)
            self.redis_url, self.password_file = valkey.url, valkey.configuration
            self._watch(valkey.process)
            patience_s = 30.0  # a large append-only file takes a while to load
        deadline = time.monotonic() + patience_s
        while (reason := silence(self.redis_url)) is not None:
            if self.failure is not None or time.monotonic() > deadline:
                raise StackError(
                    self.failure or f"Redis at {without_password(self.redis_url)} does not answer: {reason}"
                )
            time.sleep(0.01)
        return self.redis_url

    def _environment(self, redis_url: str) -> dict[str, str]:
        ours = {
            "GUERDON_REDIS_URL": redis_url,
            "GUERDON_REWARD_HOST": self.host,
            "GUERDON_REWARD_PORT": str(self.port),
        }
        if self.judge_url is not None:
            ours["GUERDON_JUDGE_URL"] = self.judge_url
        if self.config is not None:
            ours["GUERDON_REWARD_CONFIG"] = str(self.config.resolve())
        return ours | self.env

    def _thread_environment(self) -> dict[str, str]:
        threads = os.environ.get("GUERDON_REWARD_THREADS") or (str(self.threads) if self.threads else None)
        # OMP_NUM_THREADS as well: torch sizes its pools from it before any setting is read
        return {"GUERDON_REWARD_THREADS": threads, "OMP_NUM_THREADS": threads} if threads else {}

    def _watch(self, process: Process) -> None:
        self.processes[process.name] = process
        self._supervisor.watch(process)

    def _wait_until_serving(self) -> None:
        started = time.monotonic()
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            while (missing := self._missing(client)) is not None:
                if self.failure is not None:
                    raise StackError(self.failure)
                elapsed_s = time.monotonic() - started
                if elapsed_s > self.ready_s:
                    raise StackError(f"after {elapsed_s:.0f} s still waiting for {missing}; logs: {self.directory}")
                self.console.progress(f"waiting for {missing}", elapsed_s)
                time.sleep(0.05)
        self.console.done()

    def _missing(self, client: httpx.Client) -> str | None:
        """Return what is not serving yet."""
        waited = self._missing_reward(client) if self.reward else None
        return waited or (self.local_judge.missing(client) if self.local_judge else None)

    def _missing_reward(self, client: httpx.Client) -> str | None:
        try:
            body = client.get(f"{self.url}/readyz").json()
        except (httpx.HTTPError, ValueError):
            return "reward-api"
        if not body.get("ready") or not self.processes["reward-api"].running:
            return "reward-api"
        if not all(heartbeat.exists() for heartbeat in self._heartbeats):  # written once the models are loaded
            return "reward-worker (it loads its models)"
        return None
