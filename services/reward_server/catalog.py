"""What this server serves: the kinds there are, the operator's named rewards, and a version for each."""

import difflib
import pkgutil
import tomllib
from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import ValidationError

from guerdon.messages import RewardInfo
from reward_server import rewards
from reward_server.rewards import Encoder, Kind, Reward

DEFAULT = Path(__file__).with_name("rewards.toml")


class ConfigError(ValueError):
    """The operator's rewards.toml is wrong; the message says where and what would have worked."""


Runs = Literal["inline", "worker"]


@dataclass(frozen=True)
class Served:
    """A kind with settings under a name, and where it runs: where its kind says, or where the operator puts it."""

    name: str
    kind: Kind
    version: str
    runs: Runs

    @property
    def queue(self) -> str:
        return f"guerdon.{self.name}"


@dataclass(frozen=True)
class Catalog:
    """Every named reward, and the encoder that gives them embeddings."""

    rewards: dict[str, Served]
    encoder: Served

    def on_worker(self) -> list[Served]:
        return [self.encoder, *(served for served in self.rewards.values() if served.runs == "worker")]


def kinds() -> dict[str, type[Kind]]:
    """Return every kind by name: one file of `rewards/` each."""
    return {module.name: _kind_in(module.name) for module in pkgutil.iter_modules(rewards.__path__)}


def _kind_in(name: str) -> type[Kind]:
    module = import_module(f"{rewards.__name__}.{name}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Kind) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise ConfigError(f"{module.__file__} should hold one kind of reward, not {len(found)}")
    return found[0]


def load(path: Path | None = None) -> Catalog:
    """Read a rewards.toml, or the default one.

    Raises:
        ConfigError: it cannot be read, or an entry is wrong.
    """
    file = path or DEFAULT
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from error
    built = {name: _built(file, name, entry) for name, entry in entries.items()}
    places = {name: _runs(file, name, built[name], entry.get("runs")) for name, entry in entries.items()}
    encoders = [name for name, kind in built.items() if isinstance(kind, Encoder)]
    if len(encoders) > 1:
        raise ConfigError(f"{file}: one encoder serves all rewards; there are {encoders}")
    try:
        encoder = _encoder(encoders[0], built[encoders[0]]) if encoders else _default_encoder()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: [{encoders[0] if encoders else 'embeddings'}] {error}") from error
    return Catalog(
        {
            name: Served(name, kind, version(kind, needs=encoder.version if kind.embeds else ""), places[name])
            for name, kind in built.items()
            if isinstance(kind, Reward)
        },
        encoder,
    )


def _encoder(name: str, kind: Kind) -> Served:
    return Served(name, kind, version(kind), "worker")


def _default_encoder() -> Served:
    return _encoder("embeddings", kinds()["embeddings"]())


def _runs(file: Path, name: str, kind: Kind, asked: Any) -> Runs:
    if asked is None or asked == kind.runs:
        return kind.runs
    if asked not in ("inline", "worker"):
        raise ConfigError(f'{file}: [{name}] runs is "inline" or "worker", not {asked!r}')
    if asked == "inline":
        raise ConfigError(f"{file}: [{name}] {kind.kind()} loads a model and can only run on a worker")
    if isinstance(kind, Reward) and (kind.scope == "group" or kind.embeds):
        raise ConfigError(f"{file}: [{name}] {kind.kind()} needs whole groups or embeddings and can only run inline")
    return "worker"


def _built(file: Path, name: str, entry: Any) -> Kind:
    known = kinds()
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
        raise ConfigError(f'{file}: [{name}] needs a kind, e.g. kind = "length"; known kinds: {sorted(known)}')
    settings = {key: value for key, value in entry.items() if key not in ("kind", "runs")}
    if entry["kind"] not in known:
        raise ConfigError(f"{file}: [{name}] kind {entry['kind']!r} is unknown{_near(entry['kind'], known)}")
    kind = known[entry["kind"]]
    if unknown := settings.keys() - kind.model_fields.keys():
        key = min(unknown)
        raise ConfigError(f"{file}: [{name}] {entry['kind']} has no setting {key!r}{_near(key, kind.model_fields)}")
    try:
        return kind(**settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{file}: [{name}] {where}: {first['msg']}") from error


def _near(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}? Known: {sorted(known)}" if close else f"; known: {sorted(known)}"


def version(kind: Kind, needs: str = "") -> str:
    """Return what identifies the scores of a kind: its name, settings, model revision and code version."""
    identity = [kind.kind(), kind.model_dump(mode="json"), kind.revision(), kind.code_version, needs]
    digest = blake2b(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS), digest_size=6).hexdigest()
    return f"{kind.kind()}.{kind.code_version}.{digest}"


def info(served: Served) -> RewardInfo:
    """Return what GET /v1/rewards says of a reward."""
    kind = served.kind
    assert isinstance(kind, Reward)
    return RewardInfo(
        name=served.name,
        kind=kind.kind(),
        description=" ".join((kind.__doc__ or "").split()),
        scope=kind.scope,
        runs=served.runs,
        reads=list(kind.reads),
        needs=["embeddings"] if kind.embeds else [],
        range=kind.range,
        components=kind.served_components(),
        version=served.version,
        settings=kind.model_dump(mode="json"),
        settings_schema=type(kind).model_json_schema(),
    )
