"""Who plays the seeker: a model in this process, one behind an OpenAI-compatible endpoint, or the rule itself."""

import os
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from empathetic_recommender.film_dialogues.seeker import Answer, Seeker
from empathetic_recommender.language_model import LanguageModel
from empathetic_recommender.recommender_error import RecommenderError
from empathetic_recommender.user_prompt import UserUnreadable, asked, read

MOST_TOKENS = 60
TIMEOUT_S = 120.0
ATTEMPTS = 4
TOKEN = "GUERDON_USER_TOKEN"  # noqa: S105 - the name of a variable


READINGS = 3
"""Times that a user model is asked for a readable line."""
RULE = "rule"


class Exchange(NamedTuple):
    """What a seeker answers: the conversation, and the reply to it."""

    seeker: Seeker
    conversation: Sequence[dict[str, str]]
    reply: str


class UserModel(Protocol):
    def answers(self, exchanges: Sequence[Exchange]) -> list[Answer | UserUnreadable]:
        """Return what each seeker says, or why that could not be read."""
        ...


class RuleUser:
    """Answers by the rule that the user model's corpus was written by: what a model of it is to come near to."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def answers(self, exchanges: Sequence[Exchange]) -> list[Answer | UserUnreadable]:
        return [one.seeker.answer(one.conversation[-1]["content"], one.reply, self._rng) for one in exchanges]


class WritingUser(ABC):
    """A model that writes the seeker's line; one that cannot be read is asked for again."""

    def answers(self, exchanges: Sequence[Exchange]) -> list[Answer | UserUnreadable]:
        prompts = [asked(*one) for one in exchanges]
        found: list[Answer | UserUnreadable] = [UserUnreadable("not asked")] * len(prompts)
        for _ in range(READINGS):
            places = [place for place, one in enumerate(found) if isinstance(one, UserUnreadable)]
            if not places:
                break
            for place, line in zip(places, self.lines([prompts[place] for place in places]), strict=True):
                found[place] = _read(line)
        return found

    @abstractmethod
    def lines(self, prompts: Sequence[str]) -> list[str]:
        """Return what the model writes to each prompt."""


class LocalUser(WritingUser):
    def __init__(self, model: str, hub_revision: str | None, seed: int) -> None:
        self._model = LanguageModel(model, hub_revision, seed)

    def lines(self, prompts: Sequence[str]) -> list[str]:
        return self._model.answers([[{"role": "user", "content": prompt}] for prompt in prompts], MOST_TOKENS)


class EndpointUser(WritingUser):
    """Chat completions at `url` (such as http://host:8080/v1), the token in GUERDON_USER_TOKEN.

    Raises:
        RecommenderError: the endpoint refuses, or does not answer after several attempts.
    """

    def __init__(self, url: str, model: str) -> None:
        from openai import OpenAI

        key = os.environ.get(TOKEN, "none")
        self._client = OpenAI(base_url=url, api_key=key, timeout=TIMEOUT_S, max_retries=ATTEMPTS)
        self._model = model

    def lines(self, prompts: Sequence[str]) -> list[str]:
        from openai import OpenAIError

        try:
            return [self._line(prompt) for prompt in prompts]
        except OpenAIError as error:
            raise RecommenderError(f"the user model's endpoint: {error}") from None

    def _line(self, prompt: str) -> str:
        answer = self._client.chat.completions.create(
            model=self._model, messages=[{"role": "user", "content": prompt}], max_tokens=MOST_TOKENS
        )
        return answer.choices[0].message.content or ""


def user_model(model: str, url: str | None, hub_revision: str | None, seed: int) -> UserModel:
    """Return who plays the seeker; `model` may be "rule"."""
    if model == RULE:
        return RuleUser(seed)
    return EndpointUser(url, model) if url else LocalUser(model, hub_revision, seed)


def _read(line: str) -> Answer | UserUnreadable:
    try:
        return read(line)
    except UserUnreadable as error:
        return error
