"""Policies that come as GGUF, kept as safetensors in the user's cache: converted once, whole or not at all."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from long_work import content_digest

MARK = "complete.json"
"""Names every file of an entry with its size; an entry whose files differ from it is built again."""
BUILDING = ".building-"
ABANDONED_S = 24 * 3600


class CacheError(Exception):
    """The cache cannot hold the model; the message says where and how much it needs."""


def root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "guerdon" / "models"


def entry(name: str, build: Callable[[Path], None]) -> Path:
    """Return the cache's directory `name`; `build` fills an empty one when there is none.

    `build` writes into a temporary directory, which takes the name only when everything is on disk, so that a process
    killed at any moment leaves no entry. Two processes may build at once; the first one's entry stays.

    Raises:
        CacheError: the cache is not writable, or the disk is full.
    """
    place = root() / name
    if is_complete(place):
        return place
    with _explained(root()):
        root().mkdir(parents=True, exist_ok=True)
        _forget_abandoned()
        with tempfile.TemporaryDirectory(prefix=BUILDING, dir=root(), ignore_cleanup_errors=True) as scratch:
            made = Path(scratch) / "entry"
            made.mkdir()
            build(made)
            _seal(made)
            _take_the_name(made, place)
    return place


def is_complete(place: Path) -> bool:
    try:
        sizes = json.loads((place / MARK).read_text())
        return bool(sizes) and all((place / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def require_space(folder: Path, size: int) -> None:
    """Refuse before writing what cannot fit.

    Raises:
        CacheError: `folder`'s disk has less than `size` bytes left.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise CacheError(
            f"no space for the model in {root()}: it needs {size / 1e9:.2f} GB and {free / 1e9:.2f} GB are free. "
            "Free some, or set XDG_CACHE_HOME to a directory on a larger disk."
        )


def packaged_gguf(package: str, folder: Path) -> Path:
    """Put the GGUF file that an installed package carries into `folder`; return its path."""
    module = import_module(package)
    require_space(folder, sum(part.stat().st_size for part in module.chunk_paths()))
    return Path(module.assemble(folder / "model.gguf"))


def content_name(file: Path) -> str:
    """Return a name of the file's content, so that a replaced file is converted again."""
    return f"gguf-{content_digest.of(file)[:24]}"


def _seal(made: Path) -> None:
    sizes = {}
    for file in sorted(made.iterdir()):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())  # a rename may reach the disk before the bytes do
        sizes[file.name] = file.stat().st_size
    with (made / MARK).open("w") as stream:
        json.dump(sizes, stream)
        stream.flush()
        os.fsync(stream.fileno())


def _take_the_name(made: Path, place: Path) -> None:
    if place.exists() and not is_complete(place):
        place.rename(made.parent / "damaged")
    try:
        made.rename(place)
    except OSError:
        if not is_complete(place):  # else another process was first, and its entry is as good
            raise


def _forget_abandoned() -> None:
    for scratch in root().glob(f"{BUILDING}*"):
        if time.time() - scratch.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise CacheError(
            f"the model cache {folder} cannot be written: {error.strerror or error}. Free some space there, or set "
            "XDG_CACHE_HOME to a writable directory on a larger disk."
        ) from error
