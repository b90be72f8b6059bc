"""The ledger outlives processes, refuses to be shared where it cannot be, and stops paid calls when it cannot write."""

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateTable
from tests.judge_server.loopback import Behaviour, Loopback
from tests.judge_server.one_judge import judge, opened, question

from judge_server.judges import ConfigError
from judge_server.ledger.ledger import FIND, FINISH, INSERT, EndedCall, Ledger, SentCall
from judge_server.ledger.reply_json import dump, load
from judge_server.ledger.tables import calls as table
from judge_server.ledger.thread import LedgerThread, LedgerUnavailable
from judge_server.llm import Reply, TokenLogprob

ROOT = Path(__file__).parents[2]


def started(url: str, folder: Path, number: int, room: int = 0) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.judge_server.calls_process", url, str(folder), str(number), str(room)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def told(process: "subprocess.Popen[str]") -> dict[str, Any]:
    output, _ = process.communicate(timeout=60)
    result: dict[str, Any] = json.loads(output)
    return result


def rows(folder: Path) -> list[Any]:
    engine = create_engine(f"sqlite:///{folder / 'ledger.sqlite3'}")
    with engine.connect() as connection:
        found = list(connection.execute(select(table)))
    engine.dispose()
    return found


def sent(number: int, key: str = "k", **changes: Any) -> SentCall:
    fields: dict[str, Any] = {
        "id": f"{number}",
        "key": key,
        "judge": "j",
        "kind": "openai",
        "base_url": None,
        "run": "r",
        "prompt_hash": "p",
        "model": "m",
        "seed": 0,
        "sample": 0,
        "prompt_version": "1",
        "reserved_cost": 2.0,
        "reserved_tokens": 10,
        "created": 1.0,
        "given_up": 2.0,
    }
    return SentCall(**(fields | changes))


def ok(number: int, reply: Reply, cost: float | None = 1.0) -> EndedCall:
    return EndedCall(
        f"{number}", "ok", 3.0, 0.1, "ok", prompt_tokens=4, completion_tokens=1, cost=cost, reply=dump(reply)
    )


