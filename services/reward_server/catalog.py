"""What this server serves: the kinds there are, the operator's named rewards, and a version for each."""

import difflib
import pkgutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from graphlib import CycleError, TopologicalSorter
from hashlib import blake2b
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from guerdon.messages import RewardInfo
from reward_server import rewards
from reward_server.rewards import Encoder, Kind, Reward, Scope

DEFAULT = Path(__file__).with_name("rewards.toml")
DEFAULT_ENCODER = "embeddings"
ENTRY_POINTS = "guerdon.rewards"
"""The entry-point group through which other packages add kinds: the kind's name = its module, or module:Class."""


class ConfigError(ValueError):
    """The operator's rewards.toml is wrong; the message says where and what would have worked."""


Runs = Literal["inline", "worker"]


class Keeping(BaseModel):
    """What an entry of rewards.toml may say beside its kind's own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runs: Any = None
    """Where it runs, if the operator puts it elsewhere than its kind says."""
    cache: bool = True
    """Keep its scores. Off for kinds whose model answers otherwise every time."""
    cache_ttl_s: int | None = Field(default=None, gt=0)
    """How long a score is kept; None leaves it to GUERDON_REWARD_CACHE_TTL_S."""
    cache_entries: int | None = Field(default=None, gt=0)
    """How many of its scores are kept at most; None leaves it to GUERDON_REWARD_CACHE_ENTRIES."""
    golden: tuple[dict[str, Any], ...] = ()
    """Further items for `guerdon rewards check`: the fields of a request's item, and `value`, the score expected."""


BESIDE_SETTINGS = frozenset(Keeping.model_fields)


@dataclass(frozen=True)
class Served:
    """A kind with settings under a name, and where it runs: where its kind says, or where the operator puts it."""

    name: str
    kind: Kind
    version: str
    runs: Runs
    scope: Scope = "item"
    keeping: Keeping = field(default_factory=Keeping)

    @property
    def queue(self) -> str:
        """The version is part of its name: while one configuration replaces another, both have workers of their own."""
        return f"guerdon.{self.name}.{self.version}"


@dataclass(frozen=True)
class Catalog:
    """Every named reward, the encoder that gives them embeddings, and everything else that is served by name."""

    rewards: dict[str, Served]
    encoder: Served | None
    """None where no reward asks for embeddings, and none is configured: its model is not loaded then."""
    served: dict[str, Served]

    def on_worker(self) -> list[Served]:
        return [served for served in self.served.values() if served.runs == "worker"]


@cache
def kinds() -> dict[str, type[Kind]]:
    """Return every kind by name: one file of `rewards/` each, and what installed packages add.

    Raises:
        ConfigError: a package's entry point cannot be loaded, or takes a name that is taken.
    """
    own = {one.name: _kind_in(one.name) for one in pkgutil.iter_modules(rewards.__path__) if not one.ispkg}
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in own:
            raise ConfigError(f"the package of {point.value!r} adds a kind {point.name!r}, which there is already")
        own[point.name] = _kind_of(point.name, point.value, point.load)
    return own


def _kind_in(name: str) -> type[Kind]:
    return _only_kind(import_module(f"{rewards.__name__}.{name}"))


