"""Let a reward ask served kinds about other items than those it scores: all its items' questions a round at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from guerdon.messages import Score
from reward_server.boundary import failure
from reward_server.concurrently import concurrently
from reward_server.content import Fields, canonical
from reward_server.rewards import Answer, Item, Reward
from reward_server.rewards import Inquiry as Generator

Answers = Callable[[str, list[Fields]], Awaitable[Sequence[Answer]]]
"""Puts items to something served; a score that is not ok says why there is no answer."""

Question = tuple[str, bytes]
"""What makes two questions one: the name that is asked, and the item's canonical JSON."""


@dataclass
class Inquiry:
    """One item's generator: the questions it has just asked, or how it ended."""

    item: Item
    generator: Generator | None = None
    asked: list[tuple[Question, Fields]] = field(default_factory=list)
    failed: Score | None = None

    def start(self, reward: Reward) -> None:
        try:
            self.generator = reward.inquire(self.item)
        except Exception as error:  # noqa: BLE001 - a reward's own complaint about an item
            self._complain(error)
            return
        self._advance(reward, None)

    def hear(self, reward: Reward, answers: Mapping[Question, Answer]) -> None:
        """Receive the answers of a round, and go on to the next questions or the end."""
        its = [(name, answers[name, content]) for (name, content), _ in self.asked]
        for name, answer in its:
            if isinstance(answer, Score) and answer.value is None:
                self.end(Score.failed(answer.status, f"{name}: {answer.error}"[:500]))
                return
        self._advance(reward, [answer for _, answer in its])

    def _advance(self, reward: Reward, answers: list[Answer] | None) -> None:
        assert self.generator is not None
        try:
            asks = next(self.generator) if answers is None else self.generator.send(answers)
        except StopIteration as end:
            self.item.found, self.generator = end.value, None
            return
        except Exception as error:  # noqa: BLE001 - a reward's own complaint about an item
            self._complain(error)
            return
        try:
            self.asked = [((ask.name, canonical(ask.fields)), ask.fields) for ask in asks]
            if unknown := {ask.name for ask in asks} - set(reward.asks()):
                raise ValueError(f"it asks {sorted(unknown)}, which its asks() does not name")
        except Exception as error:  # noqa: BLE001 - the boundary: questions that nobody can be asked
            self.end(failure(error))

    def _complain(self, error: Exception) -> None:
        self.end(Score.failed("invalid_input", str(error)[:500]))

    def end(self, failed: Score) -> None:
        if self.generator is not None:
            with suppress(Exception):  # it has failed already
                self.generator.close()
        self.failed, self.generator = failed, None


async def inquire(reward: Reward, items: Mapping[int, Item], answers: Answers, deadline: float) -> dict[int, Score]:
    """Set every item's `found`; return the failures of those that have none, by the items' keys.

    Equal questions of a round are asked once, and all questions to one name together. The generators run in a thread:
    what they compute between two rounds would keep other callers waiting.
    """
    inquiries = {key: Inquiry(item) for key, item in items.items()}
    await asyncio.to_thread(_start, reward, list(inquiries.values()))
    while asking := [one for one in inquiries.values() if one.generator is not None]:
        if time.time() > deadline:
            for one in asking:
                one.end(Score.failed("timeout", "it still had questions at the deadline"))
            break
        heard = await _asked([question for one in asking for question in one.asked], answers)
        await asyncio.to_thread(_hear, reward, asking, heard)
    return {key: one.failed for key, one in inquiries.items() if one.failed is not None}


def _start(reward: Reward, inquiries: Sequence[Inquiry]) -> None:
    for one in inquiries:
        one.start(reward)


def _hear(reward: Reward, inquiries: Sequence[Inquiry], heard: Mapping[Question, Answer]) -> None:
    for one in inquiries:
        one.hear(reward, heard)


async def _asked(asked: Sequence[tuple[Question, Fields]], answers: Answers) -> dict[Question, Answer]:
    by_name: dict[str, dict[Question, Fields]] = {}
    for question, content in asked:
        by_name.setdefault(question[0], {})[question] = content

    async def put(name: str, questions: dict[Question, Fields]) -> dict[Question, Answer]:
        return dict(zip(questions, await answers(name, list(questions.values())), strict=True))

    heard: dict[Question, Answer] = {}
    for some in await concurrently(put(name, questions) for name, questions in by_name.items()):
        heard |= some
    return heard
