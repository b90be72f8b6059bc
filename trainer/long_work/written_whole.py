"""Files and folders that are there whole or not at all, whenever the process that writes them is killed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from long_work.command_error import CommandError


def text(path: Path, content: str) -> None:
    """Replace a file by one with this text; half of a UTF-16 pair is written as its escape, as JSON has it.

    Raises:
        CommandError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())  # a rename may reach the disk before the bytes do
        os.replace(part, path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror or error}") from None


@contextmanager
def folder(place: Path) -> Iterator[Path]:
    """Give a folder beside `place`, which takes its name once the block has ended well.

    Raises:
        CommandError: there is something in `place`, or nothing can be written beside it.
    """
    must_be_free(place)
    part = place.absolute().with_name(f".{place.absolute().name}.{os.getpid()}.part")  # "." has no name
    try:
        part.mkdir(parents=True)
    except OSError as error:
        raise CommandError(f"{place} cannot be written: {error.strerror or error}") from None
    try:
        yield part
        _take_the_name(part, place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def must_be_free(place: Path) -> None:
    """Check that a folder could take this name, which is better known before hours of work than after them.

    Raises:
        CommandError: there is something in it, or it is none.
    """
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise CommandError(f"{place} is not empty; choose another --out, or delete it")


def _take_the_name(part: Path, place: Path) -> None:
    try:
        part.rename(place)  # takes the place of an empty folder, and of no other
    except OSError as error:
        raise CommandError(f"{place} cannot be written: {error.strerror or error}") from None
