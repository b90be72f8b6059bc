"""Why a policy or a data set could not be loaded: for a reason that passes by itself, or for good."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from grpo_trainer.config.run_file import NotReadyError, RunFileError
from guerdon.client import RETRIED


@contextmanager
def told(where: str, *kinds: type[Exception]) -> Iterator[None]:
    """Say of what fails inside where in the run file it was asked for.

    Raises:
        NotReadyError: the hub does not answer now.
        RunFileError: the failure is one of `kinds`, and will stay.
    """
    try:
        yield
    except Exception as error:
        passing = passes(error)
        if not passing and not isinstance(error, kinds):
            raise
        kind = NotReadyError if passing else RunFileError
        said = f"{where}: {str(error) or type(error).__name__}"
        raise kind(said if said.endswith((".", "?")) else f"{said}.") from error


def passes(error: BaseException) -> bool:
    """Whether the hub could not be reached, or answered with a fault of its own: later it may have what was asked for.

    Not so where it has said that there is no such thing, or where HF_HUB_OFFLINE forbids to ask it.
    """
    if "huggingface_hub" not in sys.modules:  # nobody has asked it
        return False
    from huggingface_hub import is_offline_mode
    from huggingface_hub.errors import LocalEntryNotFoundError

    if is_offline_mode():
        return False
    causes = list(_causes(error))
    statuses = [status for cause in causes if (status := _status(cause)) is not None]
    if statuses:
        return statuses[0] in RETRIED
    silent = (LocalEntryNotFoundError, ConnectionError, TimeoutError)
    return any(isinstance(cause, silent) or _of_transport(cause) for cause in causes)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what led to it: transformers and datasets put words of their own over the hub's."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _of_transport(error: BaseException) -> bool:
    """Whether no answer came; by its name, as the hub's client has it from httpx or from httpx2."""
    return any(kind.__name__ == "TransportError" for kind in type(error).__mro__)
