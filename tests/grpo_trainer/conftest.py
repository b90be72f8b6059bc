"""A tiny policy and a reward server on loopback, for every test of the trainer."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.examination.preflight import Ready
from guerdon.messages import RewardInfo, RewardList, RewardScores, Score, ScoreRequest, ScoreResponse


def info(name: str) -> RewardInfo:
    return RewardInfo.model_validate(
        {
            "name": name,
            "kind": name,
            "description": name,
            "scope": "item",
            "runs": "inline",
            "reads": ["completion"],
            "needs": [],
            "range": {"low": 0, "high": 1, "better": "higher"},
            "components": {"letters": {"low": 0, "high": None, "better": None}},
            "version": f"{name}-1",
            "settings": {},
            "settings_schema": {},
        }
    )


def letters(completion: Any) -> int:
    text = completion if isinstance(completion, str) else completion[-1].content
    return sum(letter.isalpha() for letter in text)


VALUES: dict[str, Callable[[Any], float]] = {
    "letters": lambda completion: (letters(completion) % 7) / 7,
    "vowels": lambda completion: (letters(completion) % 7) / 7,  # the same: it teaches nothing beside letters
    "digits": lambda completion: sum(letter.isdigit() for letter in str(completion)) % 3 / 3,
    "constant": lambda completion: 0.5,
}


@dataclass
class RewardServer:
    """Answers the v1 contract. The rewards of VALUES score any text; `fails` says which items have no score.

    `lists` holds the statuses with which it answers first when it is asked what it serves.
    """

    url: str = ""
    requests: list[ScoreRequest] = field(default_factory=list)
    request_ids: list[str] = field(default_factory=list)
    lists: list[int] = field(default_factory=list)
    fails: Callable[[str, int], bool] = lambda reward, index: False

    def scores(self, request: ScoreRequest) -> ScoreResponse:
        self.requests.append(request)
        rewards = []
        for name in request.rewards:
            scores = [
                Score.failed("timeout", "too slow")
                if self.fails(name, index)
                else Score(value=VALUES[name](item.completion), components={"letters": letters(item.completion)})
                for index, item in enumerate(request.items)
            ]
            rewards.append(RewardScores(reward=name, version=f"{name}-1", scores=scores))
        return ScoreResponse(rewards=rewards)


@pytest.fixture
def reward_server() -> Iterator[RewardServer]:
    state = RewardServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if state.lists:
                self.answer('{"error": "not now"}', state.lists.pop(0))
            else:
                self.answer(RewardList(rewards=[info(name) for name in VALUES]).model_dump_json())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.request_ids.append(self.headers["x-request-id"])
            self.answer(state.scores(ScoreRequest.model_validate_json(body)).model_dump_json())

        def answer(self, body: str, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def tiny_run(tiny_policy: Path, reward_server: RewardServer, tmp_path: Path) -> Callable[..., Ready]:
    """A run of two steps, two groups of four each; keyword arguments replace keys of its sections."""

    def ready(resume: bool = False, rewards: Any = None, **sections: dict[str, Any]) -> Ready:
        settings: dict[str, dict[str, Any]] = {
            "policy": {"model": str(tiny_policy), "prompt": "plain", "end_of_turn": "\n"},
            "dataset": {"name": "sql_cot"},
            "services": {"reward_url": reward_server.url, "deadline_s": 5.0},
            "grpo": {
                "max_steps": 2,
                "num_generations": 4,
                "per_device_train_batch_size": 4,
                "gradient_accumulation_steps": 2,
                "max_completion_length": 8,
                "learning_rate": 1e-2,
                "gradient_checkpointing": False,
            },
        }
        for name, changes in sections.items():
            settings[name] = settings.get(name, {}) | changes
        rewards = rewards or [{"name": "letters", "weight": 1.0}, {"name": "vowels", "weight": 0.5}]
        config = RunConfig.model_validate({**settings, "rewards": rewards})
        rows = [{"prompt": f"count {number}:", "reference": None, "note": "n"} for number in range(8)]
        served = {name: info(name) for name in config.weights}
        return Ready("tiny", config, tmp_path / "out", (rows, rows[:4]), served, None, resume)

    return ready


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
