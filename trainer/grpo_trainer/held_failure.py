"""A reward's refusal to go on, held back until every rank can know of it."""

from typing import Any

from accelerate.utils import gather_object

from guerdon.client import RewardServerError
from guerdon.trl import RemoteReward, TooManyFailed


class HeldFailure:
    """A RemoteReward as TRL calls it.

    TRL gathers the rewards of all ranks behind the call: a rank that raised inside it would leave the others waiting.
    """

    def __init__(self, remote: RemoteReward) -> None:
        self.__name__ = remote.__name__
        self._remote = remote
        self._failure: TooManyFailed | RewardServerError | None = None

    async def __call__(self, prompts: list[Any], completions: list[Any], **columns: Any) -> list[float | None]:
        self._failure = None
        try:
            return await self._remote(prompts, completions, **columns)
        except (TooManyFailed, RewardServerError) as error:
            self._failure = error
            return [None] * len(prompts)

    def raise_on_all_ranks(self) -> None:
        """Raise what the last call raised, here or on another rank; all ranks call this at the same time.

        Raises:
            TooManyFailed, RewardServerError: this rank's own failure.
            TooManyFailed: another rank's, in its words.
        """
        said: list[str | None] = gather_object([str(self._failure) if self._failure else None])
        if self._failure is not None:
            raise self._failure
        if others := [error for error in said if error is not None]:
            raise TooManyFailed(others[0])
