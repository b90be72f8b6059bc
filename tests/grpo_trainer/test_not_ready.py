"""What passes by itself is told from what is wrong in the run file: the exit status says whether to try again."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import huggingface_hub
import pytest
from tests.loopback_http import Told, served

from grpo_trainer import train
from grpo_trainer.config.run_config import RunConfig
from grpo_trainer.config.run_file import NotReadyError, RunFileError
from grpo_trainer.examination import preflight
from grpo_trainer.examination.preflight import Ready
from grpo_trainer.run_parts import load_policy

TinyRun = Callable[..., Ready]
RUN = """
[policy]
model = "{policy}"
prompt = "plain"
[dataset]
name = "sql_cot"
rows = 40
prompt = "few_shot"
[services]
reward_url = "{url}"
deadline_s = {deadline_s}
[output]
dir = "{out}"
[[rewards]]
name = "letters"
[grpo]
num_generations = 4
gradient_checkpointing = false
"""

BROKEN, MISSING, CLOSED, UNKNOWN = "someone/broken", "someone/missing", "someone/closed", "someone/unknown"
ANSWERS = {
    BROKEN: Told(503, ""),
    MISSING: Told(404, "", {"x-error-code": "RepoNotFound"}),
    CLOSED: Told(403, "", {"x-error-code": "GatedRepo"}),
    UNKNOWN: Told(404, ""),
}
"""What the hub says of each repository: it has none."""
NOBODY = "http://127.0.0.1:9"

SetHub = Callable[[str], None]


@pytest.fixture
def set_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SetHub:
    """Let the libraries ask the hub at a URL: as often as ever, but without the seconds in between."""

    def set_to(url: str) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", url)

    constants, http = huggingface_hub.constants, huggingface_hub.utils._http
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(http, "time", SimpleNamespace(**vars(time) | {"sleep": lambda _: None}))
    return set_to


@pytest.fixture
def hub(set_hub: SetHub) -> Iterator[None]:
    """A hub on loopback that answers as ANSWERS say."""
    with served(lambda asked: next(told for name, told in ANSWERS.items() if name in asked.path)) as url:
        set_hub(url)
        yield


def run_file(folder: Path, url: str, policy: str, deadline_s: float = 5.0) -> str:
    file = folder / "run.toml"
    file.write_text(RUN.format(policy=policy, url=url, deadline_s=deadline_s, out=folder / "out"))
    return str(file)


def rows(source: str) -> Any:
    settings: dict[str, Any] = {"policy": {"model": "a/b"}, "rewards": [{"name": "r"}]}
    return preflight.load_rows(RunConfig.model_validate(settings | {"dataset": {"name": "chat", "source": source}}))


def test_a_policy_or_a_data_set_of_a_hub_that_has_a_fault_may_come_later(hub: None, tiny_run: TinyRun) -> None:
    require_later(BROKEN, tiny_run)


def test_a_policy_or_a_data_set_of_a_hub_that_does_not_answer_may_come_later(
    set_hub: SetHub, tiny_run: TinyRun
) -> None:
    set_hub(NOBODY)
    require_later("someone/something", tiny_run)


def require_later(name: str, tiny_run: TinyRun) -> None:
    with pytest.raises(NotReadyError, match=rf"^\[policy\]: no tokenizer for '{name}'"):
        load_policy(tiny_run(policy={"model": name}))
    with pytest.raises(NotReadyError, match=r"^\[dataset\] chat: "):
        rows(name)


@pytest.mark.parametrize("name", [MISSING, CLOSED, UNKNOWN, "/nowhere/at/all"])
def test_what_a_hub_says_it_has_not_is_wrong_in_the_run_file(name: str, hub: None, tiny_run: TinyRun) -> None:
    with pytest.raises(RunFileError, match=r"^\[policy\]: no tokenizer for") as policy:
        load_policy(tiny_run(policy={"model": name}))
    with pytest.raises(RunFileError, match=r"^\[dataset\] chat: ") as data:
        rows(name)
    assert NotReadyError not in {type(policy.value), type(data.value)}


def test_a_hub_that_may_not_be_asked_will_not_be_asked_later(
    hub: None, tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(RunFileError) as refused:
        load_policy(tiny_run(policy={"model": BROKEN}))
    assert type(refused.value) is RunFileError


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_reward_server_that_cannot_answer_now_is_asked_again(
    status: int, tiny_run: TinyRun, reward_server: Any
) -> None:
    reward_server.lists = [status, status]
    assert set(preflight.served_rewards(tiny_run().config)) == {"letters", "vowels"}
    assert not reward_server.lists


@pytest.mark.parametrize(("status", "exits"), [(503, 1), (401, 2)])
def test_the_exit_status_says_whether_the_same_command_may_succeed_later(
    status: int, exits: int, tmp_path: Path, reward_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    reward_server.lists = [status] * 99
    assert train.main([run_file(tmp_path, reward_server.url, "a/b", deadline_s=0.3)]) == exits
    assert f"{status}: not now" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "exits", "said"), [(BROKEN, 1, "We couldn't connect to"), (MISSING, 2, "not a valid model identifier")]
)
def test_a_policy_that_does_not_come_now_ends_with_1_and_one_that_is_nowhere_with_2(
    name: str, exits: int, said: str, hub: None, tmp_path: Path, reward_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main([run_file(tmp_path, reward_server.url, name)]) == exits
    assert said in capsys.readouterr().err
