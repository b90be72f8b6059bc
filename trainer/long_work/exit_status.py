"""The exit status of a command, and the one line on stderr that goes with every one but 0."""

import sys
from collections.abc import Callable

from long_work.command_error import CommandError

LACKS_A_PACKAGE = 1
CANNOT_BE_DONE = 2
INCOMPLETE = 3
"""Done, and some of it failed; the same command tries that again."""
DIAGNOSED = 4
"""Ended by itself before its time, and said why: the same command comes to the same end."""
INTERRUPTED = 130


def of(command: str, run: Callable[[], int], extras: str, stopped: str) -> int:
    """Run a command and return its exit status.

    Args:
        command: its name, as it is typed.
        run: does the work, and returns the status of work that came to its end.
        extras: of `guerdon`, with which everything that it imports is installed.
        stopped: what an interruption leaves, and how to go on.

    Raises:
        ModuleNotFoundError: a module is missing in a package that is there: that is nobody's installation.
    """
    try:
        return run()
    except CommandError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return CANNOT_BE_DONE
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in sys.modules:
            raise
        print(f"{command} needs {error.name!r}: pip install 'guerdon[{extras}]'", file=sys.stderr)
        return LACKS_A_PACKAGE
    except KeyboardInterrupt:
        print(f"\n{command}: stopped; {stopped}", file=sys.stderr)
        return INTERRUPTED
