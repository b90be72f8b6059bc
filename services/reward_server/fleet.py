"""The workers alive, and what each of them serves in which version."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reward_server.catalog import Served


def entry_of(worker: str, serves: Iterable[Served]) -> str:
    """Return what a worker says of itself: `worker id|name@version|name@version…`."""
    return "|".join([worker, *(f"{one.name}@{one.version}" for one in serves)])


@dataclass(frozen=True)
class Fleet:
    """The workers at one look.

    Attributes:
        workers: what each serves, as `name@version`, by its id.
    """

    workers: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, entries: Iterable[bytes]) -> "Fleet":
        named = (bytes(entry).decode().split("|") for entry in entries)
        return cls({worker: frozenset(serves) for worker, *serves in named})

    def serving(self, served: Served) -> int:
        """Count the workers that can be asked: those with just this version."""
        return self._versions(served.name)[served.version]

    def otherwise(self, served: Served) -> int:
        """Count the workers that serve it in another version. They are never asked: their scores are other ones."""
        return self._versions(served.name).total() - self.serving(served)

    def why_late(self, served: Served) -> str:
        """Return why an item was not answered in time, as far as the workers tell."""
        others = sorted(self._versions(served.name).keys() - {served.version})
        if others and not self.serving(served):
            return f"no worker serves version {served.version}; those alive serve {', '.join(others)}"
        return "no worker answered before the deadline"

    def _versions(self, name: str) -> Counter[str]:
        versions: Counter[str] = Counter()
        for serves in self.workers.values():
            versions.update(version for one, _, version in (each.rpartition("@") for each in serves) if one == name)
        return versions
