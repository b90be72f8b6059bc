"""Questions and answers as chat messages: whoever answers is the assistant."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from reward_server.rewards import Turns

PROMPTS = files("reward_server.rewards.models") / "prompts"
PERSONA = (PROMPTS / "persona.txt").read_text(encoding="utf-8").strip()
SOMEBODY = (PROMPTS / "somebody.txt").read_text(encoding="utf-8").strip()
"""Who answers when nobody says who: the person of the transcript."""


class Context(BaseModel):
    """What a kind reads of an item's `context`; keys for other kinds are left alone."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


Form = TypeVar("Form", bound=Context)


class Turn(Context):
    question: str
    answer: str


def chat(system: str | None, transcript: Sequence[Turn], last: str) -> Turns:
    """Return the messages up to the last question, which is still to be answered."""
    opening = [{"role": "system", "content": system}] if system else []
    said = [
        {"role": role, "content": text}
        for turn in transcript
        for role, text in (("user", turn.question), ("assistant", turn.answer))
    ]
    return [*opening, *said, {"role": "user", "content": last}]


def in_persona(description: str) -> str:
    """Return the system turn that makes a model answer as somebody."""
    return PERSONA.format(persona=description)


def read(form: type[Form], context: dict[str, Any]) -> Form:
    """Return a context in the form a kind needs.

    Raises:
        ValueError: it has another; the message names every field that is missing or of the wrong type.
    """
    try:
        return form.model_validate(context)
    except ValidationError as error:
        raise ValueError("; ".join(_problems(error))) from None


def _problems(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False, include_input=False)
    return [f"{'.'.join(('context', *map(str, one['loc'])))}: {one['msg']}" for one in found]
