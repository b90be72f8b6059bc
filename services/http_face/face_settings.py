"""What both servers can be told about how they face HTTP: name, type, default and meaning."""

from typing import ClassVar, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from http_face.loopback import loopback


class FaceSettings(BaseSettings):
    """The knobs that both servers have; each is an environment variable under the prefix of the server's own."""

    model_config = SettingsConfigDict(
        use_attribute_docstrings=True,
        populate_by_name=True,
        frozen=True,
        hide_input_in_errors=True,  # the input has tokens and passwords in it
    )
    identifying: ClassVar[tuple[str, ...]] = ("token",)
    """The settings any of which says who may ask."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs a token."""
    port: int = Field(ge=0, le=65535)
    """Port to listen on."""
    token: SecretStr | None = None
    """Bearer token that /v1 requests must carry. None: open, on loopback only."""
    allow_anonymous: bool = False
    """Listen beyond loopback without a token, because something in front checks who asks."""

    max_body_bytes: int = Field(default=8 << 20, gt=0)
    """Larger bodies get 413 before they are read."""
    body_timeout_s: float = Field(default=30.0, gt=0)
    """A body that has not arrived by then gets 408."""
    drain_s: float = Field(default=0.0, ge=0)
    """After SIGTERM, go on serving for so long with /readyz at 503, until balancers have noticed."""

    log_format: Literal["text", "json"] = "text"
    """One line of text or one JSON object per event. Neither holds prompts, completions or judges' replies."""
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
        known = self.bearer is not None or any(getattr(self, one) for one in self.identifying if one != "token")
        if known or self.allow_anonymous or loopback(self.host):
            return
        prefix = self.model_config["env_prefix"]
        missing = " or ".join(f"{prefix}{one.upper()}" for one in self.identifying)
        raise ValueError(
            f"host {self.host} is reachable from other machines and there is no token: set {missing}, or "
            f"{prefix}ALLOW_ANONYMOUS=true if something in front checks who asks"
        )
