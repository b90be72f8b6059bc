"""A language model that goes on with chats: one in this process, or one behind an OpenAI-compatible endpoint."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from preference_elicitation.dialogue import Messages
from preference_elicitation.elicitation_error import ElicitationError
from reward_server.rewards.models.endpoint import Endpoint, NoAnswer
from reward_server.rewards.models.generation import Opening, continued
from reward_server.rewards.models.language_model import LanguageModel, language_model

ENDPOINT = re.compile(r"endpoint:(?P<url>https?://[^#]+)#(?P<model>[^,]+)(?:,key_env=(?P<key_env>\w+))?")
BATCH_TOKENS = 8192
TIMEOUT_S, RETRIES, CONCURRENCY = 60.0, 2, 8
"""Of an endpoint."""
GREETING: Messages = [{"role": "user", "content": "Hello."}]


@dataclass(frozen=True)
class Speaker:
    """Which model speaks, and how its words are drawn.

    Attributes:
        source: a directory, hub id or package:NAME, or endpoint:URL#MODEL[,key_env=VARIABLE].
        hub_revision: the commit of a hub id, which needs one.
        temperature: 0 is greedy.
        max_tokens: of an answer.
    """

    source: str
    hub_revision: str | None = None
    temperature: float = 1.0
    max_tokens: int = 48

    def say(self, chats: Sequence[Messages], seeds: Sequence[int]) -> list[str | NoAnswer]:
        """Return the first line of what the model goes on with in each chat; "" where it says nothing.

        Where an endpoint's answer never came, a NoAnswer says why: that is nothing which the model has said.
        The same chat and seed have the same answer, whatever they are batched with (an endpoint as well as it can).

        Raises:
            ElicitationError: there is no such model, or its endpoint answers nothing at all.
        """
        whole = self._answers(chats, seeds)
        if whole and all(isinstance(one, NoAnswer) for one in whole):
            self.try_out()  # is it these chats, or is the endpoint gone?
        return [one if isinstance(one, NoAnswer) else _first_line(one) for one in whole]

    def say_whole(self, chat: Messages, seed: int) -> str:
        """Return all that the model goes on with in one chat.

        Raises:
            ElicitationError: there is no such model, or its endpoint does not answer.
        """
        [found] = self._answers([chat], [seed])
        if isinstance(found, NoAnswer):
            raise ElicitationError(f"{self.source} gives no answer: {found}")
        return found

    def load(self) -> None:
        """Find the model before any work is begun; raises as `say_whole` does."""
        _ = self._remote or self._local

    def try_out(self) -> None:
        """Find the model; an endpoint has to answer once: it may be gone, or know no such model.

        Raises as `say_whole` does.
        """
        self.load()
        if self._remote:
            self.say_whole(GREETING, 0)

    def _answers(self, chats: Sequence[Messages], seeds: Sequence[int]) -> Sequence[str | NoAnswer]:
        return self._fetched(self._remote, chats, seeds) if self._remote else self._continued(chats, seeds)

    def _continued(self, chats: Sequence[Messages], seeds: Sequence[int]) -> list[str]:
        local = self._local
        openings = [Opening(local.encode(chat, None), seed) for chat, seed in zip(chats, seeds, strict=True)]
        longest = max((len(opening.tokens) for opening in openings), default=0)
        if longest + self.max_tokens > local.context:
            raise ElicitationError(
                f"a conversation has {longest} tokens and {self.max_tokens} are to be written; {self.source} has room "
                f"for {local.context}"
            )
        return continued(local, openings, self.max_tokens, self.temperature, BATCH_TOKENS)

    def _fetched(self, remote: Endpoint, chats: Sequence[Messages], seeds: Sequence[int]) -> Sequence[str | NoAnswer]:
        return remote.each(
            lambda asked: remote.answer(asked[0], self.max_tokens, self.temperature, asked[1]),
            list(zip(chats, seeds, strict=True)),
        )

    @cached_property
    def _remote(self) -> Endpoint | None:
        if not self.source.startswith("endpoint:"):
            return None
        named = ENDPOINT.fullmatch(self.source)
        if named is None:
            raise ElicitationError(
                f"{self.source}: an endpoint is written endpoint:URL#MODEL[,key_env=VARIABLE], "
                "e.g. endpoint:http://127.0.0.1:8080/v1#qwen"
            )
        try:
            return Endpoint(named["url"], named["model"], named["key_env"], TIMEOUT_S, RETRIES, CONCURRENCY)
        except ValueError as error:
            raise ElicitationError(f"{self.source}: {error}") from None

    @cached_property
    def _local(self) -> LanguageModel:
        place = Path(self.source).expanduser()
        source = str(place.resolve()) if place.is_dir() else self.source
        try:
            found = language_model(source, self.hub_revision, "auto")
            found.template(None)
        except (OSError, ValueError) as error:
            raise ElicitationError(f"{self.source} cannot be loaded: {error}") from None
        return found


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