def _kind_of(name: str, value: str, load: Any) -> type[Kind]:
    try:
        found = load()
    except Exception as error:
        raise ConfigError(
            f"the kind {name!r} of {value!r} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    kind = _only_kind(found) if isinstance(found, ModuleType) else found
    if not (isinstance(kind, type) and issubclass(kind, Kind)):
        raise ConfigError(f"the kind {name!r} of {value!r} is no subclass of Reward, Encoder or Writer")
    if kind.kind() != name:
        kind = type(kind.__name__, (kind,), {"kind": classmethod(lambda cls: name), "__doc__": kind.__doc__})
    return kind


def _only_kind(module: ModuleType) -> type[Kind]:
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
    entries = _entries(file)
    built = {name: _built(file, name, entry) for name, entry in entries.items()}
    encoders = [name for name, (kind, _) in built.items() if isinstance(kind, Encoder)]
    if len(encoders) > 1:
        raise ConfigError(f"{file}: one encoder serves all rewards; there are {encoders}")
    if not encoders and any(isinstance(kind, Reward) and kind.embeds for kind, _ in built.values()):
        if DEFAULT_ENCODER in built:
            raise ConfigError(f"{file}: [embeddings] is the name of the default encoder; give this reward another")
        built[DEFAULT_ENCODER] = (kinds()[DEFAULT_ENCODER](), Keeping())
        encoders = [DEFAULT_ENCODER]
    encoder = encoders[0] if encoders else None
    served: dict[str, Served] = {}
    for name in _in_order(file, built, encoder):
        served[name] = _served(file, name, *built[name], served, encoder)
    served = {name: served[name] for name in built}  # as the operator wrote them
    only = {name: one for name, one in served.items() if isinstance(one.kind, Reward)}
    return Catalog(only, served[encoder] if encoder else None, served)


def _entries(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from error


def _in_order(file: Path, built: Mapping[str, tuple[Kind, Keeping]], encoder: str | None) -> list[str]:
    """Return the names so that everything comes after what it builds on."""
    graph = {name: _built_on(kind, encoder) for name, (kind, _) in built.items()}
    for name, needed in graph.items():
        if missing := sorted(needed - built.keys()):
            raise ConfigError(
                f"{file}: [{name}] builds on {missing[0]!r}, which is not served{_near(missing[0], built)}"
            )
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise ConfigError(f"{file}: rewards build on one another in a circle: {' → '.join(error.args[1])}") from error


def _built_on(kind: Kind, encoder: str | None) -> set[str]:
    if not isinstance(kind, Reward):
        return set()
    return {*kind.needs(), *kind.asks(), *([encoder] if encoder and kind.embeds else [])}


def _served(
    file: Path, name: str, kind: Kind, keeping: Keeping, served: Mapping[str, Served], encoder: str | None
) -> Served:
    try:
        needed = _built_on(kind, encoder)
        identity = version(kind, needs="|".join(served[one].version for one in sorted(needed)))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: [{name}] {error}") from error
    scope: Scope = "item"
    if isinstance(kind, Reward):
        for one in kind.needs():
            if not isinstance(served[one].kind, Reward):
                raise ConfigError(f"{file}: [{name}] needs the scores of {one!r}, which is no reward")
        scope = kind.served_scope({one: served[one].scope for one in kind.needs()})
    return Served(name, kind, identity, _runs(file, name, kind, keeping.runs), scope, keeping)


def _runs(file: Path, name: str, kind: Kind, asked: Any) -> Runs:
    if asked is None or asked == kind.runs:
        return kind.runs
    if asked not in ("inline", "worker"):
        raise ConfigError(f'{file}: [{name}] runs is "inline" or "worker", not {asked!r}')
    if asked == "inline":
        raise ConfigError(f"{file}: [{name}] {kind.kind()} loads a model and can only run on a worker")
    if isinstance(kind, Reward) and (kind.scope == "group" or kind.embeds or kind.needs() or kind.asks()):
        raise ConfigError(f"{file}: [{name}] {kind.kind()} needs whole groups or other rewards and can only run inline")
    return "worker"


def _built(file: Path, name: str, entry: Any) -> tuple[Kind, Keeping]:
    known = kinds()
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
        raise ConfigError(f'{file}: [{name}] needs a kind, e.g. kind = "length"; known kinds: {sorted(known)}')
    settings = {key: value for key, value in entry.items() if key != "kind" and key not in BESIDE_SETTINGS}
    if entry["kind"] not in known:
        raise ConfigError(f"{file}: [{name}] kind {entry['kind']!r} is unknown{_near(entry['kind'], known)}")
    kind = known[entry["kind"]]
    if unknown := settings.keys() - kind.model_fields.keys():
        key = min(unknown)
        raise ConfigError(f"{file}: [{name}] {entry['kind']} has no setting {key!r}{_near(key, kind.model_fields)}")
    try:
        return kind(**settings), Keeping(**{key: entry[key] for key in BESIDE_SETTINGS & entry.keys()})
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
        scope=served.scope,
        runs=served.runs,
        reads=list(kind.reads),
        needs=[*kind.needs(), *kind.asks(), *(["embeddings"] if kind.embeds else [])],
        range=kind.range,
        components=kind.served_components(),
        version=served.version,
        settings=kind.model_dump(mode="json"),
        settings_schema=type(kind).model_json_schema(),
    )
