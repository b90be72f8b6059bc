"""The journal survives being cut off at any byte."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from model_evaluation.content_key import content_key
from model_evaluation.journal import Journal

RECORDS = [{"key": f"k{number}", "text": f"wörd {number}\n\u2028"} for number in range(4)]


@given(st.integers(0, 400))
def test_whole_records_stay_and_a_torn_one_is_as_if_never_written(tmp_path_factory, cut: int) -> None:  # type: ignore[no-untyped-def]
    path: Path = tmp_path_factory.mktemp("journal") / "a.jsonl"
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


def test_keys_do_not_depend_on_the_order_of_fields_but_on_every_value() -> None:
    assert content_key({"a": 1, "b": [2]}) == content_key({"b": [2], "a": 1})
    assert content_key({"a": 1}) != content_key({"a": "1"})


def test_what_is_missing_has_no_record_or_one_that_failed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    journal.append([{"key": "done", "status": "ok"}, {"key": "failed", "status": "timeout"}])
    assert journal.missing({"done": 1, "failed": 2, "new": 3}) == {"failed": 2, "new": 3}
    assert journal.missing({"done": 1, "failed": 2}, ("ok", "timeout")) == {}
