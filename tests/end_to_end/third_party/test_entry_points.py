"""Kinds of other distributions are served like our own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local_stack.stack import Stack

REWARDS = """
[polite]
kind = "politeness"
word = "bitte"
golden = [{completion = "Ja, bitte.", value = 1.0}, {completion = "Ja, danke.", value = 1.0}]
[queued_polite]
kind = "politeness"
runs = "worker"
[picky]
kind = "picky"
runs = "worker"
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "rewards.toml"
    path.write_text(REWARDS)
    return path


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory, config: Path, acme: dict[str, str]) -> Iterator[httpx.Client]:
    with (
        Stack(config=config, directory=tmp_path_factory.mktemp("stack"), threads=1, env=acme) as stack,
        httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as client,
    ):
        yield client


def test_a_kind_of_another_distribution_is_listed_with_its_settings_and_docstring(http: httpx.Client) -> None:
    listed = {one["name"]: one for one in http.get("/v1/rewards").json()["rewards"]}
    assert listed["polite"]["kind"] == "politeness"
    assert listed["polite"]["settings"] == {"word": "bitte"}
    assert listed["polite"]["description"].startswith("1.0 where the completion says the magic word")
    assert listed["polite"]["components"] == {"words": {"low": 0, "high": None, "better": None}}
    assert listed["picky"]["kind"] == "picky"


@pytest.mark.parametrize(("reward", "word"), [("polite", "bitte"), ("queued_polite", "please")])
def test_it_scores_in_the_api_and_on_a_worker(http: httpx.Client, reward: str, word: str) -> None:
    items = [{"completion": f"Yes, {word}."}, {"completion": "Now!"}]
    answer = http.post("/v1/score", json={"rewards": [reward], "items": items}).json()
    scores = answer["rewards"][0]["scores"]
    assert [(score["value"], score["components"]) for score in scores] == [(1.0, {"words": 2}), (0.0, {"words": 1})]


def test_its_distribution_is_counted(http: httpx.Client) -> None:
    http.post("/v1/score", json={"rewards": ["polite"], "items": [{"completion": "bitte"}]})
    text = http.get("/metrics").text
    assert 'guerdon_score_bucket{le="1.0",reward="polite"}' in text
    assert 'guerdon_component_bucket{component="words",le="+Inf",reward="polite"}' in text


def test_its_golden_items_are_checked(config: Path, acme: dict[str, str]) -> None:
    command = [sys.executable, "-m", "guerdon.cli", "rewards", "check", str(config)]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | acme, check=False)
    assert ended.returncode == 1
    assert "[polite] golden 2 of the table scored 0, expected 1 within 1e-06" in ended.stdout
    assert "[queued_polite]" not in ended.stdout
    assert "ok (2)" in ended.stdout


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ("broken = acme_rewards.nowhere", "the kind 'broken' of 'acme_rewards.nowhere' cannot be loaded"),
        ("length = acme_rewards.politeness", "adds a kind 'length', which there is already"),
        ("clock = datetime:datetime", "the kind 'clock' of 'datetime:datetime' is no subclass of Reward"),
    ],
)
def test_a_broken_entry_point_is_named_and_nothing_is_served(
    tmp_path: Path, acme: dict[str, str], point: str, message: str
) -> None:
    folder = tmp_path / "broken-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[guerdon.rewards]\n{point}\n")
    path = os.pathsep.join([str(tmp_path), acme["PYTHONPATH"]])
    command = [sys.executable, "-m", "reward_server"]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}, check=False)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
