"""Stay in the foreground until it is time to stop: a signal, a closed terminal, a dead parent, a failed stack."""

import os
import signal
import time
from types import FrameType
from typing import NoReturn, Self

from local_stack.failure import StackError
from local_stack.stack import Stack

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TICK_S = 0.25


class Foreground:
    """Turns the signals that mean stop into KeyboardInterrupt while the block lasts, and watches the parent.

    Under nohup (SIGHUP ignored) the process is meant to outlive its parent, and does.
    """

    def __enter__(self) -> Self:
        self._parent = os.getppid()
        self._former = {number: signal.getsignal(number) for number in STOPS}
        self.outlives_parent = self._former[signal.SIGHUP] is signal.SIG_IGN
        for number in STOPS:
            if number is not signal.SIGHUP or not self.outlives_parent:
                signal.signal(number, _interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    @property
    def orphaned(self) -> bool:
        return not self.outlives_parent and os.getppid() != self._parent

    def stay(self, stack: Stack) -> str:
        """Return why to stop now.

        Raises:
            StackError: the stack gave up.
        """
        try:
            while not self.orphaned:
                refuse_failed(stack)
                time.sleep(TICK_S)
        except KeyboardInterrupt as interrupt:
            return str(interrupt)
        return "the process that started this one is gone (nohup lets it stay)"


def refuse_failed(stack: Stack) -> None:
    if stack.failure is not None:
        raise StackError(f"{stack.failure}\nEverything is stopped now. Mend what the log says, then start it again.")


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(number).name)
