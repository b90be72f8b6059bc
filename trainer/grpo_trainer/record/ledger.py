"""What a run did, kept on disk: manifest.json, metrics.jsonl (a line a step) and rollouts/ (a file a step)."""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from long_work import json_file, written_whole
from long_work.command_error import CommandError

TEXTS = ("group_id", "prompt", "completion", "status", "error")
WHOLE = ("step", "slot", "completion_tokens")


class Ledger:
    """Append-only. Every step is on disk when `step` returns; a process killed in between leaves whole steps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "rollouts").mkdir(parents=True, exist_ok=True)

    def manifest(self, manifest: Mapping[str, Any]) -> None:
        json_file.write(self.folder / "manifest.json", _plain(manifest))

    def step(self, record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], columns: Iterable[str] = ()) -> None:
        """Append one step: its completions first, so that a line's rollouts are always there.

        `columns` are numeric columns to write even where no row has them, so that all files have one schema.
        """
        if rows:
            step = int(record["step"])
            self._rollouts(step, [{"step": step, **row} for row in rows], columns)
        self._append("metrics.jsonl", record)

    def evaluation(self, record: Mapping[str, Any]) -> None:
        self._append("evaluations.jsonl", record)

    def cut_back(self, step: int) -> None:
        """Forget everything after `step`, so that a run resumed there has each step once."""
        for name in ("metrics.jsonl", "evaluations.jsonl"):
            if (self.folder / name).exists():
                kept = [line for line in lines(self.folder / name) if line["step"] <= step]
                written_whole.text(self.folder / name, "".join(_line(line) for line in kept))
        for file in self.folder.glob("rollouts/step_*.parquet"):
            if int(file.stem.removeprefix("step_")) > step:
                file.unlink()

    def _append(self, name: str, record: Mapping[str, Any]) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(_line(record))
            file.flush()
            os.fsync(file.fileno())

    def _rollouts(self, step: int, rows: list[dict[str, Any]], columns: Iterable[str]) -> None:
        names = list(dict.fromkeys([*(key for row in rows for key in row), *columns]))
        table = pa.table({name: pa.array([_finite(row.get(name)) for row in rows], _type(name)) for name in names})
        place = self.folder / "rollouts" / f"step_{step:05d}.parquet"
        pq.write_table(table, f"{place}.part")
        os.replace(f"{place}.part", place)


def holds_a_run(folder: Path) -> bool:
    return (folder / "manifest.json").exists() or (folder / "metrics.jsonl").exists()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what manifest.json says.

    Raises:
        CommandError: it cannot be read, or is no JSON object.
    """
    manifest = json_file.read(folder / "manifest.json")
    if not isinstance(manifest, dict):
        raise CommandError(f"{folder / 'manifest.json'} is no manifest of a run")
    return manifest


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    return lines(folder / "metrics.jsonl")


def read_rollouts(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("rollouts/step_*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the file's records; a last line without its end was cut off while it was written, and is no record.

    Raises:
        CommandError: the file is no text, or a line no JSON object.
    """
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} cannot be read: {error}") from None
    whole = text.split("\n")[:-1]  # splitlines would also cut at U+2028, which stands in JSON as it is
    return [json_file.parsed_row(line, f"{path}, line {number}") for number, line in enumerate(whole, 1)]


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(_plain(record), ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Return `value` with everything that is no finite number as null: JSON has no NaN, and 0 would be a lie."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _finite(value)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _type(column: str) -> pa.DataType:
    if column in TEXTS or column.startswith(("version/", "request/")):
        return pa.string()
    return pa.int64() if column in WHOLE else pa.float64()
