"""How many calls to judges the server owes, and when it takes on no more of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from http_face.refused import Unavailable
from judge_server.metrics import OWED

NEARLY_FULL = 0.9
"""Of the most calls owed, from how many on no further requests should be sent here."""
COME_BACK_S = 5


class Promise:
    """The calls that one request may still need."""

    def __init__(self, admission: "Admission", calls: int) -> None:
        self._admission, self._left = admission, calls

    def less(self, calls: int) -> None:
        """Say that so many of them are done or were not needed."""
        self._left -= calls
        self._admission.owed -= calls
        OWED.set(self._admission.owed)

    def end(self) -> None:
        self.less(self._left)


class Admission:
    """Counts the calls of all requests from their admission on, before the first of them is made.

    Args:
        most: calls owed at once.
    """

    def __init__(self, most: int) -> None:
        self.owed = 0
        self._most = most

    @property
    def nearly_full(self) -> bool:
        return self.owed >= NEARLY_FULL * self._most

    @contextmanager
    def promised(self, calls: int) -> Iterator[Promise]:
        """Owe so many calls until the block ends. A request larger than the limit has its turn when nothing is owed.

        Raises:
            Unavailable: there are too many.
        """
        if self.owed and self.owed + calls > self._most:
            raise Unavailable(
                f"{self.owed} calls to judges are owed and this request needs up to {calls} more; at most {self._most} "
                "(GUERDON_JUDGE_MAX_CALLS)",
                COME_BACK_S,
            )
        self.owed += calls
        OWED.set(self.owed)
        promise = Promise(self, calls)
        try:
            yield promise
        finally:
            promise.end()
