"""Stand-ins for the processes that the stack starts, and a way to see which processes are left."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

STAND_INS = Path(__file__).parent / "stand_ins"
ROOTS = [str(Path(__file__).parents[2] / name) for name in ("proto", "services", "trainer")]


def eventually(condition: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until `condition()` is true; fail when it is not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {condition}"
        time.sleep(0.02)


@dataclass
class Place:
    """A cache directory of its own for one test: every process started for the test carries its name."""

    path: Path
    commands: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return {"XDG_CACHE_HOME": str(self.path), "PYTHONPATH": os.pathsep.join([str(STAND_INS), *ROOTS])}

    def processes(self, text: str = "") -> list[int]:
        """Return the ids of this test's processes whose command line contains `text`; zombies are dead."""
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit()
            and int(entry.name) != os.getpid()
            and str(self.path).encode() in contents(entry / "environ")
            and text.encode() in contents(entry / "cmdline").replace(b"\0", b" ")
        ]

    def guerdon(self, *arguments: str, prefix: tuple[str, ...] = (), **env: str) -> subprocess.Popen[str]:
        """Start `guerdon ARGUMENTS`, its output in the files out and err."""
        with (self.path / "out").open("w") as out, (self.path / "err").open("w") as err:
            command = subprocess.Popen(
                [*prefix, sys.executable, "-m", "guerdon.cli", *arguments],
                stdout=out,
                stderr=err,
                cwd=self.path,
                text=True,
                env={**os.environ, **self.env, **env},
            )
        self.commands.append(command)
        return command

    @property
    def out(self) -> str:
        return (self.path / "out").read_text()

    @property
    def err(self) -> str:
        return (self.path / "err").read_text()

    def await_word(self, word: str, command: subprocess.Popen[str]) -> None:
        """Wait until `command` prints `word`; fail with what it said when it ends without."""
        eventually(lambda: word in self.out or command.poll() is not None, within_s=60)
        assert word in self.out, self.err


def contents(path: Path) -> bytes:
    with suppress(OSError):
        return path.read_bytes()
    return b""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name in [name for name in os.environ if name.startswith("GUERDON_")]:
        monkeypatch.delenv(name)
    here = Place(tmp_path)
    yield here
    for command in here.commands:
        command.kill()
        command.wait()
    eventually(lambda: not here.processes())
