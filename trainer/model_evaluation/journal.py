"""The journal of long commands, whose records may be read back as the messages that they were."""

from typing import TypeVar

from pydantic import BaseModel

from long_work import journal

Kind = TypeVar("Kind", bound=BaseModel)


class Journal(journal.Journal):
    """Records by their `key`."""

    def read(self, key: str, kind: type[Kind]) -> Kind:
        """Return a record as the message that it was, without its key.

        Raises:
            KeyError: there is none.
        """
        return kind.model_validate({name: value for name, value in self[key].items() if name != "key"})
