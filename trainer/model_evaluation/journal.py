"""A file of JSON lines that survives being killed: what was appended stays, a torn last line is as if never written."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

Wanted = TypeVar("Wanted")
Kind = TypeVar("Kind", bound=BaseModel)
Record = dict[str, Any]


class Journal:
    """Records by their `key`; the last one of a key counts."""

    def __init__(self, path: Path) -> None:
        """Read what is there.

        Raises:
            OSError: the file cannot be read or made.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._records: dict[str, Record] = {}
        whole = self._read()
        with path.open("ab") as stream:
            stream.truncate(whole)  # else the next record would continue the torn line

    def __getitem__(self, key: str) -> Record:
        return self._records[key]

    def __contains__(self, key: str) -> bool:
        return key in self._records

    def get(self, key: str) -> Record | None:
        return self._records.get(key)

    def read(self, key: str, kind: type[Kind]) -> Kind:
        """Return a record as the message that it was, without its key.

        Raises:
            KeyError: there is none.
        """
        return kind.model_validate({name: value for name, value in self._records[key].items() if name != "key"})

    def missing(self, wanted: Mapping[str, Wanted], done: Sequence[str] = ("ok",)) -> dict[str, Wanted]:
        """Return those of the wanted, by their keys, that have no record, or one whose status is not among `done`."""
        statuses = {key: (self.get(key) or {}).get("status") for key in wanted}
        return {key: one for key, one in wanted.items() if statuses[key] not in done}

    def records(self) -> list[Record]:
        return list(self._records.values())

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add records, each with its `key`; they are on disk when this returns."""
        added = [dict(record) for record in records]
        with self.path.open("ab") as stream:
            stream.write(b"".join(json.dumps(record, ensure_ascii=True).encode() + b"\n" for record in added))
            stream.flush()
            os.fsync(stream.fileno())
        self._records |= {record["key"]: record for record in added}

    def _read(self) -> int:
        """Take in every whole record; return how many bytes of the file they are."""
        whole = 0
        for line in self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            try:
                record = json.loads(line)
                self._records[record["key"]] = record
            except (ValueError, KeyError, TypeError):
                continue  # a disk that was full may have left half a line before a whole one
        return whole
