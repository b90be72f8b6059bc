import os
import subprocess
import sys
from pathlib import Path

import pytest

from guerdon.cli import COMMANDS, HUNG_UP, Command, main, usage


def unread(arguments: str, *, buffered: bool = True, stderr_too: bool = False) -> subprocess.CompletedProcess[bytes]:
    """Run a command whose output nobody reads."""
    read, write = os.pipe()
    os.close(read)
    try:
        return subprocess.run(
            [sys.executable, "-m", "guerdon.cli", *arguments.split()],
            stdout=write,
            stderr=write if stderr_too else subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"},
            timeout=60,
        )
    finally:
        os.close(write)


@pytest.mark.parametrize(
    ("arguments", "buffered"),
    [("--help", True), ("--help", False), ("train --help", True), ("doctor no-such-run", True)],
)
def test_a_command_whose_reader_has_gone_ends_without_a_word(arguments: str, buffered: bool) -> None:
    ended = unread(arguments, buffered=buffered)
    assert (ended.returncode, ended.stderr) == (HUNG_UP, b"")


def test_an_error_that_nobody_reads_ends_the_command_too() -> None:
    assert unread("no-such-command", stderr_too=True).returncode == HUNG_UP


def test_a_broken_pipe_of_the_commands_own_stays_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import os\ndef main(argv):\n    read, write = os.pipe()\n    os.close(read)\n    os.write(write, b'x')\n"
    (tmp_path / "writes_to_nobody.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(COMMANDS, "write", Command("writes_to_nobody", "main", "", ""))
    with pytest.raises(BrokenPipeError):
        main(["write"])


def test_a_command_without_a_standard_output_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["--version"]) == 0


def test_the_help_of_every_command_begins_in_the_same_column() -> None:
    lines = {line.split()[0]: line for line in usage().splitlines() if line.startswith("  ")}
    assert {name: lines[name].index(command.help) for name, command in COMMANDS.items()} == dict.fromkeys(
        COMMANDS, 4 + max(map(len, COMMANDS))
    )
