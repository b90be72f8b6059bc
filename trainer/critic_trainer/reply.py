"""One reply in its conversation, with what is known of its qualities."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from critic_trainer.critic_error import CriticError
from long_work.json_file import Row, placed_rows
from reward_server.rewards import Item
from reward_server.rewards.models.conversation import text_pair

Labels = dict[str, float | None]
EQUAL = 1e-9
"""Labels that lie no further apart than this are the same one, but for rounding."""


class Reply(BaseModel):
    """A row of a file of replies; further columns are kept and not looked at.

    Attributes:
        id: of the row; the row's number where it has none.
        dialogue: which dialogue it is of; a split never puts one dialogue on both sides.
        conversation: what came before, as text or chat messages.
        reference: the reply that somebody else gave.
        labels: attribute → label in [0, 1]; before `guerdon critic label` has merged them, labeler → such a table.
            A label that is null or not there is missing.
        levels: attribute → the truth behind the labels, where they were made and not given.
    """

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    id: str = ""
    dialogue: str = ""
    conversation: str | list[dict[str, Any]]
    reply: str
    reference: str | None = None
    labels: dict[str, Any] = Field(default_factory=dict)
    levels: dict[str, float] = Field(default_factory=dict)

    @property
    def pair(self) -> tuple[str, str]:
        """Conversation and reply as the served critic reads them."""
        return text_pair(Item.from_fields({"prompt": self.conversation, "completion": self.reply}))

    def label(self, attribute: str) -> float | None:
        """Return the merged label.

        Raises:
            CriticError: it is no number in [0, 1].
        """
        found = self.labels.get(attribute)
        if found is None:
            return None
        if not is_label(found):
            raise CriticError(f"reply {self.id}: the label {attribute!r} is {found!r}, not a number from 0 to 1")
        return float(found)


def is_label(value: Any) -> bool:
    """Return whether it is a number in [0, 1]; NaN is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def read(path: Path) -> list[Reply]:
    """Return the replies of a JSONL file.

    Raises:
        CommandError: a row is no reply; or the file cannot be read.
    """
    return [_reply(row, place, number) for number, (place, row) in enumerate(placed_rows(path), 1)]


def _reply(row: Row, place: str, number: int) -> Reply:
    """Return the reply of row `number`; raises CriticError, with the place, where it is none."""
    try:
        reply = Reply.model_validate(row)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise CriticError(
            f"{place}, {key}: {problem['msg']}; a row is "
            '{"conversation": text or chat messages, "reply": text, maybe "id", "dialogue", "reference", "labels"}'
        ) from None
    name = reply.id or str(number)
    return reply.model_copy(update={"id": name, "dialogue": reply.dialogue or name})
