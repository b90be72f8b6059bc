"""A ledger in PostgreSQL, which several replicas share; skipped where no PostgreSQL is installed."""

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text
from tests.judge_server.loopback import Behaviour, Loopback
from tests.judge_server.one_judge import PRICES, judge, opened, question

from guerdon.judge_messages import Allowance
from judge_server.judges import ConfigError
from judge_server.ledger.ledger import Ledger
from judge_server.ledger.tables import calls as table
from local_stack.address import free_port


def binaries() -> Path | None:
    """Return the folder with initdb: of the PATH, else Debian's."""
    found = shutil.which("initdb")
    return Path(found).parent if found else max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


def owner() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return None
    return "postgres" if any(user.pw_name == "postgres" for user in pwd.getpwall()) else "nobody"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Yield the URL of a server of its own, without a database name."""
    folder = binaries()
    if folder is None:
        pytest.skip("no PostgreSQL here: its ledger is not tried (Debian's package: postgresql)")
    home, port = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp")), free_port()
    if (user := owner()) is not None:
        shutil.chown(home, user)

    def run(*command: str) -> None:
        subprocess.run([folder / command[0], *command[1:]], user=user, cwd=home, check=True, capture_output=True)

    options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
    run("initdb", "-D", f"{home}/data", "-U", "guerdon", "-A", "trust")
    run("pg_ctl", "-D", f"{home}/data", "-o", options, "-l", f"{home}/log", "-w", "start")
    yield f"postgresql://guerdon@127.0.0.1:{port}"
    run("pg_ctl", "-D", f"{home}/data", "-m", "immediate", "stop")
    shutil.rmtree(home)


@pytest.fixture
def database(server: str) -> str:
    """Return the URL of a database of the test's own."""
    name = f"d{uuid.uuid4().hex}"
    driver = server.replace("postgresql", "postgresql+psycopg")
    engine = create_engine(f"{driver}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
    engine.dispose()
    return f"{server}/{name}"


def states(database: str) -> list[str]:
    engine = create_engine(database.replace("postgresql", "postgresql+psycopg"))
    with engine.connect() as connection:
        found = list(connection.execute(select(table.c.state)).scalars())
    engine.dispose()
    return found


OPENS = """
import asyncio, sys
from judge_server.ledger.ledger import Ledger

async def main() -> bool:
    ledger = await Ledger.open(sys.argv[1], replicas=3)
    try:
        return await ledger.answers()
    finally:
        await ledger.close()

sys.exit(not asyncio.run(main()))
"""
WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


def test_replicas_that_open_it_at_once_find_one_schema(database: str) -> None:
    """Processes, for alembic has one environment in each. An unfinished table keeps all of them at the same place."""
    engine = create_engine(database.replace("postgresql", "postgresql+psycopg"))
    with engine.connect() as unfinished, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as watch:
        unfinished.execute(text("create table alembic_version (version_num varchar(32) primary key)"))
        replicas = [subprocess.Popen([sys.executable, "-c", OPENS, database]) for _ in range(3)]
        while watch.execute(text(WAITING)).scalar_one() < len(replicas):
            time.sleep(0.05)
            assert [replica.poll() for replica in replicas] == [None] * 3
        unfinished.rollback()
        assert [replica.wait() for replica in replicas] == [0, 0, 0]
    engine.dispose()


def test_what_one_replica_paid_another_need_not(
    database: str, loopback: Loopback, tmp_path: Path, valkey_url: str
) -> None:
    shared = {"ledger": database, "redis_url": valkey_url, "replicas": 2}
    one = judge(loopback.url, name=f"j{uuid.uuid4().hex}")
    questions = [question(f"{n}") for n in range(40)]

    async def main() -> None:
        async with opened(one, tmp_path, **shared) as first, opened(one, tmp_path, **shared) as second:
            paid = await first.ask_all(questions)
            again = await second.ask_all(questions)
            assert [outcome.reading for outcome in again] == [outcome.reading for outcome in paid]
            assert all(outcome.cached for outcome in again)

    asyncio.run(main())
    assert len(loopback.requests) == 40
    assert states(database) == ["ok"] * 40


def test_failures_and_restarts_are_booked_as_in_a_file(database: str, loopback: Loopback, tmp_path: Path) -> None:
    loopback.behave = lambda _body, number: Behaviour(reset=number == 0)
    one = judge(loopback.url)

    async def main() -> None:
        async with opened(one, tmp_path, ledger=database) as calls:
            assert (await calls.ask(question())).failure is not None
            assert (await calls.ask(question())).reading is not None
            before = await calls.calls.budgets("r")
        async with opened(one, tmp_path, ledger=database) as calls:
            assert await calls.calls.budgets("r") == before
            assert (await calls.ask(question())).cached

    asyncio.run(main())
    assert sorted(states(database)) == ["ok", "presumed"]


def test_two_replicas_spend_no_more_than_a_run_may(
    database: str, loopback: Loopback, tmp_path: Path, valkey_url: str
) -> None:
    shared = {"ledger": database, "redis_url": valkey_url, "replicas": 2}
    one = judge(loopback.url, name=f"j{uuid.uuid4().hex}", concurrency=16)
    cost = PRICES.cost(50, 10)

    async def main() -> float:
        async with opened(one, tmp_path, **shared) as first, opened(one, tmp_path, **shared) as second:
            allowance = Allowance(cost=20 * cost)
            await asyncio.gather(
                *(
                    replica.ask_all([question(f"{side} {n}") for n in range(60)], allowance=allowance)
                    for side, replica in enumerate((first, second))
                )
            )
            [budget] = await first.calls.budgets("r")
            return budget.spent_cost + budget.presumed_cost

    spent = asyncio.run(main())
    assert 0 < spent <= 20 * cost + 1e-9
    assert len(loopback.requests) * cost == pytest.approx(spent)


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    async def main() -> None:
        await Ledger.open(f"postgresql://guerdon:s3cret@127.0.0.1:{free_port()}/none")

    with pytest.raises(ConfigError) as refused:
        asyncio.run(main())
    assert "s3cret" not in str(refused.value)
    assert "127.0.0.1" in str(refused.value)
