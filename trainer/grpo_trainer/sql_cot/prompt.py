"""The prompt of a row: a text file with places for its SQL, its reasoning and its question."""

import re
from importlib.resources import files
from pathlib import Path

from grpo_trainer.sql_cot.rows import Row

SHIPPED = files("grpo_trainer") / "sql_cot" / "prompts"
PLACE = re.compile(r"\{(sql|cot|nl)\}")


def shipped() -> list[str]:
    return sorted(entry.name.removesuffix(".txt") for entry in SHIPPED.iterdir() if entry.name.endswith(".txt"))


def template(name: str) -> str:
    """Return the template that ships under `name`, or that in the file at this path, without a newline at its end.

    Raises:
        ValueError: there is neither, or it leaves no place for the SQL or the reasoning.
    """
    if name in shipped():
        text = (SHIPPED / f"{name}.txt").read_text(encoding="utf-8")
    elif Path(name).expanduser().is_file():
        text = Path(name).expanduser().read_text(encoding="utf-8")
    else:
        raise ValueError(
            f"there is no prompt {name!r}; give the path of a text file, or one of: {', '.join(shipped())}"
        )
    if missing := [place for place in ("sql", "cot") if f"{{{place}}}" not in text]:
        raise ValueError(f"the prompt {name!r} has no place {{{missing[0]}}}; it needs {{sql}} and {{cot}}")
    return text.rstrip("\n")


def filled(text: str, row: Row) -> str:
    """Return the template with the row in its places; braces of any other kind are text, in it and in the row."""
    return PLACE.sub(lambda place: str(row[place[1]]), text)
