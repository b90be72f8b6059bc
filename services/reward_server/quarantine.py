"""Let model calls run side by side, and a suspect's by itself: if the process dies then, it is the suspect's doing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Quarantine:
    """A lock that many hold in company or one holds alone. Who wants to be alone comes first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._company = 0
        self._alone = False
        self._asking = 0

    @contextmanager
    def company(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._asking)
            self._company += 1
        try:
            yield
        finally:
            with self._changed:
                self._company -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._asking += 1
            self._changed.wait_for(lambda: not self._alone and not self._company)
            self._asking -= 1
            self._alone = True
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
