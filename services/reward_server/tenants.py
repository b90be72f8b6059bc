"""Whose requests these are: teams with a token each, kept as its hash, and limits of their own.

A tenants.toml holds a table for each. This shows a new token on the terminal, once, and adds its table to the file:

    python -m reward_server.tenants team-a >> tenants.toml
"""

import hmac
import re
import secrets
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reward_server.catalog import ConfigError
from reward_server.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEFAULT = "default"
"""The tenant of GUERDON_REWARD_TOKEN, and of everybody where no token is asked for."""


class Entry(BaseModel):
    """One table of a tenants.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    token_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    items_per_minute: int | None = Field(default=None, gt=0)
    requests_per_minute: int | None = Field(default=None, gt=0)
    max_in_flight: int | None = Field(default=None, gt=0)


@dataclass(frozen=True)
class Tenant:
    """One team. Limits (None: none) hold for all API processes together.

    Attributes:
        items_per_minute, requests_per_minute: a whole minute's worth may come at once.
        max_in_flight: items in requests and jobs that are not answered yet.
    """

    name: str
    token_digest: bytes = b""
    items_per_minute: int | None = None
    requests_per_minute: int | None = None
    max_in_flight: int | None = None

    @property
    def limited(self) -> bool:
        return any(one is not None for one in (self.items_per_minute, self.requests_per_minute, self.max_in_flight))


class Tenants:
    """Everybody who may ask; without any tenant everybody may, as the default one."""

    def __init__(self, tenants: Sequence[Tenant]) -> None:
        self._tenants = tenants
        self._by_name = {tenant.name: tenant for tenant in tenants}

    @classmethod
    def configured(cls, settings: Settings) -> "Tenants":
        """Return who may ask by the settings.

        Raises:
            ConfigError: the tenants.toml is wrong.
        """
        tenants = [] if settings.tenants is None else read(settings.tenants)
        if settings.bearer is not None:
            if any(tenant.name == DEFAULT for tenant in tenants):
                raise ConfigError(f"{settings.tenants}: [{DEFAULT}] is who has GUERDON_REWARD_TOKEN; take another name")
            tenants.append(Tenant(DEFAULT, digest(settings.bearer.encode())))
        return cls(tenants)

    def whose(self, token: bytes | None) -> Tenant | None:
        """Return whose token it is; None: nobody's. All are compared, so that the time taken tells nothing."""
        if not self._tenants:
            return Tenant(DEFAULT)
        given, found = digest(token or b""), None
        for tenant in self._tenants:
            if hmac.compare_digest(given, tenant.token_digest):
                found = tenant
        return found

    def named(self, name: str) -> Tenant:
        """Return a tenant by name; one that is not configured any more has no limits."""
        return self._by_name.get(name, Tenant(name))


def digest(token: bytes) -> bytes:
    """Return what is kept of a token: tokens are long and random, so one round of SHA-256 is enough."""
    return sha256(token).digest()


def read(file: Path) -> list[Tenant]:
    """Read a tenants.toml.

    Raises:
        ConfigError: it cannot be read, or an entry is wrong.
    """
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from error
    if not entries:
        raise ConfigError(f"{file} names no tenant; python -m reward_server.tenants NAME prints one's table")
    tenants = [_tenant(file, name, entry) for name, entry in entries.items()]
    names: dict[bytes, str] = {}
    for tenant in tenants:
        other = names.setdefault(tenant.token_digest, tenant.name)
        if other != tenant.name:
            raise ConfigError(f"{file}: [{other}] and [{tenant.name}] have the same token")
    return tenants


def _tenant(file: Path, name: str, entry: Any) -> Tenant:
    if not NAME.fullmatch(name):
        raise ConfigError(f"{file}: [{name}] a tenant's name is up to 64 letters, digits and . _ - , and begins with "
                          "a letter or digit")  # fmt: skip
    if not isinstance(entry, dict):
        raise ConfigError(f"{file}: {name} stands outside of a table; each tenant is a table: [team-a]")
    if "token" in entry:
        raise ConfigError(f"{file}: [{name}] holds a token; only its hash, token_sha256, should be kept: "
                          f"python -m reward_server.tenants {name} prints a new one")  # fmt: skip
    try:
        valid = Entry(**entry)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        known = f"; known: {sorted(Entry.model_fields)}" if first["type"] == "extra_forbidden" else ""
        raise ConfigError(f"{file}: [{name}] {'.'.join(map(str, first['loc']))}: {first['msg']}{known}") from error
    limits = valid.model_dump(exclude={"token_sha256"})
    return Tenant(name, bytes.fromhex(valid.token_sha256), **limits)


def main(arguments: Sequence[str]) -> int:
    """Print a new token and its table; exit status 2 without a proper name."""
    if len(arguments) != 1 or not NAME.fullmatch(arguments[0]):
        print("usage: python -m reward_server.tenants NAME   (letters, digits and . _ -)", file=sys.stderr)
        return 2
    token = secrets.token_urlsafe(32)
    print(f"The token, which is kept nowhere: {token}", file=sys.stderr)
    print(f'[{_key(arguments[0])}]\ntoken_sha256 = "{digest(token.encode()).hex()}"')
    print("# items_per_minute = 100000\n# requests_per_minute = 6000\n# max_in_flight = 20000")
    return 0


def _key(name: str) -> str:
    return f'"{name}"' if "." in name else name  # a bare dot would make a table in a table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
