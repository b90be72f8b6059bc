"""Secrets and texts are marked; whatever goes wrong, no log and no metric has the mark."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from local_stack.address import free_port
from local_stack.stack import Stack
from local_stack.valkey import binary

MARK = "xyzzy7"
TOKEN = {"authorization": f"Bearer {MARK}-token"}
REWARDS = """
[length]
kind = "length"
[diversity]
kind = "diversity"
[similarity]
kind = "similarity"
[picky]
kind = "picky"
[queued_picky]
kind = "picky"
runs = "worker"
"""


def item(does: str = "") -> dict[str, Any]:
    return {
        "prompt": f"{MARK} prompt",
        "completion": f"{MARK} completion {does}",
        "reference": {"text": f"{MARK} reference"},
        "context": {f"{MARK} key": f"{MARK} context"},
    }


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    directory = tmp_path_factory.mktemp("valkey")
    command = [binary(), "--port", str(port), "--requirepass", f"{MARK}-password", "--dir", str(directory)]
    process = subprocess.Popen([*command, "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL)
    yield f"redis://:{MARK}-password@127.0.0.1:{port}/0"
    process.kill()
    process.wait()


@pytest.fixture(scope="module", params=["text", "json"])
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_url: str, acme: dict[str, str]
) -> Iterator[Stack]:
    config = tmp_path_factory.mktemp("config") / "rewards.toml"
    config.write_text(REWARDS)
    env = acme | {
        "GUERDON_REWARD_TOKEN": f"{MARK}-token",
        "GUERDON_REWARD_LOG_FORMAT": request.param,
        "GUERDON_REWARD_LOG_LEVEL": "DEBUG",
        "GUERDON_REWARD_RESUBMIT_AFTER_S": "1",
        "GUERDON_REWARD_METRICS_PORT": str(free_port()),
    }
    directory = tmp_path_factory.mktemp("stack")
    with Stack(config=config, directory=directory, threads=1, env=env, redis_url=redis_url) as running:
        provoke(running)
        yield running


def provoke(stack: Stack) -> None:
    """Make everything go wrong, with marked texts."""
    with httpx.Client(base_url=stack.url, timeout=60, trust_env=False, headers=TOKEN) as http:
        for reward in ("length", "similarity", "diversity", "picky", "queued_picky"):
            for does in ("", "raise", "nan", "text"):
                answer = score(http, [reward], [item(), item(does)])
                assert answer.status_code == 200, answer.text
        assert MARK in score(http, ["queued_picky"], [item("raise")]).text  # its caller may know
        assert score(http, ["queued_picky"], [item("exit")]).status_code == 200
        be_wrong(http)
        push_poison(str(stack.redis_url), queue_of(http, "queued_picky"))
        lose_the_worker(stack, http)
        lose_redis(stack, http)


def score(http: httpx.Client, rewards: list[str], items: list[Any], **more: Any) -> httpx.Response:
    return http.post("/v1/score", json={"rewards": rewards, "items": items, "deadline_s": 30, **more})


def be_wrong(http: httpx.Client) -> None:
    """Send what must be refused."""
    deep = {"context": {"a": json.loads("[" * 300 + f'"{MARK}"' + "]" * 300)}}
    assert score(http, ["picky", "queued_picky"], [item() | deep]).status_code in (200, 422)
    assert score(http, [f"{MARK}-reward"], [item()]).status_code == 422
    assert score(http, ["length"], [{"completion": 5, f"{MARK}-field": MARK}]).status_code == 422
    assert score(http, ["diversity"], [item(), item() | {"prompt": f"another {MARK}"}]).status_code == 422
    assert score(http, ["length"], [item() | {"completion": MARK * 2_000_000}]).status_code == 413
    for body in (b'{"rewards": ["' + MARK.encode(), b'"\xff' + MARK.encode(), b'{"a": NaN, "b": "%b"}' % MARK.encode()):
        assert http.post("/v1/score", content=body).status_code == 422
    assert http.get(f"/v1/{MARK}?q={MARK}").status_code == 404
    for wrong in (f"Bearer {MARK}-wrong", f"Basic {MARK}"):
        assert http.get("/v1/rewards", headers={"authorization": wrong}).status_code == 401


def queue_of(http: httpx.Client, reward: str) -> str:
    served = {one["name"]: one["version"] for one in http.get("/v1/rewards").json()["rewards"]}
    return f"guerdon.{reward}.{served[reward]}"


def push_poison(url: str, queue: str) -> None:
    """Put on the queue what only somebody with Redis' password can: messages of a wrong shape."""
    properties = {"delivery_info": {"exchange": "", "routing_key": queue}, "delivery_tag": MARK}
    body = json.dumps([[f'{{"reward": "queued_picky", "{MARK}": 1}}'], {}, {}])
    with redis.Redis.from_url(url) as connection:
        for task in ("guerdon.score", f"{MARK}.unknown"):
            headers = {"task": task, "id": MARK, "lang": "py", "argsrepr": MARK, "kwargsrepr": MARK}
            message = {"body": body, "content-type": "application/json", "content-encoding": "utf-8"}
            text = json.dumps(message | {"headers": headers, "properties": properties})
            connection.lpush(queue, text)


