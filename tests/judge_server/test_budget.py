"""A budget is never exceeded, and nothing is refused that would fit."""

import asyncio
import gc
import math
import random
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from redis import asyncio as aioredis
from tests.judge_server.loopback import Behaviour, Loopback
from tests.judge_server.one_judge import PRICES, judge, opened, question

from guerdon.judge_messages import Allowance
from judge_server.budget.accounts import Account, Amount, Hold, Limit, LocalBooks, Standing
from judge_server.budget.budget import most
from judge_server.budget.shared_accounts import SharedBooks
from judge_server.judges import Prices
from judge_server.ledger.ledger import Sums
from judge_server.redis_scripts import Scripts


def random_costs(loopback: Loopback, seed: int = 0) -> None:
    chance = random.Random(seed)
    loopback.behave = lambda _body, _number: Behaviour(
        usage=(chance.randint(1, 40), chance.randint(1, 20)), latency_s=chance.choice([0.0, 0.005])
    )


@pytest.mark.parametrize("concurrency", [1, 8, 64])
@pytest.mark.parametrize("allowance", [Allowance(cost=1.0), Allowance(tokens=900)])
def test_a_run_spends_no_more_than_its_allowance(
    loopback: Loopback, tmp_path: Path, concurrency: int, allowance: Allowance
) -> None:
    random_costs(loopback)

    async def go() -> None:
        async with opened(judge(loopback.url, concurrency=concurrency), tmp_path) as calls:
            outcomes = await calls.ask_all([question(f"{n}") for n in range(100)], allowance=allowance)
            cost = sum(outcome.cost for outcome in outcomes)
            tokens = sum(outcome.prompt_tokens + outcome.completion_tokens for outcome in outcomes)
            most_of_one = most(calls.judge, question("99"))
            if allowance.cost is not None:
                assert allowance.cost - most_of_one.nanos / 1e9 < cost <= allowance.cost
            if allowance.tokens is not None:
                assert allowance.tokens - most_of_one.tokens < tokens <= allowance.tokens
            stopped = [outcome.failure.status for outcome in outcomes if outcome.failure]
            assert stopped == ["judge_budget"] * len(stopped)
            assert len(stopped) == 100 - loopback.answered
            budget = (await calls.calls.budgets("r"))[0]
            assert budget.spent_cost == pytest.approx(cost)
            assert budget.reserved_cost == 0

    asyncio.run(go())


def test_two_replicas_share_a_budget(loopback: Loopback, tmp_path: Path, valkey_url: str) -> None:
    random_costs(loopback)

    async def go() -> None:
        one = judge(loopback.url, name="shared", concurrency=8, budget=Allowance(cost=1.0))
        async with (
            opened(one, tmp_path, redis_url=valkey_url) as left,
            opened(one, tmp_path, redis_url=valkey_url, ledger=str(tmp_path / "right.sqlite3")) as right,
        ):
            sides = await asyncio.gather(
                left.ask_all([question(f"left {n}") for n in range(50)]),
                right.ask_all([question(f"right {n}") for n in range(50)]),
            )
            cost = sum(outcome.cost for side in sides for outcome in side)
            assert 1.0 - most(one, question("right 99")).nanos / 1e9 < cost <= 1.0
            budget = (await left.calls.budgets(None))[0]
            assert budget.spent_cost == pytest.approx(cost)
            assert (budget.reserved_cost, budget.reserved_tokens) == (0, 0)
            assert (await right.calls.budgets(None))[0] == budget

    asyncio.run(go())


def test_what_redis_forgot_is_known_from_the_ledger(loopback: Loopback, tmp_path: Path, valkey_url: str) -> None:
    async def go() -> None:
        one = judge(loopback.url, name="forgotten", budget=Allowance(tokens=170))
        async with opened(one, tmp_path) as calls:
            assert (await calls.ask(question("1"))).failure is None
            assert (await calls.ask(question("2"))).failure is None
        async with opened(one, tmp_path, redis_url=valkey_url) as calls:
            assert (await calls.calls.budgets(None))[0].spent_tokens == 120
            failure = (await calls.ask(question("3"))).failure
            assert failure is not None
            assert failure.status == "judge_budget"

    asyncio.run(go())


