"""The journal survives being cut off at any byte."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from long_work.command_error import CommandError
from long_work.journal import Journal

RECORDS = [{"key": f"k{number}", "text": f"wörd {number}\n\u2028"} for number in range(4)]


@given(st.integers(0, 400))
def test_whole_records_stay_and_a_torn_one_is_as_if_never_written(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "a.jsonl"
    Journal(path).append(RECORDS)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")
    journal = Journal(path)
    assert [record["key"] for record in RECORDS if record["key"] in journal] == [f"k{n}" for n in range(kept)]
    journal.append(RECORDS[kept:])
    assert [json.loads(line) for line in path.read_text().splitlines()] == RECORDS
    assert Journal(path).records() == RECORDS


def test_the_last_record_of_a_key_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    journal.append([{"key": "a", "n": 1}])
    journal.append([{"key": "a", "n": 2}])
    assert journal["a"]["n"] == Journal(tmp_path / "a.jsonl")["a"]["n"] == 2
    assert len(journal) == 1


def test_records_may_be_known_by_another_column_or_by_several(tmp_path: Path) -> None:
    rows = [{"scenario": "a", "depth": depth} for depth in (0, 1)]
    Journal(tmp_path / "one.jsonl", "depth").append(rows)
    Journal(tmp_path / "two.jsonl", "scenario", "depth").append(rows)
    assert 1 in Journal(tmp_path / "one.jsonl", "depth")
    assert Journal(tmp_path / "two.jsonl", "scenario", "depth")["a", 1] == rows[1]


def test_what_is_missing_has_no_record_or_one_that_failed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    journal.append([{"key": "done", "status": "ok"}, {"key": "failed", "status": "timeout"}])
    assert journal.missing({"done": 1, "failed": 2, "new": 3}) == {"failed": 2, "new": 3}
    assert journal.missing({"done": 1, "failed": 2}, ("ok", "timeout")) == {}


def test_half_a_line_before_a_whole_one_costs_that_line_only(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"key": "a"}\n{"key": "b", "te\n{"key": "c"}\n')
    assert [record["key"] for record in Journal(tmp_path / "a.jsonl").records()] == ["a", "c"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match=r"a\.jsonl cannot be written"):
        Journal(tmp_path / "file" / "a.jsonl")
