"""Which conversations a collection begins: the scenarios of the personas that are wanted."""

from collections.abc import Iterable
from pathlib import Path

from preference_elicitation.catalogue import PERSONAS, Scenario
from preference_elicitation.elicitation_error import ElicitationError
from reward_server.rewards.models.text_file import TextFile, read_texts


def people(path: Path | None) -> TextFile:
    """Return the personas that ship, or those of a file.

    Raises:
        ElicitationError: it cannot be read, or an entry is no text.
    """
    try:
        return read_texts(str(path or PERSONAS))
    except ValueError as error:
        raise ElicitationError(str(error)) from None


def wanted(scenarios: Iterable[Scenario], people: TextFile, personas: str, each: int) -> list[Scenario]:
    """Return the scenarios to begin with, `each` first ones of every persona that is wanted.

    Raises:
        ElicitationError: there is no such persona, or it has fewer scenarios.
    """
    by_persona: dict[str, list[Scenario]] = {}
    for one in scenarios:
        by_persona.setdefault(one.persona, []).append(one)
    known = [name for name in people.texts if name in by_persona]
    if personas == "all":
        names = known
    elif personas.isdecimal():
        names = known[: int(personas)]
    else:
        names = [name.strip() for name in personas.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise ElicitationError(f"there is no persona {unknown[0]!r} with scenarios; there are: {', '.join(known)}")
    if personas.isdecimal() and int(personas) > len(known):
        raise ElicitationError(f"--personas {personas}: there are {len(known)}")
    if short := [name for name in names if len(by_persona[name]) < each]:
        raise ElicitationError(f"--scenarios {each}: {short[0]} has {len(by_persona[short[0]])}")
    return [one for name in names for one in by_persona[name][:each]]
