"""The prompts of the elicitation run: conversations of every depth between a model that asks and one that answers."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from preference_elicitation import named_seed
from preference_elicitation.catalogue import Scenario
from preference_elicitation.dialogue import Dialogue, opened, prompt
from preference_elicitation.prompt_file import PromptFile
from preference_elicitation.speaker import Speaker
from reward_server.rewards.information_gain import is_question
from reward_server.rewards.models.dialogue import chat, in_persona

BATCH = 32
"""Conversations that go on together; what is lost by an interruption is one question of each."""
LONGEST = 500
"""Characters from which on the reward takes a question for none."""
ATTEMPTS = 4
"""How often a model may try to ask something that is a question; after that the conversation is given up."""


@dataclass(frozen=True)
class Collection:
    """What is collected, and by whom.

    Attributes:
        scenarios: with which conversations begin.
        persons: what a model is told of each persona.
        held_out: personas whose conversations are for validation.
        max_depth: questions of a conversation, after its opening.
    """

    scenarios: Sequence[Scenario]
    persons: Mapping[str, str]
    held_out: frozenset[str]
    max_depth: int
    questioner: Speaker
    participant: Speaker
    seed: int

    @property
    def prompts(self) -> int:
        """Return how many there will be: one of each depth of each conversation."""
        return len(self.scenarios) * (self.max_depth + 1)

    def run(self, file: PromptFile, advance: Callable[[int], None]) -> int:
        """Collect what the file lacks; return how many conversations had to be given up before their full depth."""
        given_up = 0
        for depth in range(self.max_depth + 1):
            lacking = [one for one in self.scenarios if (one.name, depth) not in file]
            lacking = [one for one in lacking if depth == 0 or (one.name, depth - 1) in file]
            for batch in _batches(lacking):
                rows = self._opened(batch) if depth == 0 else self._continued(file, batch, depth)
                given_up += len(batch) - len(rows)
                file.append(rows)
                advance(len(rows))
        return given_up

    def _opened(self, batch: Sequence[Scenario]) -> list[dict[str, Any]]:
        return [self._row(opened(one)) for one in batch]

    def _continued(self, file: PromptFile, batch: Sequence[Scenario], depth: int) -> list[dict[str, Any]]:
        """Return the conversations with one more question and answer; those without either are left out."""
        before = [file.dialogue(one.name, depth - 1) for one in batch]
        asking = [one for one in before if one is not None]
        asked = self._questions(asking)
        with_question = [(said, question) for said, question in zip(asking, asked, strict=True) if question]
        chats = [chat(in_persona(self.persons[said.persona]), said.turns, asked) for said, asked in with_question]
        answers = self.participant.say(chats, [self._seed(said, "answer") for said, _ in with_question])
        return [
            self._row(said.with_turn(question, answer))
            for (said, question), answer in zip(with_question, answers, strict=True)
            if isinstance(answer, str) and answer
        ]

    def _questions(self, asking: Sequence[Dialogue]) -> list[str | None]:
        found: list[str | None] = [None] * len(asking)
        for attempt in range(ATTEMPTS):
            open_ = [place for place, question in enumerate(found) if question is None]
            if not open_:
                break
            chats = [prompt(asking[place].turns) for place in open_]
            said = self.questioner.say(chats, [self._seed(asking[place], f"question {attempt}") for place in open_])
            for place, text in zip(open_, said, strict=True):
                found[place] = text if isinstance(text, str) and is_question(text, LONGEST) else None
        return found

    def _row(self, said: Dialogue) -> dict[str, Any]:
        return {
            "scenario": said.scenario,
            "depth": said.depth,
            "split": "validation" if said.persona in self.held_out else "train",
            "persona": said.persona,
            "prompt": prompt(said.turns),
            "transcript": [turn.model_dump() for turn in said.turns],
            "pair_seed": self._seed(said, "pairs"),
        }

    def _seed(self, said: Dialogue, purpose: str) -> int:
        return named_seed.of(self.seed, said.scenario, said.depth, purpose)


def held_out(personas: Sequence[str], number: int, seed: int) -> frozenset[str]:
    """Return the personas that training never sees."""
    return frozenset(random.Random(f"held out {seed}").sample(sorted(personas), number))


def _batches(scenarios: Sequence[Scenario]) -> Iterator[Sequence[Scenario]]:
    for start in range(0, len(scenarios), BATCH):
        yield scenarios[start : start + BATCH]
