"""The folder of a run, held: two processes that train there would mix their ledgers and their checkpoints."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grpo_trainer.config.run_file import NotReadyError
from grpo_trainer.examination.preflight import is_first_rank

NAME = ".lock"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder while the block runs; of several ranks the first holds it for all.

    Raises:
        NotReadyError: another run holds it.
    """
    if not is_first_rank():
        yield
        return
    with (folder / NAME).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReadyError(
                f"another `guerdon train` writes to {folder}; wait for its end, or choose another --out"
            ) from None
        except OSError as error:  # some file systems of clusters have no locks
            print(f"guerdon train: {folder} cannot be locked ({error.strerror}): start no second run", file=sys.stderr)
        yield
