"""Take messages off the queue, run their items through the batcher, and send the answers back."""

import logging
import os
import signal
import sys
import threading
import time
import uuid
import warnings
from typing import Any

import orjson
from celery.signals import worker_shutting_down
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError

from guerdon.messages import Score
from reward_server import cache, catalog, garbage
from reward_server.batcher import Batcher, Request
from reward_server.boundary import Outcome, failure, outcomes
from reward_server.broker import TASK, WORKERS, celery_app
from reward_server.catalog import Served
from reward_server.rewards import Item
from reward_server.settings import Settings

log = logging.getLogger("guerdon.worker")

REPLY_TTL_S = 600
"""A reply list that nobody reads any more goes away by itself."""
BEAT_S = 2.0
HUNG_S = 60.0
"""How long after its deadline a message is given up."""
STALE_S = 8.0
"""A worker that has not been heard of for so long no longer counts as alive."""


class Desk:
    """One served kind at work: its batcher, and what the answers need."""

    def __init__(self, served: Served, settings: Settings) -> None:
        self.served = served
        self.batcher: Batcher[Item, Outcome] = Batcher(
            lambda items: outcomes(served.kind, items), lambda error: _failed(failure(error)), settings.max_batch_tokens
        )

    def answer(self, message: dict[str, Any]) -> tuple[list[tuple[str, Outcome]], int]:
        """Return (content id, outcome) of the message's items that were not too late, and the tokens they cost."""
        if message["version"] != self.served.version:
            # The caller was configured otherwise than this worker: a score of ours is not the one it asked for.
            refused = _failed(
                Score.failed(
                    "model_error", f"this worker serves version {self.served.version}, not {message['version']}"
                )
            )
            return [(one, refused) for one, _ in message["jobs"]], 0
        requests, broken = self._requests(message["jobs"])
        submission = self.batcher.submit(requests, message["deadline"])
        # Not for ever: a model that hangs must not keep the message and this thread as well.
        submission.finished.wait(max(0.0, message["deadline"] - time.time()) + HUNG_S)
        done = [
            (request.id, result)
            for request, result in zip(requests, submission.results, strict=True)
            if result is not None
        ]
        return broken + done, sum(request.tokens for request in requests)

    def _requests(self, jobs: list[Any]) -> tuple[list[Request[Item]], list[tuple[str, Outcome]]]:
        """Return the jobs to run, and outcomes of those whose kind cannot even size them."""
        requests: list[Request[Item]] = []
        broken: list[tuple[str, Outcome]] = []
        for one, fields in jobs:
            try:
                item = Item.from_fields(fields)
                requests.append(Request(one, item, max(1, int(self.served.kind.tokens(item)))))
            except Exception as error:  # noqa: BLE001 - the boundary: one bad item fails alone
                broken.append((one, _failed(failure(error))))
        return requests, broken


