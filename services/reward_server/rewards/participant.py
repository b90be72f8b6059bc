"""What a persona answers to a question: written by a language model that is told who it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import orjson
from pydantic import Field

from reward_server.rewards import Item, Turns, Writer
from reward_server.rewards.models.backend import Backend
from reward_server.rewards.models.dialogue import Context, Turn, chat, in_persona, read
from reward_server.rewards.models.endpoint import NoAnswer
from reward_server.rewards.models.generation import Opening, continued
from reward_server.rewards.models.layout import NEXT_TURN, PLAIN
from reward_server.rewards.models.prefix_tree import Tokens
from reward_server.rewards.models.text_file import TextFile, read_texts


class Question(Context):
    """What `context` holds: who is asked, what was said before, and the question."""

    persona: str
    transcript: list[Turn]
    question: str


@dataclass(slots=True)
class Asked:
    """A question on its way; what was answered stays with it, so that nothing is asked again for a neighbour's sake.

    Attributes:
        turns: the chat.
        tokens: the same for a model in this process, else empty.
        seed: of what is drawn for it.
    """

    turns: Turns
    tokens: Tokens
    seed: int
    answer: str | None = None
    trouble: Exception | None = None


class Participant(Backend, Writer):
    """A persona's answer. `context` holds `persona`, `transcript` (a list of {question, answer}) and `question`.

    The same content has the same answer: greedy at temperature 0, else drawn with a seed made of content and `seed`
    (an endpoint gets that seed, and keeps to it as well as it can).
    """

    reads = ("context",)

    personas: str
    """The operator's TOML or JSON file: id = "who this is", or a table per id with the key text."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """0 is greedy."""
    seed: int = 0
    """Another seed, other answers; without effect at temperature 0 in this process."""
    max_tokens: int = Field(default=64, ge=1)
    """An answer ends here at the latest."""

    @cached_property
    def _people(self) -> TextFile:
        return read_texts(self.personas)

    def revision(self) -> str:
        return f"{super().revision()}.{self._people.digest}"

    def prepare(self, items: list[Item]) -> None:
        for item in items:
            item.encoded = self._asked(read(Question, item.context))

    def _asked(self, asked: Question) -> Asked:
        turns = chat(in_persona(self._people[asked.persona]), asked.transcript, asked.question)
        tokens = self.encode(turns, self.max_tokens) if self.model is not None else ()
        digest = blake2b(orjson.dumps([self.seed, turns]), digest_size=4).digest()
        return Asked(turns, tokens, int.from_bytes(digest) >> 1)  # 31 bits: what every endpoint takes

    def tokens(self, item: Item) -> int:
        asked: Asked = item.encoded
        read_first = len(asked.tokens) or sum(len(turn["content"]) for turn in asked.turns) // 4
        return read_first + self.max_tokens

    def write(self, items: list[Item]) -> Sequence[str]:
        """Return the answers.

        Raises:
            ValueError: a persona is unknown, a context is wrong, a text is too long, or an answer is empty.
            NoAnswer: the endpoint gave none.
        """
        self.prepare([item for item in items if item.encoded is None])
        asked: list[Asked] = [item.encoded for item in items]
        self._answer([one for one in asked if one.answer is None and one.trouble is None])
        if troubles := [one.trouble for one in asked if one.trouble is not None]:
            raise troubles[0]
        return [one.answer or "" for one in asked]

    def _answer(self, asked: list[Asked]) -> None:
        answers = self._written(asked) if self.model is not None else self._fetched(asked)
        for one, answer in zip(asked, answers, strict=True):
            if isinstance(answer, NoAnswer):
                one.trouble = answer
            elif not answer:
                one.trouble = ValueError("the model's answer is empty")
            else:
                one.answer = answer

    def _written(self, asked: list[Asked]) -> Sequence[str]:
        openings = [Opening(one.tokens, one.seed) for one in asked]
        texts = continued(self.local, openings, self.max_tokens, self.temperature, self.batch_tokens)
        return [text.split(NEXT_TURN)[0].strip() for text in texts] if self.chat_template == PLAIN else texts

    def _fetched(self, asked: list[Asked]) -> Sequence[str | NoAnswer]:
        return self.remote.each(
            lambda one: self.remote.answer(one.turns, self.max_tokens, self.temperature, one.seed), asked
        )