def lose_the_worker(stack: Stack, http: httpx.Client) -> None:
    """Send what kills every worker that takes it."""
    before = stack.processes["reward-worker"].pid
    score(http, ["queued_picky"], [item("die")], deadline_s=8)
    eventually(lambda: stack.processes["reward-worker"].pid != before)
    assert score(http, ["queued_picky"], [item("afterwards")], deadline_s=60).status_code == 200


def lose_redis(stack: Stack, http: httpx.Client) -> None:
    with redis.Redis.from_url(str(stack.redis_url)) as connection:
        pid = int(connection.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        assert score(http, ["queued_picky"], [item("while Redis is away")], deadline_s=2).status_code == 503
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: http.get("/readyz").status_code == 200)


def eventually(condition: Callable[[], bool], within_s: float = 60) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def marked(text: str) -> list[str]:
    return [line[:500] for line in text.splitlines() if MARK in line]


def test_no_log_has_a_text_or_a_secret(stack: Stack) -> None:
    assert stack.directory is not None
    logs = {log.name: log.read_text(errors="replace") for log in stack.directory.glob("*.log")}
    assert {"reward-api.log", "reward-worker.log"} <= logs.keys()
    assert all("guerdon." in logs[name] for name in ("reward-api.log", "reward-worker.log"))
    assert {name: marked(text) for name, text in logs.items() if MARK in text} == {}


def test_no_metric_has_a_text_or_a_secret(stack: Stack) -> None:
    for url in (stack.url, f"http://127.0.0.1:{stack.env['GUERDON_REWARD_METRICS_PORT']}"):
        text = httpx.get(f"{url}/metrics", trust_env=False).text
        assert "guerdon_" in text
        assert marked(text) == []


def test_no_answer_has_a_secret(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as http:
        answers = [
            http.get(path, headers=headers).text
            for path in ("/v1/rewards", "/readyz", "/healthz", "/openapi.json", "/nowhere", "/v1/score")
            for headers in (TOKEN, {})
        ]
        answers.append(http.post("/v1/score", headers=TOKEN, json={"rewards": ["length"], "items": 5}).text)
    assert [marked(text) for text in answers if MARK in text] == []


def test_every_line_of_a_json_log_is_an_object(stack: Stack) -> None:
    if stack.env["GUERDON_REWARD_LOG_FORMAT"] != "json":
        pytest.skip("this stack logs text")
    assert stack.directory is not None
    lines = [
        line
        for name in ("reward-api", "reward-worker")
        for line in (Path(stack.directory) / f"{name}.log").read_text().splitlines()
    ]
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(json.loads(line)) for line in lines))
