from contextlib import suppress
from pathlib import Path

import pytest

from long_work import written_whole
from long_work.command_error import CommandError


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    written_whole.text(tmp_path / "new" / "a.txt", "one")
    written_whole.text(tmp_path / "new" / "a.txt", "two")
    assert [(file.name, file.read_text()) for file in (tmp_path / "new").iterdir()] == [("a.txt", "two")]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match=r"a\.txt cannot be written"):
        written_whole.text(tmp_path / "file" / "a.txt", "one")


def test_a_folder_has_its_name_only_once_all_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()  # an empty one is nobody's
    with written_whole.folder(tmp_path / "made") as folder:
        (folder / "weights").touch()
        assert not any((tmp_path / "made").iterdir())
    assert [file.name for file in tmp_path.glob("**/*") if file.is_file()] == ["weights"]
    assert (tmp_path / "made" / "weights").exists()


def test_an_interrupted_folder_leaves_nothing(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), written_whole.folder(tmp_path / "made") as folder:
        (folder / "weights").touch()
        raise KeyboardInterrupt
    assert not any(tmp_path.iterdir())


def test_a_folder_that_has_something_in_it_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(CommandError, match="is not empty"), written_whole.folder(tmp_path):
        pytest.fail("the work was begun")


def test_what_somebody_else_has_put_there_meanwhile_stays(tmp_path: Path) -> None:
    made = written_whole.folder(tmp_path / "made")
    made.__enter__()
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "theirs").touch()
    with pytest.raises(CommandError, match="made cannot be written"):
        made.__exit__(None, None, None)
    assert [file.name for file in tmp_path.glob("**/*") if file.is_file()] == ["theirs"]
