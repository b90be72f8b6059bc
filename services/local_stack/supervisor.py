"""Keep processes running from one thread: start, restart, give up, stop."""

import queue
import threading
import time
from dataclasses import dataclass, field

from local_stack.console import Console
from local_stack.log_warnings import LogWarnings
from local_stack.process import Process, ending
from local_stack.restarts import Restarts
from local_stack.watchdog import Watchdog

TICK_S = 0.2


@dataclass
class Watched:
    process: Process
    warnings: LogWarnings | None
    restarts: Restarts
    started: float = 0.0
    restart_at: float | None = None

    def start(self, watchdog: Watchdog) -> None:
        self.started, self.restart_at = time.monotonic(), None
        self.process.start(watchdog)


@dataclass
class Supervisor:
    """One thread starts every process and lives until all are stopped: Linux ties their lives to it (leash.py).

    Until `lenient` is set, a process that dies is not started again: while a stack comes up, the first death
    says what is wrong, and repeating it would only delay the message.
    """

    console: Console
    restarts: Restarts = field(default_factory=Restarts)
    stop_s: float = 5.0
    failure: str | None = None
    lenient: threading.Event = field(default_factory=threading.Event)
    _requests: queue.SimpleQueue[Process | None] = field(default_factory=queue.SimpleQueue)
    _watched: list[Watched] = field(default_factory=list)
    _thread: threading.Thread | None = None

    def watch(self, process: Process) -> None:
        """Start `process` now and keep it running. The first one watched is the last one stopped."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="local-stack", daemon=True)
            self._thread.start()
        self._requests.put(process)

    def stop(self) -> None:
        """Stop every process; returns when they are gone, after about `stop_s` at the most."""
        if self._thread is not None:
            self._requests.put(None)
            self._thread.join()

    def _run(self) -> None:
        watchdog = Watchdog()
        try:
            while self._attend(watchdog):
                pass
        except Exception as error:  # noqa: BLE001 - a full disk, too many processes: whatever it is, somebody must hear of it
            self.failure = f"cannot start or watch a process: {error}"
        finally:
            self._stop_all()
            watchdog.close()

    def _attend(self, watchdog: Watchdog) -> bool:
        try:
            process = self._requests.get(timeout=TICK_S)
        except queue.Empty:
            for watched in self._watched:
                self._check(watched, watchdog)
            return True
        if process is None:
            return False
        watched = Watched(
            process,
            LogWarnings(process.log) if process.log and process.relays else None,
            Restarts(**vars(self.restarts)),
        )
        self._watched.append(watched)
        watched.start(watchdog)
        return True

    def _check(self, watched: Watched, watchdog: Watchdog) -> None:
        for line in watched.warnings.new() if watched.warnings else []:
            self.console.line(f"[{watched.process.name}] {line}")
        if watched.restart_at is not None:
            if time.monotonic() >= watched.restart_at:
                watched.start(watchdog)
            return
        code = watched.process.exit_code
        if code is None or self.failure is not None:
            return
        watched.process.wait(0)  # whatever it started and left behind
        self._after_death(watched, ending(code))

    def _after_death(self, watched: Watched, how: str) -> None:
        name, lived_s = watched.process.name, time.monotonic() - watched.started
        wait_s = watched.restarts.wait_s(lived_s) if self.lenient.is_set() else None
        if wait_s is not None:
            watched.restart_at = time.monotonic() + wait_s
            self.console.line(f"{name} {how} after {lived_s:.0f} s; starting it again (log: {watched.process.log})")
            return
        again = f", {watched.restarts.short_lives} times in a row" if self.lenient.is_set() else " as it started"
        tail = "\n".join(f"    {line}" for line in watched.process.tail().splitlines()) or "    (nothing)"
        self.failure = f"{name} {how}{again}. The end of its log, {watched.process.log}:\n\n{tail}\n"

    def _stop_all(self) -> None:
        """Stop the first one last, because the others need it: it is Redis."""
        first, rest = self._watched[:1], self._watched[1:]
        for group in (rest, first):
            for watched in group:
                watched.process.terminate()
            deadline = time.monotonic() + self.stop_s
            for watched in group:
                watched.process.wait(deadline - time.monotonic())
