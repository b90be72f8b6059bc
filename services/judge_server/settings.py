"""Every knob of the judge server, said once: name, type, default and meaning; the environment follows from it."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from http_face.loopback import loopback


class Settings(BaseSettings):
    """The knobs; each is the environment variable GUERDON_JUDGE_<NAME>. What each judge is stands in judges.toml."""

    model_config = SettingsConfigDict(
        env_prefix="GUERDON_JUDGE_",
        use_attribute_docstrings=True,
        populate_by_name=True,
        frozen=True,
        hide_input_in_errors=True,  # the input has tokens and passwords in it
    )

    config: Path | None = None
    """A judges.toml; without it, the one of the package."""
    ledger: str = "judge-ledger.sqlite3"
    """The verdict ledger: a SQLite file, or the URL of a PostgreSQL database (postgresql://…)."""
    redis_url: SecretStr | None = None
    """Redis or Valkey, where several replicas share rate limits and budgets; None: there is one replica."""
    replicas: int = Field(default=1, ge=1)
    """How many of these servers run. More than one need Redis and a PostgreSQL ledger."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs a token."""
    port: int = Field(default=8001, ge=0, le=65535)
    """Port to listen on."""
    token: SecretStr | None = None
    """Bearer token that /v1 requests must carry. None: open, on loopback only."""
    allow_anonymous: bool = False
    """Listen beyond loopback without a token, because something in front checks who asks."""

    max_body_bytes: int = Field(default=8 << 20, gt=0)
    """Larger bodies get 413 before they are read."""
    body_timeout_s: float = Field(default=30.0, gt=0)
    """A body that has not arrived by then gets 408."""
    max_calls: int = Field(default=20_000, gt=0)
    """Calls to judges that one server owes at once; requests with more to come get 503 with Retry-After."""
    drain_s: float = Field(default=0.0, ge=0)
    """After SIGTERM, go on serving for so long with /readyz at 503, until balancers have noticed."""

    log_format: Literal["text", "json"] = "text"
    """One line of text or one JSON object per event. Neither holds prompts, answers or replies."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """What is logged at all."""

    @property
    def bearer(self) -> str | None:
        """The token in the clear; an empty one, as an unset variable in a compose file gives it, is none."""
        return self.token.get_secret_value() or None if self.token is not None else None

    def refuse_to_be_open(self) -> None:
        """Check that nobody beyond this machine can ask without a token.

        Raises:
            ValueError: anybody could.
        """
        if self.bearer is None and not self.allow_anonymous and not loopback(self.host):
            raise ValueError(
                f"host {self.host} is reachable from other machines and there is no token: set GUERDON_JUDGE_TOKEN, "
                "or GUERDON_JUDGE_ALLOW_ANONYMOUS=true if something in front checks who asks"
            )