def test_a_call_under_way_is_waited_for_and_not_taken_for_spent(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, _number: Behaviour(usage=(1, 1), latency_s=0.01)

    async def go() -> None:
        one = judge(loopback.url, concurrency=8)
        allowance = Allowance(tokens=most(one, question("0")).tokens + 18)
        async with opened(one, tmp_path) as calls:
            outcomes = await calls.ask_all([question(f"{n}") for n in range(10)], allowance=allowance)
            assert [outcome.failure for outcome in outcomes] == [None] * 10

    asyncio.run(go())


def test_a_request_without_a_run_has_its_allowance_to_itself(loopback: Loopback, tmp_path: Path) -> None:
    async def go() -> None:
        async with opened(judge(loopback.url), tmp_path) as calls:
            for n in range(3):
                allowance = Allowance(tokens=most(calls.judge, question("0")).tokens)
                outcomes = await calls.ask_all([question(f"{n}"), question(f"{n}!")], run=None, allowance=allowance)
                assert [outcome.failure is None for outcome in outcomes] == [True, False]

    asyncio.run(go())


def test_what_was_sent_before_a_restart_counts(loopback: Loopback, tmp_path: Path) -> None:
    async def go() -> None:
        one = judge(loopback.url, run_budget=Allowance(tokens=170))
        for n, allowed in enumerate([True, True, False]):
            async with opened(one, tmp_path) as calls:
                assert ((await calls.ask(question(f"{n}"))).failure is None) == allowed

    asyncio.run(go())


amounts = st.builds(Amount, st.integers(0, 100), st.integers(0, 100))


@given(st.lists(st.tuples(amounts, amounts, st.booleans()), max_size=40), st.integers(0, 300), st.integers(0, 300))
def test_no_order_of_reservations_exceeds_a_limit(
    work: list[tuple[Amount, Amount, bool]], nanos: int, tokens: int
) -> None:
    """Each is (reserved, spent of it, whether an earlier one is settled before)."""
    standing, limit, held = Standing(), Limit(nanos, tokens), list[tuple[Amount, Amount]]()
    for reserved, used, settle_first in work:
        if settle_first and held:
            was, cost = held.pop(0)
            standing.reserved = standing.reserved.minus(was)
            standing.spent = standing.spent.plus(cost)
        if standing.answer(reserved, limit) == "taken":
            standing.reserved = standing.reserved.plus(reserved)
            held.append((reserved, Amount(min(used.nanos, reserved.nanos), min(used.tokens, reserved.tokens))))
        assert limit.allows(standing.spent.plus(standing.reserved))


@pytest.mark.parametrize(
    ("words", "tokens"),
    [("plain words, as people write them. " * 20, 9 * 20), ("日本語の文章です。" * 20, 27 * 20), ("7" * 200, 200)],
    ids=["English", "Japanese in bytes", "digits"],
)
def test_a_reservation_covers_what_the_worst_tokenizer_makes_of_a_text(words: str, tokens: int) -> None:
    """Words and signs of English alone, a token for each byte of other scripts and for each digit."""
    amount = most(judge("http://127.0.0.1:9/v1"), question(words))
    assert amount.tokens - 20 >= tokens
    assert amount.nanos == round(PRICES.cost(amount.tokens - 20, 20) * 1e9)


def test_what_a_dead_replica_reserved_is_presumed_spent(valkey_url: str) -> None:
    async def nothing_before(_judge: str, _run: str | None) -> Sums:
        return Sums()

    async def go() -> None:
        scripts = Scripts(valkey_url)
        books = SharedBooks(scripts, nothing_before)
        account = Account("dead", "dead", None, Limit(nanos=None, tokens=10))
        assert (await books.take(Hold("lost", [account], Amount(5, 6)), lease_s=0.0))[0] == "taken"
        assert (await books.take(Hold("late", [account], Amount(5, 6)), lease_s=9.0))[0] == "spent"
        assert await books.standing(account) == Standing(presumed=Amount(5, 6))
        books.settle(Hold("lost", [account], Amount(5, 6)), Amount(1, 1), lambda: None)
        await books.close()
        assert await books.standing(account) == Standing(presumed=Amount(5, 6)), "settled after it was presumed"
        await scripts.close()

    asyncio.run(go())


@pytest.mark.parametrize("limits", [{}, {"rpm": 6000}])
def test_without_its_redis_no_call_is_paid(loopback: Loopback, tmp_path: Path, limits: dict[str, Any]) -> None:
    async def go() -> None:
        async with opened(judge(loopback.url, **limits), tmp_path, redis_url="redis://127.0.0.1:9/0") as calls:
            failure = (await calls.ask(question())).failure
            assert failure is not None
            assert failure.status == "overloaded"
            assert await calls.calls.healthy() == (True, False)

    asyncio.run(go())
    assert loopback.requests == []


@pytest.mark.parametrize("wrong", [{"cost": 1e300}, {"cost": math.inf}, {"cost": math.nan}, {"tokens": 2**53 + 1}])
def test_an_allowance_that_cannot_be_counted_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Allowance.model_validate(wrong)


def test_the_greatest_amounts_can_be_counted(loopback: Loopback, tmp_path: Path) -> None:
    async def go() -> None:
        one = judge(loopback.url, prices=Prices(prompt=1e6, completion=1e6), budget=Allowance(cost=1e6, tokens=2**53))
        async with opened(one, tmp_path) as calls:
            assert (await calls.ask(question())).cost == 60
            assert (await calls.calls.budgets(None))[0].left_cost == 1e6 - 60

    asyncio.run(go())


def test_runs_that_nobody_uses_are_forgotten_and_known_again_from_the_ledger(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("judge_server.budget.accounts.MOST_IDLE", 2)

    async def go() -> None:
        async with opened(judge(loopback.url, run_budget=Allowance(tokens=170)), tmp_path) as calls:
            for n in range(3):
                for run in "abc":
                    failure = (await calls.ask(question(f"{n} of {run}"), run=run)).failure
                    assert (failure is None) == (n < 2)
            books = calls.calls._desk.budgets._books
            assert isinstance(books, LocalBooks)
            gc.collect()
            assert len(books._lasting) <= 3
            for n in range(50):
                await calls.calls.budgets(f"invented {n}")
            assert len(books._lasting) <= 3
            assert (await calls.calls.budgets("a"))[0].spent_tokens == 120

    asyncio.run(go())


def test_looking_at_a_run_writes_nothing_to_redis(loopback: Loopback, tmp_path: Path, valkey_url: str) -> None:
    async def go() -> None:
        async with opened(judge(loopback.url, name="looked"), tmp_path, redis_url=valkey_url) as calls:
            assert (await calls.calls.budgets("invented"))[0].spent_tokens == 0
        client = aioredis.from_url(valkey_url)
        assert await client.keys("*looked*") == []
        await client.aclose()

    asyncio.run(go())


def test_what_was_reserved_in_an_answer_that_never_came_is_given_back(
    loopback: Loopback, tmp_path: Path, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("judge_server.redis_scripts.ANSWER_S", 0.5)

    async def go() -> None:
        async with Swallowing(valkey_url) as relay:
            one = judge(loopback.url, name="swallowed", budget=Allowance(tokens=1000))
            async with opened(one, tmp_path, redis_url=relay.url) as calls:
                assert (await calls.ask(question("1"))).failure is None
                await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "settle"))
                relay.swallow = True  # what comes back on connections that are open; those opened now are heard
                failure = (await calls.ask(question("2"))).failure
                assert failure is not None
                assert failure.status == "overloaded"
            async with opened(one, tmp_path, redis_url=valkey_url) as calls:
                assert (await calls.calls.budgets(None))[0].reserved_tokens == 0

    asyncio.run(go())


class Swallowing:
    """A way to Redis that loses the first answer after `swallow` is set."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._before, self._after = parts.netloc.rpartition("@")[0], parts.path
        self.swallow = False
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"redis://{self._before}@127.0.0.1:{port}{self._after}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to = await asyncio.open_connection(self._host, self._port)
        await asyncio.gather(self._pass(reader, to, False), self._pass(there, writer, True))

    async def _pass(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, back: bool) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                if back and self.swallow:
                    self.swallow = False
                else:
                    to.write(data)
            to.close()
