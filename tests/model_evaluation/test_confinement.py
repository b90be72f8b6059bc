"""Tests of untrusted code: what runs to its end is right, and nothing reaches the network or outlives its time."""

import fcntl
import socket
from pathlib import Path

import pytest

from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.prompts import Prompt
from model_evaluation.solving import checkers, isolation
from model_evaluation.solving.confinement import Confinement, Limits, mark, verdict
from model_evaluation.solving.process import Process
from model_evaluation.solving.program import code, program, suspicion
from model_evaluation.solving.verdict import Verdict


@pytest.fixture(scope="module")
def place() -> Confinement:
    return isolation.chosen("process", Limits(seconds=5, memory_mb=512), "unused")


def ran(place: Confinement, completion: str, tests: str = "") -> Verdict:
    done = mark()
    return verdict(place, program(completion, tests, "", done), done)


def test_code_that_passes_its_tests_is_right_and_code_that_does_not_is_wrong(place: Confinement) -> None:
    assert ran(place, "Here:\n```python\ndef f(x):\n    return 2 * x\n```\nDone.", "assert f(2) == 4").right is True
    wrong = ran(place, "def f(x):\n    return x", "assert f(2) == 4")
    assert wrong.right is False
    assert "AssertionError" in (wrong.error or "")


@pytest.mark.parametrize(
    "said",
    [
        "import sys\nprint('no newline', end='')\nprint('nor here', end='', file=sys.stderr)",
        "import io, sys\nsys.stdout = io.StringIO()\nprint('read by a test')",
        "def print(*words):\n    pass",
    ],
)
def test_what_a_program_does_to_its_output_does_not_hide_that_it_came_to_its_end(place: Confinement, said: str) -> None:
    assert ran(place, said, "assert True").right is True


@pytest.mark.parametrize("leaving", ["import os; os._exit(0)", "raise SystemExit(0)", "print('done')\nexit()"])
def test_leaving_early_does_not_pass_for_success(place: Confinement, leaving: str) -> None:
    assert ran(place, leaving, "assert False").right is False


def test_success_that_is_forged_from_the_own_program_is_not_seen_but_flagged(place: Confinement) -> None:
    mark = "print(re.findall('done-[0-9a-f]+', open(__file__).read())[-1], flush=True)"
    forged = f"import os, re\n{mark}\nos._exit(0)"
    assert ran(place, forged, "assert False").right is True
    assert suspicion(forged) == "__file__"
    assert suspicion("Here:\n```python\nimport sys\nprint(sys.argv)\n```") == "argv"


def test_ordinary_solutions_are_not_flagged() -> None:
    assert (
        suspicion("def f(x):\n    return [2 * one for one in x]\n\nif __name__ == '__main__':\n    print(f([1]))")
        is None
    )
    assert suspicion("One can inspect the list.\n```python\ndef f(x): return x\n```") is None


def test_no_socket_can_be_opened(place: Confinement) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = ran(place, f"import socket\nsocket.create_connection(('127.0.0.1', {port}))")
    assert found.right is False
    assert "PermissionError" in (found.error or "")


def test_memory_is_bounded(place: Confinement) -> None:
    assert "MemoryError" in (ran(place, "x = bytearray(2 * 10**9)").error or "")


def leaving(outlived: Path, then: str) -> str:
    """A program whose child leaves its process group if it can, and would tell in a while that it outlived the program.

    As long as the child lives, it holds the lock of the file next to `outlived`.
    """
    return f"""
import fcntl, os, time
reading, writing = os.pipe()
if os.fork() == 0:
    for leave in (os.setsid, lambda: os.setpgid(0, 0)):
        try:
            leave()
        except PermissionError:
            pass
    lock = open({str(outlived.with_name("lock"))!r}, "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.write(writing, b"!")
    time.sleep(20)
    open({str(outlived)!r}, "w")
    os._exit(0)
os.read(reading, 1)
{then}
"""


def outlives(outlived: Path) -> bool:
    with outlived.with_name("lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as soon as the child is gone
    return outlived.exists()


@pytest.mark.parametrize("namespaces", [True, False])
def test_what_a_program_started_ends_with_it_even_if_it_would_leave_its_group(namespaces: bool, tmp_path: Path) -> None:
    place = Process(Limits(seconds=10, memory_mb=512), "unused")
    place._unshare = place._unshare if namespaces else []
    assert ran(place, leaving(tmp_path / "outlived", "")).right is True
    assert not outlives(tmp_path / "outlived")


def test_what_does_not_end_is_wrong_and_what_it_started_ends_with_it(tmp_path: Path) -> None:
    short = Process(Limits(seconds=1, memory_mb=512), "unused")
    (tmp_path / "lock").touch()
    assert ran(short, leaving(tmp_path / "outlived", "time.sleep(60)")).error == "out of time"
    assert not outlives(tmp_path / "outlived")


def test_the_report_is_told_how_tests_were_confined(place: Confinement) -> None:
    assert "no sockets" in place.described
    assert "512 MB" in place.described


def test_no_verdict_depends_on_why_the_place_was_chosen(place: Confinement) -> None:
    again = Process(Limits(seconds=5, memory_mb=512), "no container engine answers")
    prompts = [Prompt((("user", "two"),), "two", "assert True")]
    asked, fallen_back = (checkers.tests(prompts, one, continues=False) for one in (place, again))

    assert asked.identity == fallen_back.identity
    assert (asked.note, fallen_back.note) == ("a process was asked for", "no container engine answers")


def test_a_container_that_cannot_be_had_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(EvaluationError, match="isolation docker"):
        isolation.chosen("docker", Limits(), "python:3.12-slim")


@pytest.mark.parametrize(
    ("completion", "expected"),
    [("x = 1", "x = 1"), ("```python\nx = 1\n```", "x = 1"), ("Sure.\n```\nx = 1\n```\n```\ny\n```", "x = 1")],
)
def test_the_first_block_of_code_is_taken_and_all_where_there_is_none(completion: str, expected: str) -> None:
    assert code(completion) == expected
