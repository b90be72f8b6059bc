import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from grpo_trainer.model import model_cache
from grpo_trainer.model.model_cache import CacheError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "guerdon" / "models"


def build(made: Path) -> None:
    (made / "model.safetensors").write_bytes(b"weights")


def never(made: Path) -> None:
    raise AssertionError("it was built already")


def test_an_entry_is_built_once() -> None:
    place = model_cache.entry("m", build)
    assert model_cache.entry("m", never) == place
    assert (place / "model.safetensors").read_bytes() == b"weights"


def test_a_build_that_fails_leaves_nothing(cache: Path) -> None:
    def fails(made: Path) -> None:
        build(made)
        raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        model_cache.entry("m", fails)
    assert list(cache.iterdir()) == []


def test_a_process_killed_while_building_leaves_no_entry_to_believe(cache: Path) -> None:
    program = """
import os, signal
from grpo_trainer.model import model_cache
def killed(made):
    (made / "model.safetensors").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
model_cache.entry("m", killed)
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=60)
    assert done.returncode == -9
    assert not (cache / "m").exists()
    assert (model_cache.entry("m", build) / "model.safetensors").read_bytes() == b"weights"


def test_a_damaged_entry_is_built_again() -> None:
    place = model_cache.entry("m", build)
    (place / "model.safetensors").write_bytes(b"wei")
    assert (model_cache.entry("m", build) / "model.safetensors").read_bytes() == b"weights"


def test_an_abandoned_build_is_forgotten(cache: Path) -> None:
    scratch = cache / ".building-old"
    scratch.mkdir(parents=True)
    os.utime(scratch, (0, 0))
    model_cache.entry("m", build)
    assert not scratch.exists()


def test_two_builds_at_once_end_in_one_whole_entry(cache: Path) -> None:
    both = threading.Barrier(2, timeout=20)

    def together(made: Path) -> None:
        build(made)
        both.wait()

    threads = [threading.Thread(target=model_cache.entry, args=("m", together)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert model_cache.is_complete(cache / "m")
    assert [path.name for path in cache.iterdir()] == ["m"]


def test_too_little_space_names_the_place_and_the_size(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(CacheError, match=r"needs 1000000000\.00 GB") as refused:
        model_cache.require_space(tmp_path, 10**18)
    assert str(cache) in str(refused.value)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(CacheError, match="cannot be written"):
        model_cache.entry("m", build)


def test_a_file_with_other_content_has_another_name(tmp_path: Path) -> None:
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    first.write_bytes(b"one")
    second.write_bytes(b"two")
    assert model_cache.content_name(first) != model_cache.content_name(second)
