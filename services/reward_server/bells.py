"""Wake those who wait in this process when a notice says that there is something to look at in Redis."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Bell:
    """One listener's bell; rung while nobody waits, it is heard by the next who does."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def heard(self, within_s: float) -> None:
        """Return when it rings, or after `within_s`."""
        try:
            async with asyncio.timeout(max(0.0, within_s)):
                await self._rung.wait()
        except TimeoutError:
            pass
        self._rung.clear()


class Bells:
    """Bells by what they ring for. A notice is a hint only: what is true stands in Redis."""

    def __init__(self) -> None:
        self._bells: dict[str, set[Bell]] = {}

    def __len__(self) -> int:
        return len(self._bells)

    def ring(self, key: str) -> None:
        for bell in self._bells.get(key, ()):
            bell.ring()

    @contextmanager
    def listen(self, key: str) -> Iterator[Bell]:
        bell = Bell()
        self._bells.setdefault(key, set()).add(bell)
        try:
            yield bell
        finally:
            self._bells[key].discard(bell)
            if not self._bells[key]:
                del self._bells[key]
