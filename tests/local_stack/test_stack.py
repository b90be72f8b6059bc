"""The stack as a `with` block, with stand-ins for the server and its worker and a real Valkey."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.local_stack.conftest import Place, eventually

from local_stack import Stack, StackError


@pytest.fixture
def stack(place: Place) -> Stack:
    return Stack(env=place.env, directory=place.path / "run")


def test_the_api_serves_from_the_first_line_of_the_block(stack: Stack) -> None:
    with stack:
        assert httpx.get(f"{stack.url}/readyz").json()["ready"]


def test_nothing_runs_after_the_block_not_even_what_the_worker_started(stack: Stack, place: Place) -> None:
    with stack:
        assert len(place.processes()) == 3
        assert place.processes("sleep 1000")
        pids = [process.pid for process in stack.processes.values()]
    assert not place.processes()
    assert not any(pid and Path(f"/proc/{pid}").exists() for pid in pids)


def test_nothing_runs_after_an_exception_in_the_block(stack: Stack, place: Place) -> None:
    with pytest.raises(ZeroDivisionError), stack:
        _ = 1 / 0
    assert not place.processes()


def test_two_stacks_share_nothing(place: Place) -> None:
    first = Stack(env=place.env, directory=place.path / "1")
    second = Stack(env=place.env, directory=place.path / "2")
    with first, second:
        assert first.url != second.url
        redis.Redis.from_url(first.redis_url or "").set("key", 1)
        assert redis.Redis.from_url(second.redis_url or "").get("key") is None


@pytest.mark.parametrize("name", ["reward-api", "reward-worker", "redis"])
def test_what_is_killed_is_started_again(stack: Stack, name: str) -> None:
    with stack:
        process = stack.processes[name]
        former = process.pid
        assert former
        os.kill(former, signal.SIGKILL)
        eventually(lambda: process.running and process.pid != former)
        eventually(lambda: answers(stack))
        assert stack.failure is None


def answers(stack: Stack) -> bool:
    try:
        return bool(redis.Redis.from_url(stack.redis_url or "").ping() and httpx.get(f"{stack.url}/readyz").is_success)
    except (redis.RedisError, httpx.HTTPError):
        return False


def test_a_server_that_cannot_start_ends_the_attempt_with_its_own_words(place: Place) -> None:
    (place.path / "why").write_text("rewards.toml has no [helpful]")
    with pytest.raises(StackError, match=r"(?s)reward-api exited with 1 as it started.*no \[helpful\]"):
        Stack(env={**place.env, "STAND_IN_REFUSES": str(place.path / "why")}, directory=place.path / "run").start()


def test_a_crash_loop_is_given_up_with_the_end_of_the_log(place: Place) -> None:
    why = place.path / "why"
    env = {**place.env, "STAND_IN_WORKER_REFUSES": str(why)}
    with Stack(env=env, directory=place.path / "run") as stack:
        why.write_text("the model file is gone")
        os.kill(stack.processes["reward-worker"].pid or 0, signal.SIGKILL)
        eventually(lambda: stack.failure is not None, within_s=40)
        assert "5 times in a row" in (stack.failure or "")
        assert "the model file is gone" in (stack.failure or "")


def test_the_password_is_in_no_command_line_and_no_log(stack: Stack, place: Place) -> None:
    with stack:
        password = (stack.redis_url or "").split(":")[2].split("@")[0]
        assert len(password) > 20
        listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert password not in listing
        assert not [path for path in (place.path / "run").glob("*.log") if password in path.read_text()]
        assert password not in repr(stack) + repr(stack.processes)
        assert stack.password_file
        assert stack.password_file.stat().st_mode & 0o077 == 0


def test_redis_asks_for_its_password(stack: Stack) -> None:
    with stack:
        address = (stack.redis_url or "").partition("@")[2]
        with pytest.raises(redis.AuthenticationError):
            redis.Redis.from_url(f"redis://{address}", retry=Retry(NoBackoff(), 0)).ping()


def test_a_data_directory_carries_what_redis_holds_to_the_next_stack(place: Place) -> None:
    for number in (1, 2):
        with Stack(env=place.env, directory=place.path / str(number), data=place.path / "kept") as stack:
            client = redis.Redis.from_url(stack.redis_url or "")
            assert client.incr("runs") == number


def test_a_redis_that_is_already_there_is_used_and_left_running(place: Place) -> None:
    with Stack(env=place.env, directory=place.path / "1") as owner:
        with Stack(env=place.env, directory=place.path / "2", redis_url=owner.redis_url) as guest:
            assert "redis" not in guest.processes
        assert redis.Redis.from_url(owner.redis_url or "").ping()


def test_one_thread_is_what_the_worker_is_told_unless_the_environment_says_otherwise(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack(threads=1)
    assert stack._thread_environment()["GUERDON_REWARD_THREADS"] == "1"
    monkeypatch.setenv("GUERDON_REWARD_THREADS", "3")
    assert stack._thread_environment() == {"GUERDON_REWARD_THREADS": "3", "OMP_NUM_THREADS": "3"}


def test_a_stack_dies_with_the_process_that_holds_it(place: Place) -> None:
    script = "import os, signal; from local_stack import Stack; Stack().start(); os.kill(os.getpid(), signal.SIGKILL)"
    ended = subprocess.run([sys.executable, "-c", script], env={**os.environ, **place.env}, check=False)
    assert ended.returncode == -signal.SIGKILL
    eventually(lambda: not place.processes("reward_server") and not place.processes("valkey"))


def test_a_redis_that_cannot_start_is_reported_with_its_own_words(place: Place) -> None:
    damaged = place.path / "kept" / "appendonlydir"
    damaged.mkdir(parents=True)
    (damaged / "appendonly.aof.manifest").write_text("this is no manifest\n")
    with pytest.raises(StackError, match=r"(?s)redis exited with 1 as it started.*manifest"):
        Stack(env=place.env, directory=place.path / "run", data=place.path / "kept").start()
    assert not place.processes()
