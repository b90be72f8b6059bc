"""The knobs of the judge server, beside those of its HTTP face (http_face/face_settings.py)."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from http_face.face_settings import FaceSettings


class Settings(FaceSettings):
    """The knobs; each is the environment variable GUERDON_JUDGE_<NAME>. What each judge is stands in judges.toml."""

    model_config = SettingsConfigDict(env_prefix="GUERDON_JUDGE_")

    config: Path | None = None
    """A judges.toml; without it, the one of the package."""
    ledger: str = "judge-ledger.sqlite3"
    """The verdict ledger: a SQLite file, or the URL of a PostgreSQL database (postgresql://…)."""
    redis_url: SecretStr | None = None
    """Redis or Valkey, where several replicas share rate limits and budgets; None: there is one replica."""
    replicas: int = Field(default=1, ge=1)
    """How many of these servers run. More than one need Redis and a PostgreSQL ledger."""

    port: int = Field(default=8001, ge=0, le=65535)
    """Port to listen on."""
    max_calls: int = Field(default=20_000, gt=0)
    """Calls to judges that one server owes at once; requests with more to come get 503 with Retry-After."""
