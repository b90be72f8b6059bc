"""The reward server, its worker and Redis as processes on this machine, for as long as a `with` block lasts."""

import errno
import os
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx

from local_stack.console import Console
from local_stack.failure import StackError
from local_stack.process import Process
from local_stack.restarts import Restarts
from local_stack.run_directory import new_run_directory
from local_stack.supervisor import Supervisor
from local_stack.valkey import embedded, free_port, silence, without_password

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
    """Keep what the embedded Redis holds in this directory."""
    worker: bool = True
    workers: int = 1
    """Worker processes, where `worker` is true; each loads every model."""
    threads: int | None = None
    """CPU threads of the worker's models; GUERDON_REWARD_THREADS overrides it."""
    env: dict[str, str] = field(default_factory=dict)
    """Further settings of the API and the worker, e.g. {"GUERDON_REWARD_CACHE": "false"}."""
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
        self._supervisor = Supervisor(self.console, self.restarts)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

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
        self.port = self.port or free_port(self.host)
        refuse_taken(self.host, self.port)
        self.directory = self.directory or new_run_directory()
        self.directory.mkdir(parents=True, exist_ok=True)
        env = self._environment(self._start_redis(self.directory))
        self._watch(Process("reward-api", API, self.directory / "reward-api.log", env))
        self._heartbeats: list[Path] = []
        for number in range(1, self.workers + 1 if self.worker else 1):
            self._start_worker("reward-worker" if number == 1 else f"reward-worker-{number}", self.directory, env)
        self._wait_until_serving()
        self._supervisor.lenient.set()

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
        try:
            body = client.get(f"{self.url}/readyz").json()
        except (httpx.HTTPError, ValueError):
            return "reward-api"
        if not body.get("ready") or not self.processes["reward-api"].running:
            return "reward-api"
        if not all(heartbeat.exists() for heartbeat in self._heartbeats):  # written once the models are loaded
            return "reward-worker (it loads its models)"
        return None


def refuse_taken(host: str, port: int) -> None:
    try:
        # Not left to the API: readiness would then be asked of whatever else is listening there.
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StackError(
                f"port {port} on {host} is in use. Stop what uses it, or take another: --port {port + 1} "
                "(--port 0 picks a free one)"
            ) from None
        raise StackError(f"cannot listen on {host} port {port}: {error.strerror}") from None
