"""A file of JSON lines that survives being killed: what was appended stays, a torn last line is as if never written."""

import json
import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from long_work.command_error import CommandError

Wanted = TypeVar("Wanted")
Key = TypeVar("Key", bound=Hashable)
Record = dict[str, Any]


class Journal:
    """Records by their key; the last one of a key counts."""

    def __init__(self, path: Path, *columns: str) -> None:
        """Read what is there.

        Args:
            columns: whose values are a record's key; of several, the key is a tuple. `key` where none is named.

        Raises:
            CommandError: the file cannot be read or made.
        """
        self.path, self._key = path, itemgetter(*(columns or ("key",)))
        self._records: dict[Hashable, Record] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = self._read()
            with path.open("ab") as stream:
                stream.truncate(whole)  # else the next record would continue the torn line
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror or error}") from None

    def __getitem__(self, key: Hashable) -> Record:
        return self._records[key]

    def __contains__(self, key: Hashable) -> bool:
        return key in self._records

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: Hashable) -> Record | None:
        return self._records.get(key)

    def missing(self, wanted: Mapping[Key, Wanted], done: Sequence[str] = ("ok",)) -> dict[Key, Wanted]:
        """Return those of the wanted, by their keys, that have no record, or one whose status is not among `done`."""
        statuses = {key: (self.get(key) or {}).get("status") for key in wanted}
        return {key: one for key, one in wanted.items() if statuses[key] not in done}

    def records(self) -> list[Record]:
        return list(self._records.values())

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add records, each with its key; they are on disk when this returns.

        Raises:
            CommandError: they cannot be written.
        """
        added = [dict(record) for record in records]
        lines = b"".join(json.dumps(record, ensure_ascii=True).encode() + b"\n" for record in added)
        try:
            with self.path.open("ab") as stream:
                stream.write(lines)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise CommandError(f"{self.path} cannot be written: {error.strerror or error}") from None
        self._records |= {self._key(record): record for record in added}

    def _read(self) -> int:
        """Take in every whole record; return how many bytes of the file they are."""
        whole = 0
        for line in self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            try:
                record = json.loads(line)
                self._records[self._key(record)] = record
            except (ValueError, KeyError, TypeError):
                continue  # a disk that was full may have left half a line before a whole one
        return whole
