"""What a model that plays a seeker is asked, and how its line is read."""

import re
from collections.abc import Sequence
from importlib.resources import files

from empathetic_recommender.film_dialogues.seeker import Answer, Decision, Seeker

PROMPT = (files("empathetic_recommender") / "prompts" / "seeker.txt").read_text(encoding="utf-8").strip()
LINE = re.compile(r"\s*(accept|stay|leave)\s*:\s*(\S.*?)\s*", re.IGNORECASE | re.DOTALL)
RECENT = 1
"""Messages of the conversation that are shown; a seeker's state is in what they said last."""


class UserUnreadable(ValueError):
    """The user model's line is neither `accept: …`, `stay: …` nor `leave: …`."""


def asked(seeker: Seeker, conversation: Sequence[dict[str, str]], reply: str) -> str:
    """Return the prompt for what the seeker says to `reply`."""
    names = {"user": "You", "assistant": "Recommender"}
    said = [f"{names[turn['role']]}: {turn['content']}" for turn in conversation[-RECENT:]]
    return PROMPT.format(
        **seeker.record() | {"patient": "patient" if seeker.patient else "impatient"},
        dialogue="\n".join([*said, f"Recommender: {reply.strip()}"]),
    )


def line(answer: Answer) -> str:
    return f"{answer.decision}: {answer.text}"


def read(text: str) -> Answer:
    """Return what a line says.

    Raises:
        UserUnreadable: it is none.
    """
    found = LINE.fullmatch(text)
    if found is None:
        raise UserUnreadable(f"the user model wrote {text[:80]!r}; a line is 'accept: …', 'stay: …' or 'leave: …'")
    decisions: dict[str, Decision] = {"accept": "accept", "stay": "stay", "leave": "leave"}
    return Answer(decisions[found[1].lower()], found[2])
