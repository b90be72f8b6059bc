"""Who is let in, and what is never said."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from guerdon.client import Refused, RewardClient
from guerdon.messages import Item, ScoreRequest
from local_stack.stack import Stack

REQUEST = ScoreRequest(rewards=["length"], items=[Item(completion="ok")])


def serve(**settings: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **settings}
    return subprocess.run(
        [sys.executable, "-m", "reward_server"], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_with_a_token_only_those_who_carry_it_are_answered(tmp_path: Path, rewards_toml: Path) -> None:
    env = {"GUERDON_REWARD_TOKEN": "canary-tökén"}
    with Stack(config=rewards_toml, directory=tmp_path, worker=False, env=env) as stack:
        with httpx.Client(base_url=stack.url, trust_env=False) as http:
            for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic canary"}):
                assert http.post("/v1/score", json=REQUEST.model_dump(), headers=headers).status_code == 401
                assert http.get("/v1/rewards", headers=headers).status_code == 401
            assert http.get("/healthz").status_code == 200
            carried = {"authorization": b"Bearer " + "canary-tökén".encode()}
            assert http.post("/v1/score", json=REQUEST.model_dump(), headers=carried).status_code == 200
        with RewardClient(stack.url) as client, pytest.raises(Refused, match="token"):
            client.score(REQUEST)
    assert not any("canary" in log.read_text(errors="replace") for log in tmp_path.glob("*.log"))


def test_the_server_does_not_listen_beyond_loopback_without_a_token() -> None:
    refused = serve(GUERDON_REWARD_HOST="0.0.0.0", GUERDON_REWARD_PORT="0", GUERDON_REWARD_TOKEN="")
    assert refused.returncode == 2
    assert "GUERDON_REWARD_TOKEN" in refused.stderr


def test_a_wrong_setting_is_named_without_the_secrets_beside_it() -> None:
    ended = serve(GUERDON_REWARD_PORT="many", GUERDON_REDIS_URL="redis://:canary-password@127.0.0.1:1/0")
    assert ended.returncode == 2
    assert "port" in ended.stderr
    assert "canary-password" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_rewards_toml_is_named_with_what_would_have_worked(tmp_path: Path) -> None:
    path = tmp_path / "rewards.toml"
    path.write_text('[a]\nkind = "lenght"\n')
    ended = serve(GUERDON_REWARD_CONFIG=str(path), GUERDON_REWARD_PORT="0")
    assert ended.returncode == 2
    assert "did you mean 'length'" in ended.stderr
