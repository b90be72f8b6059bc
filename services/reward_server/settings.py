"""The knobs of the reward server, beside those of its HTTP face (http_face/face_settings.py)."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from http_face.face_settings import FaceSettings


class Settings(FaceSettings):
    """The knobs; each is the environment variable GUERDON_REWARD_<NAME> (GUERDON_REDIS_URL for the one they share)."""

    model_config = SettingsConfigDict(env_prefix="GUERDON_REWARD_")
    identifying = ("token", "tenants")

    redis_url: SecretStr = Field(default=SecretStr("redis://127.0.0.1:6379/0"), validation_alias="GUERDON_REDIS_URL")
    """Redis or Valkey: the queue, the reply lists, the score cache."""
    config: Path | None = None
    """A rewards.toml with named rewards; without it every kind is served under its own name."""

    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on."""
    tenants: Path | None = None
    """A tenants.toml: several teams, each with the hash of its own token and its own limits."""

    max_items: int = Field(default=4096, gt=0)
    """Items in one request."""
    max_in_flight: int = Field(default=100_000, gt=0)
    """Model jobs one API process holds at once; more are held, then get 503 with Retry-After."""
    max_in_flight_bytes: int = Field(default=128 << 20, gt=0)
    """Their texts' bytes; all API processes together should stay well below Redis' maxmemory."""
    hold_s: float = Field(default=5.0, ge=0)
    """How long a request that cannot be admitted now is held before it gets 503; never over a third of its deadline."""
    max_jobs: int = Field(default=10_000, gt=0)
    """Unfinished asynchronous jobs that all API processes hold together."""
    max_job_bytes: int = Field(default=256 << 20, gt=0)
    """Bytes of their requests; Redis holds them, so stay well below its maxmemory."""
    jobs_at_once: int = Field(default=32, gt=0)
    """Asynchronous jobs that one API process works on; the others wait in Redis."""
    job_ttl_s: int = Field(default=3600, gt=0)
    """How long the answer of an asynchronous job is kept."""

    cache: bool = True
    """Look scores up before computing them."""
    cache_ttl_s: int = Field(default=24 * 3600, gt=0)
    """How long a computed score is kept."""
    cache_entries: int = Field(default=1_000_000, gt=0)
    """Scores kept of each reward; the oldest go first."""

    message_items: int = Field(default=512, gt=0)
    """Items in one queue message at most."""
    message_s: float = Field(default=0.1, gt=0)
    """Seconds of a model's work in one message at most, so that workers share what there is."""
    run_messages: int = Field(default=32, gt=0)
    """Messages of one run and reward on the queue at once; the rest waits its turn in the API."""
    compress_bytes: int = Field(default=64 << 10, gt=0)
    """Larger messages go over the queue compressed."""
    resubmit_after_s: float = Field(default=10.0, gt=0)
    """Ask again for what no worker has taken by then, but never sooner than twice the p99 queue wait."""
    worker_silence_s: float = Field(default=5.0, ge=2)
    """A worker that has not been heard of for so long has died, and what it had is asked for again."""
    max_attempts: int = Field(default=3, ge=1)
    """How often one job is put on the queue. An item that took so many workers with it is not tried again."""
    visibility_timeout_s: int = Field(default=300, gt=0)
    """Redis gives a message to another worker when it was not acknowledged by then; above 3 batches' time."""

    max_batch_tokens: int = Field(default=16_384, gt=0)
    """Padded tokens in one model call; the most that fits the device."""
    max_padding: float = Field(default=1.15, ge=1.0)
    """Padded tokens / tokens of one model call at most; items of unlike length wait for neighbours of their own."""
    call_s: float = Field(default=0.25, gt=0)
    """What one model call should take at most; the rest of the items waits for as long."""
    cheap_tokens: int = Field(default=0, ge=0)
    """Padded tokens up to which padding is not minded: small calls cost a GPU the same. 0 suits CPUs."""
    serve: str | None = None
    """Which of the named rewards this worker serves, separated by commas: one model per GPU, say. None: all."""
    concurrency: int = Field(default=64, ge=2)
    """Queue messages a worker holds open at once; two full batches' worth."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads of the model; None leaves it to torch."""
    heartbeat_file: Path | None = None
    """A file the worker touches while it is alive, for a container's health check."""
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Where a worker serves its metrics, on `host`; None: nowhere. The API has them under /metrics."""
