"""The operator's judges: what judges.toml says of each, and what is missing before one can be asked."""

import os
import re
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from guerdon.judge_messages import Allowance

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")
"""Of a judge. Without a slash, which parts a judge from a run in the names of accounts."""


class ConfigError(ValueError):
    """The operator's judges.toml is wrong; the message names file and place."""


class Prices(BaseModel):
    """What a million tokens cost, in the judge's currency."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: float = Field(default=0.0, ge=0, le=1e6, allow_inf_nan=False)
    completion: float = Field(default=0.0, ge=0, le=1e6, allow_inf_nan=False)

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


class Judge(BaseModel):
    """One table of judges.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=())

    name: str = Field(pattern=f"^{NAME.pattern}$")
    kind: str
    """Which file of backends/ asks it: openai, together, openai_compatible, replay."""
    model: str = ""
    base_url: str | None = None
    """Where the API is, up to and including /v1, without user, password or query; None: the provider's own."""
    base_url_env: str | None = None
    """The environment variable that holds `base_url`, where it is only known at run time."""
    key_env: str | None = None
    """The environment variable that holds the key; None: none is needed."""
    file: Path | None = None
    """Of a replay judge: its stored replies."""

    currency: str = "USD"
    prices: Prices = Prices()
    rpm: int | None = Field(default=None, gt=0)
    """Requests a minute, of all replicas together."""
    tpm: int | None = Field(default=None, gt=0)
    """Tokens a minute (prompt + completion), of all replicas together."""
    concurrency: int = Field(default=32, ge=1, le=4096)
    """Calls under way at a time, of one replica; fewer for a while after a 429."""
    budget: Allowance = Allowance()
    """What the judge may spend in all."""
    run_budget: Allowance = Allowance()
    """What one run may spend in all, unless its request names less."""

    structured: bool = True
    """Ask for replies that follow a JSON schema."""
    logprobs: bool = False
    """Ask for log-probabilities, and judge by those of the verdict token."""
    max_tokens: int = Field(default=1024, ge=16)
    """Of a reply: the explanation comes before the verdict."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    seed: int | None = 0
    """Sent with each call, the sample's number added; None: not sent."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Of one attempt."""
    attempts: int = Field(default=5, ge=1)
    """How often a call is sent, where another attempt can succeed."""
    max_wait_s: float = Field(default=60.0, ge=0)
    """The longest wait that is waited; a server that says to come back later than that has failed."""
    chars_per_token: float = Field(default=2.0, gt=0)
    """For reservations before a call is sent; low, so that they are never too small."""
    warning: str | None = None
    """Why its verdicts are not to be believed."""

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None and (wrong := wrong_address(url)) is not None:
            raise ValueError(f"it {wrong}")
        return url

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> Self:
        if self.kind == "replay" and self.file is None:
            raise ValueError("a replay judge needs `file`")
        if self.kind == "openai_compatible" and self.base_url is None and self.base_url_env is None:
            raise ValueError("an openai_compatible judge needs `base_url` (up to and including /v1) or `base_url_env`")
        if self.kind in {"openai", "together"} and not self.model:
            raise ValueError(f"an {self.kind} judge needs `model`")
        return self

    @property
    def version(self) -> str:
        """Return a hash of all that a verdict depends on beside the question and the prompt's version."""
        where = self.base_url or self.base_url_env or str(self.file or "")
        how = (self.structured, self.logprobs, self.max_tokens, self.temperature, self.top_p, self.seed)
        return sha256(repr((self.kind, where, self.model, how)).encode()).hexdigest()[:12]

    @property
    def url(self) -> str | None:
        """The base URL, from the environment where it stands there and is one."""
        if self.base_url is not None or self.base_url_env is None:
            return self.base_url
        url = _variable(self.base_url_env)
        return url if url and wrong_address(url) is None else None

    @property
    def key(self) -> str | None:
        """The key, without the space and line ends around it that files and shells leave."""
        return _variable(self.key_env) if self.key_env else None