def test_nothing_finished_is_paid_again_after_kill_9(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, _number: Behaviour(latency_s=0.01)
    process = started(loopback.url, tmp_path, 200)
    while loopback.answered < 60:
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.wait()
    before = Counter(body["messages"][1]["content"] for body in loopback.requests)
    finished = [row for row in rows(tmp_path) if row.state == "ok"]
    assert len(finished) > 20

    result = told(started(loopback.url, tmp_path, 200))
    assert result == {"read": 200, "cached": len(finished), "failures": [], "healthy": True}
    after = Counter(body["messages"][1]["content"] for body in loopback.requests)
    assert len(after) == 200
    again = [content for content in before if after[content] > 1]
    assert len(again) == len(before) - len(finished)  # exactly those whose reply had not been noted
    lost = [row for row in rows(tmp_path) if row.state == "presumed"]
    assert len(again) <= len(lost) <= 16  # under way, or about to be: twice the concurrency
    assert {row.cost for row in lost} == {None}


def test_failed_calls_are_made_again_by_the_next_run(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda body, number: Behaviour(status=500 if number < 10 and number % 2 else 200)

    async def go() -> None:
        one = judge(loopback.url, concurrency=1)
        async with opened(one, tmp_path) as calls:
            first = await calls.ask_all([question(f"{n}") for n in range(10)])
            assert sum(outcome.reading is not None for outcome in first) == 5
        async with opened(one, tmp_path) as calls:
            second = await calls.ask_all([question(f"{n}") for n in range(10)])
            assert all(outcome.reading is not None for outcome in second)
            assert sum(outcome.cached for outcome in second) == 5

    asyncio.run(go())
    assert len(loopback.requests) == 15


def test_a_full_disk_stops_paid_calls(loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, _number: Behaviour(latency_s=0.01)
    result = told(started(loopback.url, tmp_path, 300, room=200_000))
    assert 0 < result["read"] < 300
    assert {status for status, _ in result["failures"]} == {"overloaded"}
    assert all("the ledger cannot be used" in reason for _, reason in result["failures"])
    assert len(loopback.requests) == result["read"]
    assert result["healthy"] is False


def test_a_second_server_on_the_same_file_is_refused(tmp_path: Path) -> None:
    async def go() -> None:
        where = str(tmp_path / "ledger.sqlite3")
        ledger = await Ledger.open(where)
        try:
            with pytest.raises(ConfigError, match=r"in use by process \d+"):
                await Ledger.open(where)
        finally:
            await ledger.close()
        await (await Ledger.open(where)).close()

    asyncio.run(go())


def test_several_replicas_on_sqlite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PostgreSQL"):
        asyncio.run(Ledger.open(str(tmp_path / "ledger.sqlite3"), replicas=2))


@pytest.mark.parametrize(
    "where",
    [
        "mysql://u:secret@h/db",
        "/proc/no/such/ledger.sqlite3",
        "not a url://",
        "postgresql://u:secret@h:port/db",
        "sqlite+aiosqlite:///secret.sqlite3",
    ],
)
def test_what_cannot_be_a_ledger_is_refused_by_name(where: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        asyncio.run(Ledger.open(where))
    assert "secret" not in str(refusal.value)


def test_migrations_make_the_table_that_the_code_uses(tmp_path: Path) -> None:
    async def go() -> None:
        await (await Ledger.open(str(tmp_path / "ledger.sqlite3"))).close()

    asyncio.run(go())
    inspector = inspect(create_engine(f"sqlite:///{tmp_path / 'ledger.sqlite3'}"))
    made = {column["name"]: (str(column["type"]), column["nullable"]) for column in inspector.get_columns("calls")}
    dialect = inspector.bind.dialect
    assert made == {one.name: (one.type.compile(dialect), bool(one.nullable)) for one in table.columns}
    assert {index["name"] for index in inspector.get_indexes("calls")} == {index.name for index in table.indexes}


@pytest.mark.parametrize("statement", [CreateTable(table), INSERT, FINISH, FIND])
def test_its_sql_can_be_said_to_postgresql(statement: Any) -> None:
    assert "calls" in str(statement.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]


def test_only_what_was_read_is_found_again(tmp_path: Path) -> None:
    async def go() -> None:
        ledger = await Ledger.open(str(tmp_path / "ledger.sqlite3"))
        reply = Reply("yes", finish="stop", prompt_tokens=4, completion_tokens=1)
        for number, key in enumerate(["ok", "failed", "sent"]):
            await ledger.begin(sent(number, key))
        await ledger.finish(ok(0, reply))
        await ledger.finish(EndedCall("1", "failed", 3.0, 0.1, "judge_unparseable", cost=1.0, reply=dump(reply)))
        assert await asyncio.gather(*map(ledger.find, ["ok", "failed", "sent", "unknown"])) == [reply, None, None, None]
        await ledger.close()

    asyncio.run(go())


def test_sums_count_what_is_unknown_at_its_most(tmp_path: Path) -> None:
    async def go() -> None:
        ledger = await Ledger.open(str(tmp_path / "ledger.sqlite3"))
        for number in range(3):
            await ledger.begin(sent(number, run="r" if number else "other"))
        await ledger.finish(ok(0, Reply("a")))
        await ledger.finish(ok(1, Reply("b"), cost=None))
        everything = await ledger.sums("j", None)
        assert (everything.spent_cost, everything.spent_tokens) == (1.0, 5)
        assert (everything.presumed_cost, everything.presumed_tokens) == (4.0, 20)
        one_run = await ledger.sums("j", "r")
        assert (one_run.spent_cost, one_run.presumed_cost) == (0.0, 4.0)
        await ledger.close()

    asyncio.run(go())


def test_one_bad_row_fails_alone(tmp_path: Path) -> None:
    async def go() -> None:
        ledger = await Ledger.open(str(tmp_path / "ledger.sqlite3"))
        await ledger.begin(sent(1))
        results = await asyncio.gather(*(ledger.begin(sent(n)) for n in range(4)), return_exceptions=True)
        assert [type(result) for result in results] == [type(None), LedgerUnavailable, type(None), type(None)]
        assert "reserved" not in str(results[1])  # no row's contents
        await ledger.close()

    asyncio.run(go())


def test_a_deed_that_breaks_does_not_end_the_thread(tmp_path: Path) -> None:
    async def go() -> None:
        def broken(_connection: Any, _arguments: Any) -> Any:
            raise RuntimeError("broken")

        thread = LedgerThread(create_engine("sqlite://"), ())
        with pytest.raises(RuntimeError):
            await thread.post(broken, None)
        assert await thread.post(lambda _connection, arguments: arguments, 7) == 7
        await thread.close()

    asyncio.run(go())


def test_a_reply_comes_back_from_json_as_it_was() -> None:
    logprobs = (TokenLogprob("A", -0.5, (("A", -0.5), ("B", float("-inf")))), TokenLogprob("}", float("-inf")))
    for reply in (Reply(""), Reply("é\u2028\x00", "length", "thought", "no", "m", "fp", 3, 4, logprobs)):
        assert load(dump(reply)) == reply


def test_a_ledger_that_another_process_writes_to_fails_calls_soon_and_pays_none(
    loopback: Loopback, tmp_path: Path
) -> None:
    async def go() -> None:
        async with opened(judge(loopback.url, concurrency=16), tmp_path) as calls:
            with closing(sqlite3.connect(tmp_path / "ledger.sqlite3", isolation_level=None)) as other:
                other.execute("begin immediate")
                outcomes = await calls.ask_all([question(f"{n}") for n in range(20)])
                reasons = {(outcome.failure.status, outcome.failure.reason) for outcome in outcomes if outcome.failure}
                why = "the ledger cannot be used, and no call is paid without it: database is locked"
                assert reasons == {("overloaded", why)}
                assert len([outcome for outcome in outcomes if outcome.failure]) == 20
                late = await calls.ask(question("late"), within_s=0.2)
                assert late.failure is not None
                assert late.failure.status == "overloaded"
                assert "did not answer before the deadline" in late.failure.reason
                assert await calls.calls.healthy() == (False, None)
            assert (await calls.ask(question("after"))).failure is None

    asyncio.run(go())
    assert len(loopback.requests) == 1


def test_what_is_wrong_with_the_database_itself_is_found_out_once_for_all() -> None:
    async def go() -> None:
        tried: list[int] = []

        def locked(_connection: Any, arguments: Any) -> Any:
            tried.append(len(arguments))
            raise OperationalError("insert", {}, Exception("database is locked"))

        thread = LedgerThread(create_engine("sqlite://"), ())
        results = await asyncio.gather(*(thread.post(locked, n) for n in range(100)), return_exceptions=True)
        assert {str(result) for result in results} == {"database is locked"}
        assert sum(tried) == 100  # nothing twice
        await thread.close()

    asyncio.run(go())


def test_looking_whether_the_ledger_can_be_written_writes_seldom(tmp_path: Path) -> None:
    async def go() -> None:
        ledger = await Ledger.open(str(tmp_path / "ledger.sqlite3"))
        wal = tmp_path / "ledger.sqlite3-wal"
        assert await ledger.answers()
        written = wal.stat().st_size
        assert all(await asyncio.gather(*(ledger.answers() for _ in range(50))))
        for _ in range(5):
            assert await ledger.answers()
        assert wal.stat().st_size <= written + 2 * 4096 * 8  # once more at the most, if this took a second
        await ledger.close()

    asyncio.run(go())
