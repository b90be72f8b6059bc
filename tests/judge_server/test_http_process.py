"""`python -m judge_server`: what it refuses to start with, and how it stops."""

import signal
import threading
from pathlib import Path

import pytest
from tests.judge_server.judge_process import running, started
from tests.judge_server.loopback import Behaviour, serving

LAB = """
[lab]
kind = "openai_compatible"
base_url = "{url}"
model = "lab-1"
"""
NOWHERE = LAB.format(url="http://127.0.0.1:9/v1")
VERDICT = '{"explanation": "A is right.", "score_a": 9, "score_b": 2, "winner": "A"}'
BODY = {"comparisons": [{"prompt": "p", "answer_a": "a", "answer_b": "b"}]}


@pytest.mark.parametrize(
    ("judges", "env", "said"),
    [
        ("[lab]\nkind = 'openai'\n", {}, "needs `model`"),
        ("[lab", {}, "not valid TOML"),
        ("[lab]\nkind = 'crystal_ball'\n", {}, "crystal_ball"),
        (NOWHERE, {"GUERDON_JUDGE_HOST": "0.0.0.0"}, "GUERDON_JUDGE_TOKEN"),
        (NOWHERE, {"GUERDON_JUDGE_REPLICAS": "2", "GUERDON_JUDGE_REDIS_URL": "redis://127.0.0.1:1"}, "SQLite"),
        (NOWHERE, {"GUERDON_JUDGE_PORT": "eighty"}, "port"),
        (NOWHERE + 'name = "x"\n', {}, "[lab] holds a name"),
        (NOWHERE, {"GUERDON_JUDGE_REDIS_URL": "localhost:6379"}, "redis://host:6379/0"),
        (NOWHERE, {"GUERDON_JUDGE_REDIS_URL": "redis://localhost:port/0"}, "redis://host:6379/0"),
        (NOWHERE, {"GUERDON_JUDGE_LEDGER": "postgresql://u:secret@h:port/x"}, "postgresql://user@host:5432/name"),
    ],
)
def test_a_wrong_configuration_is_named_and_ends_with_status_2(
    tmp_path: Path, judges: str, env: dict[str, str], said: str
) -> None:
    assert started(tmp_path, judges, **env).wait(60) == 2
    log = (tmp_path / "log").read_text()
    assert said in log
    assert "Traceback" not in log


def test_it_starts_without_asking_any_provider_and_says_so_of_a_call_only(tmp_path: Path) -> None:
    with running(tmp_path, NOWHERE + "attempts = 1\n") as judge:
        [verdict] = judge.http.post("/v1/compare", json=BODY).json()["verdicts"]
        assert (verdict["winner"], verdict["status"]) == (None, "judge_transport")


def test_what_is_being_judged_when_it_is_told_to_stop_is_answered(tmp_path: Path) -> None:
    with serving() as lab, running(tmp_path, LAB.format(url=lab.url)) as judge:
        lab.behave = lambda _body, _number: Behaviour(text=VERDICT, latency_s=1.0)
        answers: list[str] = []

        def ask() -> None:
            [verdict] = judge.http.post("/v1/compare", json=BODY).json()["verdicts"]
            answers.append(verdict["status"])

        asking = threading.Thread(target=ask)
        asking.start()
        assert lab.received.wait(20)
        judge.popen.send_signal(signal.SIGTERM)
        asking.join()
        assert judge.popen.wait(30) == 0
        assert answers == ["ok"]
