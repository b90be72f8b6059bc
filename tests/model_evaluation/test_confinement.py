"""Tests of untrusted code: what runs to its end is right, and nothing reaches the network or outlives its time."""

import socket
from pathlib import Path

import pytest

from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.solving import isolation
from model_evaluation.solving.confinement import Confinement, Limits, mark, verdict
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


@pytest.mark.parametrize("leaving", ["import os; os._exit(0)", "raise SystemExit(0)", "print('done')\nexit()"])
def test_leaving_early_does_not_pass_for_success(place: Confinement, leaving: str) -> None:
    assert ran(place, leaving, "assert False").right is False


def test_success_that_is_forged_from_the_own_program_is_not_seen_but_flagged(place: Confinement) -> None:
    mark = "print(open(__file__).read().splitlines()[-1].split(chr(39))[1], flush=True)"
    forged = f"import os\n{mark}\nos._exit(0)"
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


def test_what_does_not_end_is_wrong_and_what_it_started_ends_with_it(tmp_path: Path) -> None:
    short = isolation.chosen("process", Limits(seconds=1, memory_mb=512), "unused")
    sign = tmp_path / "alive"
    child = f"import time; time.sleep(1.5); open({str(sign)!r}, 'w')"
    completion = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(60)"
    assert ran(short, completion).error == "out of time"
    ran(short, "import time; time.sleep(60)")  # a second in which the child would have written
    assert not sign.exists()


def test_the_report_is_told_how_tests_were_confined(place: Confinement) -> None:
    assert "no sockets" in place.described
    assert "512 MB" in place.described


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
