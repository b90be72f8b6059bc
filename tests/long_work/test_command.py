"""What a person sees of a command: its status, its one line on stderr, its progress."""

import argparse
import importlib
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from long_work import exit_status, progress
from long_work.command_error import CommandError
from long_work.progress import Progress
from long_work.whole_number import natural, positive


def ended(problem: BaseException | None) -> int:
    def run() -> int:
        if problem is not None:
            raise problem
        return exit_status.INCOMPLETE

    return exit_status.of("guerdon x", run, "trainer", "the same command goes on")


@pytest.mark.parametrize(
    ("problem", "status", "said"),
    [
        (None, 3, ""),
        (CommandError("a.jsonl has no rows"), 2, "guerdon x: a.jsonl has no rows\n"),
        (KeyboardInterrupt(), 130, "\nguerdon x: stopped; the same command goes on\n"),
    ],
)
def test_a_command_ends_with_a_status_and_one_line(
    capsys: pytest.CaptureFixture[str], problem: BaseException | None, status: int, said: str
) -> None:
    assert ended(problem) == status
    assert capsys.readouterr().err == said


def test_a_package_that_is_not_installed_is_named_with_what_installs_it(capsys: pytest.CaptureFixture[str]) -> None:
    def run() -> int:
        importlib.import_module("no_such_package.part")
        return 0

    assert exit_status.of("guerdon x", run, "trainer", "") == 1
    assert capsys.readouterr().err == "guerdon x needs 'no_such_package': pip install 'guerdon[trainer]'\n"


def test_a_module_that_is_missing_in_a_package_of_ours_is_no_matter_of_installing() -> None:
    with pytest.raises(ModuleNotFoundError):
        exit_status.of("guerdon x", lambda: int(bool(importlib.import_module("long_work.nothing"))), "trainer", "")


def test_elsewhere_than_on_a_terminal_progress_is_a_few_lines() -> None:
    out = StringIO()
    with Progress("words [b]", 4, done=1, console=Console(file=out, width=20)) as stage:
        for _ in range(3):
            stage.advance()
    assert out.getvalue() == "words [b]: 1/4 are there already\nwords [b]: 4/4, done\n"


def test_a_note_is_said_at_once_and_time_is_estimated_from_this_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    out, now = StringIO(), [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Progress("words", 100, done=90, console=Console(file=out)) as stage:
        now[0] += 4
        stage.advance(2, "loss 0.500")
    assert "words: 92/100, loss 0.500, about 16 s left" in out.getvalue()


def test_on_a_terminal_progress_is_a_bar_and_square_brackets_are_no_markup() -> None:
    screen = StringIO()
    with Progress("run[/b]x", 2, console=Console(file=screen, force_terminal=True, width=100)) as stage:
        stage.advance(2, "loss 0.5")
    assert "run[/b]x: loss 0.5" in screen.getvalue()
    assert "2/2" in screen.getvalue()


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many"])
def test_what_is_no_whole_number_from_one_on_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="a whole number from 1 on"):
        positive(text)
    assert (positive("1"), natural("0")) == (1, 0)


def test_nothing_heavy_is_loaded_but_by_the_lines_of_transformers_trainer() -> None:
    folder = Path(progress.__file__).parent
    names = sorted(file.stem for file in folder.glob("*.py") if file.stem not in {"__init__", "step_lines"})
    asked = "; ".join([f"import long_work.{name}" for name in names])
    heavy = "{'torch', 'transformers', 'numpy', 'pydantic', 'guerdon'}"
    code = f"import sys; {asked}; sys.exit(' '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
