"""Let model calls run side by side, and a suspect's by itself: if the process dies then, it is the suspect's doing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Quarantine:
    """A lock that many hold in company or one holds alone.

    Who wants to be alone comes first; but after one of them, all come in who have waited in company, so that many
    suspects do not keep everybody else out.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._company = 0
        self._alone = False
        self._asking = 0
        self._kept_waiting = 0
        self._owed = 0

    @contextmanager
    def company(self) -> Iterator[None]:
        with self._changed:
            self._kept_waiting += 1
            self._changed.wait_for(lambda: not self._alone and (self._owed or not self._asking))
            self._kept_waiting -= 1
            self._owed = max(0, self._owed - 1)
            self._company += 1
            self._changed.notify_all()
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
            self._changed.wait_for(lambda: not (self._alone or self._company or self._owed))
            self._asking -= 1
            self._alone = True
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._owed = self._kept_waiting
                self._changed.notify_all()
