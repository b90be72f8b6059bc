"""A conversation of somebody who asks and somebody who is asked, and the prompt that it is for whoever asks next."""

from dataclasses import dataclass, replace
from importlib.resources import files

from preference_elicitation.catalogue import Scenario
from reward_server.rewards.models.dialogue import Turn

OPENING = "What brings you here today?"
"""What every conversation begins with; a scenario is the answer."""
INSTRUCTION = (files("preference_elicitation") / "data" / "instruction.txt").read_text(encoding="utf-8").strip()

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Dialogue:
    """What a persona has been asked and has answered; the first turn is the scenario."""

    persona: str
    scenario: str
    turns: list[Turn]

    @property
    def depth(self) -> int:
        """Return how many questions were asked after the opening."""
        return len(self.turns) - 1

    def with_turn(self, question: str, answer: str) -> "Dialogue":
        return replace(self, turns=[*self.turns, Turn(question=question, answer=answer)])


def opened(scenario: Scenario) -> Dialogue:
    """Return the conversation in which only the scenario is known."""
    return Dialogue(scenario.persona, scenario.name, [Turn(question=OPENING, answer=scenario.text)])


def prompt(turns: list[Turn]) -> Messages:
    """Return the chat that whoever asks goes on with: the asker is the assistant, and the one who is asked the user."""
    [opening, *others] = turns
    said = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": opening.answer}]
    for turn in others:
        said += [{"role": "assistant", "content": turn.question}, {"role": "user", "content": turn.answer}]
    return said