class Worker:
    """One process that serves every kind of the catalog that runs on workers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.id = uuid.uuid4().hex
        self.desks = {served.name: Desk(served, settings) for served in catalog.load(settings.config).on_worker()}
        self._redis: Redis = Redis.from_url(
            settings.redis_url.get_secret_value(), socket_timeout=10, socket_connect_timeout=2, socket_keepalive=True
        )
        self._local = threading.local()
        self._stopping = threading.Event()
        self._leaving = threading.Event()

    def load(self) -> None:
        """Load the models before the first message is taken."""
        for desk in self.desks.values():
            started = time.monotonic()
            desk.served.kind.load()
            log.info("loaded %s in %.1f s", desk.served.name, time.monotonic() - started)

    def score(self, text: str) -> None:
        """Answer one message; returns when the answer is stored, so that the message is acknowledged after it."""
        message = orjson.loads(text)
        desk = self.desks.get(message["reward"])
        if desk is None:
            log.error("a message for the unknown reward %r was dropped", message["reward"])
            return
        results, tokens = desk.answer(message)
        if results:
            self._send(message["reply_to"], results, tokens)

    def _send(self, reply_to: str, results: list[tuple[str, Outcome]], tokens: int) -> None:
        """Store and reply, for as long as it takes: a result that was paid for is not thrown away."""
        reply = orjson.dumps({"outcomes": results, "tokens": tokens})
        while True:
            try:
                pipeline = self._pipeline()
                pipeline.rpush(reply_to, reply)
                pipeline.expire(reply_to, REPLY_TTL_S)
                cache.store(pipeline, results, self.settings.cache_ttl_s if self.settings.cache else REPLY_TTL_S)
                pipeline.execute()
                return
            except RedisError as error:
                log.warning("results could not be stored (%s); trying again", type(error).__name__)
                if self._leaving.wait(1.0):
                    raise  # not acknowledged: another worker gets the message

    def _pipeline(self) -> Pipeline:
        """Return this thread's pipeline: making one costs as much as a small model call. execute() empties it."""
        if not hasattr(self._local, "pipeline"):
            self._local.pipeline = self._redis.pipeline(transaction=False)
        self._local.pipeline.reset()  # of an attempt that failed half way
        pipeline: Pipeline = self._local.pipeline
        return pipeline

    def beat(self) -> None:
        """Say that this worker is alive, until it stops."""
        entry = "|".join([self.id, *self.desks])
        while not self._stopping.is_set():
            if not all(desk.batcher.alive for desk in self.desks.values()):
                log.critical("a batcher's thread has died; this worker ends, to be started again")
                os._exit(1)
            try:
                now = time.time()
                self._redis.zadd(WORKERS, {entry: now + STALE_S})
                self._redis.zremrangebyscore(WORKERS, "-inf", now)
                if self.settings.heartbeat_file is not None:
                    self.settings.heartbeat_file.touch()
            except (RedisError, OSError) as error:
                log.warning("no heartbeat: %s", type(error).__name__)
            self._stopping.wait(BEAT_S)
        try:
            self._redis.zrem(WORKERS, entry)
        except RedisError:
            log.info("Redis is away; this worker's entry goes stale by itself")

    def _leave(self, **_: object) -> None:
        self._leaving.set()

    def run(self) -> None:
        """Load, then serve until SIGTERM."""
        self.load()
        garbage.collect_rarely()
        heart = threading.Thread(target=self.beat, name="heartbeat", daemon=True)
        heart.start()
        warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
        worker_shutting_down.connect(self._leave)
        logging.getLogger("celery.worker.consumer.consumer").addFilter(without_body)
        app = celery_app(self.settings)
        app.task(self.score, name=TASK, acks_late=True, ignore_result=True)
        queues = ",".join(desk.served.queue for desk in self.desks.values())
        try:
            options = ["--pool=threads", f"--concurrency={self.settings.concurrency}", f"--queues={queues}"]
            alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
            app.worker_main(["--quiet", "worker", *options, *alone, f"--hostname={self.id}", "--loglevel=WARNING"])
        finally:
            self._stopping.set()
            heart.join(timeout=3)


def _failed(score: Score) -> Outcome:
    return {"status": score.status, "error": score.error}


def without_body(record: logging.LogRecord) -> bool:
    """Cut Celery's complaints about messages it cannot use down to their first words: the rest is the message."""
    record.msg, record.args = str(record.msg).partition("\n")[0].partition("%")[0].strip(), ()
    return True


def main() -> int:
    """Run one worker process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until Celery takes over: loading may be interrupted
    try:
        settings = Settings()
        if settings.threads is not None:
            _use_threads(settings.threads)
        worker = Worker(settings)
    except ValueError as error:
        print(f"reward worker: {error}", file=sys.stderr)
        return 2
    worker.run()
    return 0


def _use_threads(count: int) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", str(count))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch

    torch.set_num_threads(count)


if __name__ == "__main__":
    sys.exit(main())