def _variable(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def wrong_address(url: str) -> str | None:
    """Return what is wrong with a base URL, without quoting it, or None.

    What stands in it is told to callers and kept in the ledger.
    """
    example = "; it is like https://host/v1"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"is no URL{example}"
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or not url.isprintable() or " " in url:
        return f"is no http:// or https:// URL of a server{example}"
    if "@" in parts.netloc:
        return "holds a user or password, which callers would be told; put a key in a variable that key_env names"
    if "?" in url or "#" in url:
        return f"holds a query or fragment, which callers would be told{example}"
    return None


class Judges:
    """Every configured judge by name; the default one is named by the file, else the first that can be asked."""

    def __init__(self, judges: Mapping[str, Judge], default: str | None, source: str) -> None:
        self.by_name = dict(judges)
        self.source = source
        self._default = default

    @property
    def default(self) -> str:
        usable = (name for name, judge in self.by_name.items() if self.problem(judge) is None)
        return self._default or next(usable, next(iter(self.by_name)))

    def problem(self, judge: Judge) -> str | None:
        """Return what is missing before a judge can be asked: which variable, which file."""
        place = f"[{judge.name}] of {self.source}"
        if judge.key_env and judge.key is None:
            return f"no key: set the environment variable {judge.key_env} (key_env in {place})"
        if judge.key is not None and not (judge.key.isascii() and judge.key.isprintable()):
            return f"the key in {judge.key_env} is none: it has characters beyond printable ASCII (key_env in {place})"
        if judge.base_url_env and judge.url is None:
            if url := _variable(judge.base_url_env):
                return f"the address in {judge.base_url_env} {wrong_address(url)} (base_url_env in {place})"
            return f"no address: set the environment variable {judge.base_url_env} (base_url_env in {place})"
        if judge.file is not None and not judge.file.is_file():
            return f"there is no file {judge.file} (file in {place})"
        return None


def load(file: Path | None) -> Judges:
    """Read a judges.toml, or the one of this package.

    Raises:
        ConfigError: it cannot be read, or a table is wrong.
    """
    source = str(file) if file else "the judges.toml of the package (GUERDON_JUDGE_CONFIG names another)"
    try:
        text = file.read_text(encoding="utf-8") if file else (files("judge_server") / "judges.toml").read_text("utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from error
    default = tables.pop("default", None)
    if not isinstance(default, str | None):
        raise ConfigError(f'{source}: default names a judge: default = "gpt"; so no table can be called default')
    judges = {name: _judge(source, name, table, file) for name, table in tables.items()}
    if not judges:
        raise ConfigError(f'{source} names no judge; a judge is a table: [gpt] kind = "openai" model = "…"')
    if default is not None and default not in judges:
        raise ConfigError(f"{source}: default = {default!r} is none of its judges: {', '.join(judges)}")
    return Judges(judges, default, source)


def _judge(source: str, name: str, table: Any, file: Path | None) -> Judge:
    if not isinstance(table, dict):
        raise ConfigError(f"{source}: {name} stands outside of a table; each judge is a table: [gpt] kind = …")
    if "name" in table:
        raise ConfigError(f"{source}: [{name}] holds a name; a judge's name is that of its table")
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{source}: {name!r} cannot name a judge: up to 100 letters, digits and . _ -, the first a letter or digit"
        )
    if "key" in table or "api_key" in table:
        raise ConfigError(f'{source}: [{name}] holds a key; name the variable that holds it instead: key_env = "…"')
    try:
        judge = Judge(name=name, **table)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        known = f"; known: {sorted(Judge.model_fields)}" if first["type"] == "extra_forbidden" else ""
        place = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{source}: [{name}] {f'{place}: ' if place else ''}{said}{known}") from error
    if judge.file is not None and file is not None:  # beside the judges.toml that names it
        judge = judge.model_copy(update={"file": file.parent / judge.file})
    return judge
