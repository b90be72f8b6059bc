from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from long_work import content_digest, json_file
from long_work.command_error import CommandError

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
HALVES = st.characters(categories=("Cs",))  # of a UTF-16 pair: what a broken JSON escape decodes to
ROWS = st.lists(st.dictionaries(st.text(max_size=5), VALUES | HALVES, max_size=3), min_size=1, max_size=4)


@settings(max_examples=40)
@given(rows=ROWS)
def test_rows_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[json_file.Row]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "new" / "a.jsonl"
    json_file.write_rows(path, rows)
    assert json_file.read_rows(path) == rows


def test_a_line_separator_in_a_text_is_no_end_of_a_line(tmp_path: Path) -> None:
    json_file.write_rows(tmp_path / "a.jsonl", [{"text": "one\u2028two\x85three"}])
    assert json_file.read_rows(tmp_path / "a.jsonl") == [{"text": "one\u2028two\x85three"}]


def test_a_value_is_read_as_it_was_written_and_a_number_that_is_none_is_refused(tmp_path: Path) -> None:
    json_file.write(tmp_path / "a.json", {"a": [1, "ä"]})
    assert json_file.read(tmp_path / "a.json") == {"a": [1, "ä"]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_file.write(tmp_path / "a.json", {"a": float("nan")})
    assert json_file.read(tmp_path / "a.json") == {"a": [1, "ä"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no rows"),
        (b'{"a": 1}\n\n{\n', "line 3 is not JSON"),
        (b'\xef\xbb\xbf{"a": 1}\n[]\n', "line 2 is no JSON object"),
        (b'{"a": 1}\n{"b": 1}\n', r"line 2 lacks 'a'; it has: b"),
        (b'{"a": "\xff"}\n', "cannot be read: 'utf-8' codec"),
        (b"[" * 100_000, "line 1 is nested too deeply"),
    ],
)
def test_what_is_no_row_is_named_by_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(CommandError, match=said):
        json_file.read_rows(tmp_path / "a.jsonl", ["a"])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"a\.json cannot be read: No such file"):
        json_file.read(tmp_path / "a.json")


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert content_digest.of(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")
