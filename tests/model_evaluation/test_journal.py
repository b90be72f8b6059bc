"""Keys of content, and records that are read back as the messages that they were; the rest is tests/long_work."""

from pathlib import Path

from guerdon.judge_messages import Grade
from model_evaluation.content_key import content_key
from model_evaluation.journal import Journal


def test_keys_do_not_depend_on_the_order_of_fields_but_on_every_value() -> None:
    assert content_key({"a": 1, "b": [2]}) == content_key({"b": [2], "a": 1})
    assert content_key({"a": 1}) != content_key({"a": "1"})


def test_a_record_is_read_back_as_the_message_that_it_was(tmp_path: Path) -> None:
    grade = Grade(score=7.0, explanation="g\u2028ood")
    Journal(tmp_path / "a.jsonl").append([{"key": "k", **grade.model_dump(mode="json")}])
    assert Journal(tmp_path / "a.jsonl").read("k", Grade) == grade
