"""What becomes of a call, whatever the server does: its own status, its usage booked once, never a reading made up."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.judge_server.loopback import NO_QUOTA, Behaviour, Loopback, completion, error, limited
from tests.judge_server.one_judge import Opened, judge, opened, question

from guerdon.judge_messages import Budget
from judge_server.calls.gate import Gate
from judge_server.llm import CallFailed, Outcome

FAULTS: dict[str, tuple[Behaviour, str]] = {
    "429": (limited(), "judge_quota"),
    "429 that says to come back in 300 s": (limited("300"), "judge_quota"),
    "no quota left": (NO_QUOTA, "judge_quota"),
    "payment required": (Behaviour(status=402, body=error("pay")), "judge_quota"),
    "500": (Behaviour(status=500, body=error("oops")), "judge_transport"),
    "401": (Behaviour(status=401, body=error("bad key", "invalid_api_key")), "judge_transport"),
    "redirect": (Behaviour(status=307, headers={"location": "http://127.0.0.1:9/"}), "judge_transport"),
    "error in a 200": (Behaviour(body=error("overloaded")), "judge_transport"),
    "refusal": (Behaviour(body=completion(None, message={"refusal": "I will not"})), "judge_refused"),
    "empty with reasoning": (Behaviour(body=completion("", message={"reasoning_content": "so"})), "judge_empty"),
}
UNKNOWN: dict[str, tuple[Behaviour, str]] = {
    "hang": (Behaviour(hang=True), "judge_timeout"),
    "reset": (Behaviour(reset=True), "judge_transport"),
    "cut off": (Behaviour(cut=40), "judge_transport"),
    "no choices": (Behaviour(body={"id": "x", "choices": []}), "judge_transport"),
    "half JSON": (Behaviour(raw=b'{"id": "x", "choi'), "judge_transport"),
    "gateway timeout": (Behaviour(status=504), "judge_timeout"),
}


def run(loopback: Loopback, tmp_path: Path, work: Callable[[Opened], object], **settings: object) -> Budget:
    """Do some work with one judge; return how its account stands afterwards, and check that it stays so."""

    async def go() -> Budget:
        one = judge(loopback.url, **settings)
        async with opened(one, tmp_path) as calls:
            await work(calls)  # type: ignore[misc]
            before = (await calls.calls.budgets(None))[0]
        assert calls.calls.left_behind == 0
        async with opened(one, tmp_path) as again:
            assert (await again.calls.budgets(None))[0] == before, "the ledger says otherwise than the budget"
        return before

    return asyncio.run(go())


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_server_refuses_or_mumbles_ends_in_its_own_status(
    loopback: Loopback, tmp_path: Path, fault: str
) -> None:
    behaviour, status = FAULTS[fault]
    loopback.behave = lambda _body, _number: behaviour
    outcomes: list[Outcome[str]] = []

    async def work(calls: Opened) -> None:
        outcomes.append(await calls.ask(question()))

    budget = run(loopback, tmp_path, work)
    assert outcomes[0].reading is None
    assert outcomes[0].failure is not None
    assert outcomes[0].failure.status == status
    paid = outcomes[0].reply is not None
    assert budget.spent_tokens == outcomes[0].prompt_tokens + outcomes[0].completion_tokens == (60 if paid else 0)
    assert (budget.presumed_tokens, budget.reserved_tokens, len(loopback.requests)) == (0, 0, 1)


@pytest.mark.parametrize("fault", UNKNOWN)
def test_what_may_have_been_paid_is_presumed_to_have_been(loopback: Loopback, tmp_path: Path, fault: str) -> None:
    behaviour, status = UNKNOWN[fault]
    loopback.behave = lambda _body, _number: behaviour
    outcomes: list[Outcome[str]] = []

    async def work(calls: Opened) -> None:
        outcomes.append(await calls.ask(question()))

    budget = run(loopback, tmp_path, work, timeout_s=0.3)
    assert outcomes[0].reading is None
    assert outcomes[0].failure is not None
    assert outcomes[0].failure.status == status
    assert outcomes[0].cost == 0
    assert budget.spent_tokens == budget.reserved_tokens == 0
    assert budget.presumed_tokens > 20
    assert budget.presumed_cost > 0


def test_a_refused_connection_costs_nothing_and_says_what_to_check(loopback: Loopback, tmp_path: Path) -> None:
    outcomes: list[Outcome[str]] = []

    async def work(calls: Opened) -> None:
        outcomes.append(await calls.ask(question()))

    budget = run(loopback, tmp_path, work, base_url="http://127.0.0.1:9/v1")
    assert outcomes[0].failure is not None
    assert outcomes[0].failure.status == "judge_transport"
    assert "base_url" in outcomes[0].failure.reason
    assert budget.presumed_tokens == 0


def test_a_429_that_says_when_to_come_back_is_asked_again_then(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, number: limited("1") if number == 0 else Behaviour()
    outcomes: list[Outcome[str]] = []

    async def work(calls: Opened) -> None:
        outcomes.append(await calls.ask(question()))

    budget = run(loopback, tmp_path, work, attempts=2)
    assert (outcomes[0].failure, outcomes[0].attempts, budget.spent_tokens) == (None, 2, 60)


def test_nobody_waits_longer_than_allowed(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, _number: limited("300")
    outcomes: list[Outcome[str]] = []

    async def work(calls: Opened) -> None:
        outcomes.append(await calls.ask(question()))

    run(loopback, tmp_path, work, attempts=5)
    failure = outcomes[0].failure
    assert failure is not None
    assert failure.retry_after_s == 300
    assert "300 s" in failure.reason
    assert len(loopback.requests) == 1


def test_an_exhausted_quota_is_not_asked_again(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, _number: NO_QUOTA

    async def work(calls: Opened) -> None:
        await calls.ask(question())

    run(loopback, tmp_path, work, attempts=5)
    assert len(loopback.requests) == 1


def test_a_reset_is_asked_again_and_both_are_booked(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, number: Behaviour(reset=number == 0)

    async def work(calls: Opened) -> None:
        outcome = await calls.ask(question())
        assert (outcome.failure, outcome.attempts, outcome.completion_tokens) == (None, 2, 10)

    budget = run(loopback, tmp_path, work, attempts=2)
    assert budget.spent_tokens == 60
    assert budget.presumed_tokens > 0


def test_the_deadline_ends_a_hanging_call(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, _number: Behaviour(hang=True)

    async def work(calls: Opened) -> None:
        outcome = await calls.ask(question(), within_s=0.3)
        assert outcome.failure is not None
        assert outcome.failure.status == "judge_timeout"

    assert run(loopback, tmp_path, work).presumed_tokens > 0


def test_a_caller_who_hangs_up_leaves_nothing_reserved(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("judge_server.calls.calls.FINISH_S", 0.1)
    loopback.behave = lambda _body, _number: Behaviour(hang=True)

    async def main() -> Budget:
        one = judge(loopback.url, concurrency=1)
        async with opened(one, tmp_path) as calls:
            tasks = [asyncio.create_task(calls.ask(question(f"{n}"))) for n in range(4)]
            await asyncio.to_thread(loopback.received.wait, 30)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with opened(one, tmp_path) as again:
            return (await again.calls.budgets(None))[0]

    budget = asyncio.run(main())
    assert budget.reserved_tokens == 0
    assert budget.presumed_tokens > 0
    assert len(loopback.requests) == 1


def test_the_same_call_is_paid_once_however_often_it_is_asked(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, _number: Behaviour(latency_s=0.05)

    async def work(calls: Opened) -> None:
        outcomes = await calls.ask_all([question()] * 5)
        outcomes.append(await calls.ask(question()))
        assert {outcome.reading for outcome in outcomes} == {'{"winner": "A"}'}
        assert [outcome.cached for outcome in outcomes] == [False, True, True, True, True, True]
        assert [outcome.prompt_tokens for outcome in outcomes] == [50, 0, 0, 0, 0, 0]

    assert run(loopback, tmp_path, work).spent_tokens == 60
    assert len(loopback.requests) == 1


async def _hung_up(calls: Opened, loopback: Loopback) -> None:
    """Ask, and hang up when the call is on its way."""
    first = asyncio.create_task(calls.ask(question()))
    await asyncio.to_thread(loopback.received.wait, 30)
    first.cancel()
    await asyncio.wait([first])


def test_the_reply_to_a_caller_who_hung_up_is_kept_for_the_next_one(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, _number: Behaviour(latency_s=0.2)

    async def work(calls: Opened) -> None:
        await _hung_up(calls, loopback)
        again = await calls.ask(question())
        assert again.cached
        assert again.reading == '{"winner": "A"}'

    assert run(loopback, tmp_path, work).spent_tokens == 60
    assert len(loopback.requests) == 1


def test_a_server_that_stops_waits_for_calls_that_are_on_their_way(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, _number: Behaviour(latency_s=0.2)

    async def main() -> bool:
        one = judge(loopback.url)
        async with opened(one, tmp_path) as calls:
            await _hung_up(calls, loopback)
        async with opened(one, tmp_path) as again:
            return (await again.ask(question())).cached

    assert asyncio.run(main())
    assert len(loopback.requests) == 1


def test_who_waits_for_a_call_that_fails_after_its_caller_left_makes_it(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, number: Behaviour(latency_s=0.2, reset=number == 0)

    async def work(calls: Opened) -> None:
        await _hung_up(calls, loopback)
        again = await calls.ask(question())
        assert (again.reading, again.cached) == ('{"winner": "A"}', False)

    run(loopback, tmp_path, work)
    assert len(loopback.requests) == 2


@pytest.mark.parametrize("change", [{"sample": 1}, {"temperature": 0.5}, {"max_tokens": 21}, {"seed": 3}])
def test_another_call_is_another_call(loopback: Loopback, tmp_path: Path, change: dict[str, Any]) -> None:
    async def work(calls: Opened) -> None:
        assert not (await calls.ask(question())).cached
        assert not (await calls.ask(question(**change))).cached

    run(loopback, tmp_path, work)


def test_an_unreadable_reply_is_never_reused(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, number: Behaviour(text="" if number == 0 else "fine")

    async def work(calls: Opened) -> None:
        assert (await calls.ask(question())).reading is None
        again = await calls.ask(question())
        assert (again.reading, again.cached) == ("fine", False)

    assert run(loopback, tmp_path, work).spent_tokens == 120


def test_a_reply_without_usage_is_presumed_to_have_cost_the_most(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, _number: Behaviour(usage=None)

    async def work(calls: Opened) -> None:
        outcome = await calls.ask(question())
        assert (outcome.reading, outcome.cost) == ('{"winner": "A"}', 0.0)

    budget = run(loopback, tmp_path, work)
    assert budget.spent_tokens == 0
    assert budget.presumed_tokens > 0


def test_a_reader_that_breaks_fails_its_own_call_only(loopback: Loopback, tmp_path: Path) -> None:
    async def work(calls: Opened) -> None:
        asker = calls.calls.asker(calls.judge, prompt_version="1", deadline=asyncio.get_running_loop().time() + 30)
        outcome = await asker.ask(question(), lambda reply: reply.text.index("not there"))
        assert outcome.failure is not None
        assert outcome.failure.status == "judge_unparseable"

    assert run(loopback, tmp_path, work).spent_tokens == 60


def test_concurrency_falls_to_what_the_server_takes(loopback: Loopback, tmp_path: Path) -> None:
    loopback.limit = 4
    loopback.behave = lambda _body, _number: Behaviour(latency_s=0.01)

    async def work(calls: Opened) -> None:
        outcomes = await calls.ask_all([question(f"{n}") for n in range(60)])
        assert [outcome.failure for outcome in outcomes] == [None] * 60

    assert run(loopback, tmp_path, work, concurrency=32, attempts=10).spent_tokens == 60 * 60


def test_a_judge_without_its_key_says_which_variable(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)

    async def work(calls: Opened) -> None:
        outcome = await calls.ask(question())
        assert isinstance(outcome.failure, CallFailed)
        assert "NO_SUCH_KEY" in outcome.failure.reason

    run(loopback, tmp_path, work, key_env="NO_SUCH_KEY")
    assert loopback.requests == []


@pytest.mark.parametrize("behaviour", [limited("300"), NO_QUOTA], ids=["come back in 300 s", "no quota"])
def test_what_a_server_says_to_all_is_heard_by_one_round_of_calls(
    loopback: Loopback, tmp_path: Path, behaviour: Behaviour
) -> None:
    loopback.behave = lambda _body, _number: behaviour

    async def work(calls: Opened) -> None:
        outcomes = await calls.ask_all([question(f"{n}") for n in range(50)])
        late = await calls.ask(question("late"))
        failures = [outcome.failure for outcome in (*outcomes, late) if outcome.failure]
        assert [failure.status for failure in failures] == ["judge_quota"] * 51
        assert late.attempts == 0
        assert "not asked again for" in failures[-1].reason
        assert failures[0].reason.split(";")[0] in failures[-1].reason

    budget = run(loopback, tmp_path, work, concurrency=4, attempts=3)
    assert len(loopback.requests) <= 4
    assert (budget.spent_tokens, budget.presumed_tokens, budget.reserved_tokens) == (0, 0, 0)


def test_a_closed_gate_opens_when_the_server_said() -> None:
    now = 100.0
    gate = Gate(max_wait_s=5.0, clock=lambda: now)
    gate.check()
    gate.heard(CallFailed("judge_quota", "soon", retriable=True, retry_after_s=4.0, throttled=True))
    gate.heard(CallFailed("judge_transport", "down", retriable=True, retry_after_s=400.0))
    gate.check()
    gate.heard(CallFailed("judge_quota", "later", retriable=True, retry_after_s=60.0, throttled=True))
    now = 159.0
    with pytest.raises(CallFailed, match="later; it is not asked again for 1 s"):
        gate.check()
    now = 160.0
    gate.check()


def test_a_call_that_nobody_waits_for_is_counted_and_given_up_in_time(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("judge_server.calls.calls.FINISH_S", 0.2)
    loopback.behave = lambda body, _number: Behaviour(hang="hang" in str(body["messages"]))

    async def work(calls: Opened) -> None:
        hung = asyncio.create_task(calls.ask(question("hang")))
        await asyncio.to_thread(loopback.received.wait, 30)
        hung.cancel()
        await asyncio.wait([hung])
        assert calls.calls.left_behind == 1
        assert (await calls.ask(question("live"))).failure is None  # in the only slot there is
        assert calls.calls.left_behind == 0

    assert run(loopback, tmp_path, work, concurrency=1).presumed_tokens > 0
