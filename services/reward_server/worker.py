"""Take messages off the queue, run their items through the batcher, and send the answers back."""

import logging
import os
import signal
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Iterator
from typing import Any

import orjson
from celery.signals import setup_logging, worker_shutting_down
from pydantic import BaseModel, ConfigDict, Field
from redis import Redis
from redis.exceptions import RedisError

from http_face import garbage, log_lines, tracing
from reward_server import catalog
from reward_server.backlog import Limits
from reward_server.batcher import Call
from reward_server.broker import TASK, WORKERS, celery_app
from reward_server.cancellations import Cancellations
from reward_server.catalog import Served
from reward_server.clock import SharedClock
from reward_server.desk import Desk, Part
from reward_server.failures import log_failed
from reward_server.fleet import entry_of
from reward_server.metrics import observe_call, serve_metrics
from reward_server.quarantine import Quarantine
from reward_server.results import Results
from reward_server.settings import Settings
from reward_server.travel import arrived

log = logging.getLogger("guerdon.worker")

BEAT_S = 1.0


class Envelope(BaseModel):
    """What a message says besides its jobs. Whatever else is pushed onto the queue is none of ours."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    reward: str
    version: str
    reply_to: str
    number: int
    run: str = ""
    bulk: bool = False
    suspect: bool = False
    travelling: list[dict[str, str]] = Field(default_factory=list)


class Worker:
    """One process that serves every kind of the catalog that runs on workers, or those it is told to."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.id = uuid.uuid4().hex
        self.clock = SharedClock()
        limits = Limits(settings.max_batch_tokens, settings.max_padding, settings.cheap_tokens)
        quarantine = Quarantine()
        self.desks = {
            served.name: Desk(served, limits, settings.call_s, quarantine, self._measure)
            for served in _chosen(catalog.load(settings.config).on_worker(), settings.serve)
        }
        url = settings.redis_url.get_secret_value()
        self._redis: Redis = Redis.from_url(url, socket_timeout=10, socket_connect_timeout=2, socket_keepalive=True)
        self._cancellations = Cancellations(url)
        self._stopping = threading.Event()
        self._leaving = threading.Event()
        self.results = Results(self._redis, settings, self._leaving)

    def _measure(self, name: str, call: Call) -> None:
        observe_call(name, *call, budget=self.settings.max_batch_tokens)

    def load(self) -> None:
        """Load the models before the first message is taken.

        Raises:
            ValueError: one of them does not load.
        """
        for desk in self.desks.values():
            started = time.monotonic()
            try:
                desk.load()
            except Exception as error:
                raise ValueError(f"[{desk.served.name}] does not load: {type(error).__name__}: {error}") from error
            log.info("loaded %s in %.1f s", desk.served.name, time.monotonic() - started)

    def score(self, text: str, redelivered: bool = False) -> None:
        """Answer one message; returns when the answers are stored, so that the message is acknowledged after it."""
        try:
            message = self._read(text)
            desk = self.desks[message["reward"]]
        except Exception as error:  # noqa: BLE001 - somebody else's message; to fail would bring it back for ever
            log.error("a message that is none of ours was dropped: %s", type(error).__name__)
            return
        if redelivered:
            self._skip_answered(message)
        try:
            with arrived(message["travelling"], desk.served.name, len(message["jobs"])):
                self._answer(desk, message)
        finally:
            self._cancellations.forget(message)

    def _answer(self, desk: Desk, message: dict[str, Any]) -> None:
        left = {one for one, _, _ in message["jobs"]}
        try:
            for part in self._parts(desk, message):
                self._send(message, desk, part)
                left -= {one for one, _ in part.outcomes}
                if part.last:
                    return
        except RedisError:
            raise  # not acknowledged: another worker gets the message
        except Exception as error:  # noqa: BLE001 - a mistake of ours; who waits must hear of it
            log.error("a message was not answered to its end: %s", type(error).__name__)
            failed = {"status": "model_error", "error": f"the worker failed: {type(error).__name__}"}
            self._send(message, desk, Part([(one, failed) for one in left], last=True))
            return
        self._send(message, desk, Part([], last=True))

    def _send(self, message: dict[str, Any], desk: Desk, part: Part) -> None:
        reply = {"number": message["number"], **part._asdict()}
        self.results.send(message["reply_to"], reply, desk.served, anew=message["suspect"])
        log_failed(desk.served.name, part.outcomes)

    def _read(self, text: str) -> dict[str, Any]:
        """Return a message in this machine's time.

        Raises:
            ValueError, TypeError, KeyError: it is none of ours.
        """
        read = orjson.loads(text)
        jobs = [(one, fields, self.clock.here(deadline)) for one, fields, deadline in read["jobs"]]
        if not all(isinstance(one, str) and isinstance(fields, dict) for one, fields, _ in jobs):
            raise TypeError("jobs are [id, fields, deadline]")
        return {**vars(Envelope.model_validate({**read, "jobs": None})), "jobs": jobs}

    def _parts(self, desk: Desk, message: dict[str, Any]) -> Iterator[Part]:
        # Who has the message is said first: should this process die now, it is known what it died with.
        note = {"taken": message["number"], "by": self.id}
        if message["suspect"]:
            return desk.answer_alone(message, lambda: self.results.note(message["reply_to"], note, sure=True))
        self.results.note(message["reply_to"], note)
        watch = self._cancellations.watch
        return desk.answer(message, lambda submission: watch(message, desk.batcher, submission))

    def _skip_answered(self, message: dict[str, Any]) -> None:
        """Leave out what has been answered since a message was delivered first, dead letters above all."""
        try:
            outcomes = self.results.known([one for one, _, _ in message["jobs"]])
        except RedisError as error:
            log.warning("what is answered already could not be asked: %s", type(error).__name__)
            return
        jobs = list(zip(message["jobs"], outcomes, strict=True))
        message["jobs"] = [job for job, outcome in jobs if outcome is None]
        known = [(job[0], outcome) for job, outcome in jobs if outcome is not None]
        if known:
            self.results.note(message["reply_to"], {"number": message["number"], "outcomes": known})

    def beat(self) -> None:
        """Say that this worker is alive, until it stops."""
        entry = entry_of(self.id, [desk.served for desk in self.desks.values()])
        while not self._stopping.is_set():
            if not all(desk.batcher.alive for desk in self.desks.values()):
                log.critical("a batcher's thread has died; this worker ends, to be started again")
                os._exit(1)
            try:
                self._beat_once(entry)
            except (RedisError, OSError) as error:
                log.warning("no heartbeat: %s", type(error).__name__)
            self._stopping.wait(BEAT_S)
        try:
            self._redis.zrem(WORKERS, entry)
        except RedisError:
            log.info("Redis is away; this worker's entry goes stale by itself")

    def _beat_once(self, entry: str) -> None:
        asked = time.time()
        redis_time: Any = self._redis.time()
        self.clock.compare(asked, redis_time, time.time())
        now = self.clock.now()
        self._redis.zadd(WORKERS, {entry: now + self.settings.worker_silence_s})
        self._redis.zremrangebyscore(WORKERS, "-inf", now)
        if self.settings.heartbeat_file is not None:
            self.settings.heartbeat_file.touch()

    def _leave(self, **_: object) -> None:
        self._leaving.set()

    def run(self) -> int:
        """Serve until SIGTERM, with the models loaded; return the exit status."""
        garbage.collect_rarely()
        heart = threading.Thread(target=self.beat, name="heartbeat", daemon=True)
        heart.start()
        self._cancellations.start()
        warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
        worker_shutting_down.connect(self._leave)
        setup_logging.connect(log_lines.left_alone, weak=False)
        app = celery_app(self.settings)

        def task(self_: Any, text: str) -> None:
            self.score(text, redelivered=bool((self_.request.delivery_info or {}).get("redelivered")))

        app.task(task, name=TASK, bind=True, acks_late=True, ignore_result=True)
        queues = ",".join(desk.served.queue for desk in self.desks.values())
        try:
            options = ["--pool=threads", f"--concurrency={self.settings.concurrency}", f"--queues={queues}"]
            alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
            app.worker_main(["--quiet", "worker", *options, *alone, f"--hostname={self.id}", "--loglevel=WARNING"])
        finally:
            self._stopping.set()
            heart.join(timeout=3)
        return 0 if self._leaving.is_set() else 1  # Celery ends with 0 after an unrecoverable error, too


def _chosen(served: list[Served], names: str | None) -> list[Served]:
    """Return those with the given names, all without any.

    Raises:
        ValueError: a name that is not there.
    """
    if names is None:
        return served
    wanted = {name.strip() for name in names.split(",")}
    known = {one.name for one in served}
    if unknown := sorted(wanted - known):
        raise ValueError(f"GUERDON_REWARD_SERVE names {unknown}; what runs on workers here: {sorted(known)}")
    return [one for one in served if one.name in wanted]


def main() -> int:
    """Run one worker process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until Celery takes over: loading may be interrupted
    try:
        settings = Settings()
        log_lines.configure(settings.log_format, settings.log_level)
        tracing.start("guerdon-reward-worker")
        serve_metrics(settings)
        if settings.threads is not None:
            _use_threads(settings.threads)
        worker = Worker(settings)
        worker.load()
    except ValueError as error:
        print(f"reward worker: {error}", file=sys.stderr)
        return 2
    return worker.run()


def _use_threads(count: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(count)  # torch takes it when it is imported, with the first model
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


if __name__ == "__main__":
    sys.exit(main())
