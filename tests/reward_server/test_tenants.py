"""Who may ask, and how much: tokens, tenants.toml, and limits that replicas share."""

import asyncio
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from redis import asyncio as aioredis

from http_face.door import bearer
from http_face.refused import OverQuota, Refused, Unavailable
from reward_server.catalog import ConfigError
from reward_server.quota import Quotas
from reward_server.round_trips import RoundTrips
from reward_server.settings import Settings
from reward_server.tenants import Tenant, Tenants, digest, read

HASH = digest(b"token-a").hex()


def written(path: Path, text: str) -> Path:
    file = path / "tenants.toml"
    file.write_text(text)
    return file


def test_each_token_opens_for_its_tenant_and_no_other_token_for_anybody(tmp_path: Path) -> None:
    text = f'[team-a]\ntoken_sha256 = "{HASH}"\n[team-b]\ntoken_sha256 = "{digest(b"token-b").hex()}"\n'
    settings = Settings(tenants=written(tmp_path, text), token="tökén")  # type: ignore[arg-type]
    tenants = Tenants.configured(settings)
    whose = {token: tenants.whose(token) for token in (b"token-a", b"token-b", "tökén".encode(), b"", b"token", None)}
    assert {token: tenant and tenant.name for token, tenant in whose.items()} == {
        b"token-a": "team-a",
        b"token-b": "team-b",
        "tökén".encode(): "default",
        b"": None,
        b"token": None,
        None: None,
    }


def test_without_any_token_everybody_is_the_default_tenant_without_limits() -> None:
    tenants = Tenants.configured(Settings(token=""))  # type: ignore[arg-type]
    assert tenants.whose(None) == tenants.whose(b"anything") == Tenant("default")


def test_limits_come_with_the_tenant_and_a_tenant_that_is_gone_has_none(tmp_path: Path) -> None:
    [tenant] = read(written(tmp_path, f'[a]\ntoken_sha256 = "{HASH}"\nitems_per_minute = 5\nmax_in_flight = 7\n'))
    assert (tenant.items_per_minute, tenant.requests_per_minute, tenant.max_in_flight) == (5, None, 7)
    assert not Tenants([tenant]).named("b").limited


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no tenant; python -m reward_server.tenants NAME"),
        ("[a", "is not valid TOML"),
        ("a = 1", "stands outside of a table"),
        ("[a]", r"\[a\] token_sha256: Field required"),
        ('[a]\ntoken = "secret"', r"\[a\] holds a token; only its hash"),
        ('[a]\ntoken_sha256 = "short"', r"\[a\] token_sha256: String should match"),
        (f'[a]\ntoken_sha256 = "{HASH.upper()}"', "token_sha256"),
        (f'[a]\ntoken_sha256 = "{HASH}"\nitems = 5', r"items: Extra inputs are not permitted; known: \['items_per_min"),
        (f'[a]\ntoken_sha256 = "{HASH}"\nitems_per_minute = 0', "items_per_minute: Input should be greater than 0"),
        (f'["a b"]\ntoken_sha256 = "{HASH}"', "a tenant's name is"),
        (f'["a:b"]\ntoken_sha256 = "{HASH}"', "a tenant's name is"),
        (f'[a]\ntoken_sha256 = "{HASH}"\n[b]\ntoken_sha256 = "{HASH}"', r"\[a\] and \[b\] have the same token"),
    ],
)
def test_a_wrong_tenants_toml_is_named_with_what_would_have_worked(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        read(written(tmp_path, text))
    assert "secret" not in str(error.value)


def test_a_tenants_toml_that_is_not_there_or_takes_the_default_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read(tmp_path / "none.toml")
    file = written(tmp_path, f'[default]\ntoken_sha256 = "{HASH}"')
    with pytest.raises(ConfigError, match="take another name"):
        Tenants.configured(Settings(tenants=file, token="t"))  # type: ignore[arg-type]


def test_a_tenants_toml_counts_as_a_token_where_others_can_reach_the_server(tmp_path: Path) -> None:
    Settings(host="0.0.0.0", tenants=tmp_path / "tenants.toml").refuse_to_be_open()
    with pytest.raises(ValueError, match="GUERDON_REWARD_TENANTS"):
        Settings(host="0.0.0.0").refuse_to_be_open()


@pytest.mark.parametrize("name", ["team-a", "team.a"])
def test_the_command_that_makes_a_token_writes_its_hash_and_only_shows_the_token(tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-m", "reward_server.tenants", name]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    token = made.stderr.split()[-1]
    assert len(token) > 40
    assert token not in made.stdout
    assert tomllib.loads(made.stdout)
    [tenant] = read(written(tmp_path, made.stdout))
    assert Tenants([tenant]).whose(token.encode()) == tenant
    assert tenant.name == name


def test_the_command_wants_a_proper_name() -> None:
    command = [sys.executable, "-m", "reward_server.tenants", "no spaces"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (b"Bearer t", b"t"),
        (b"bearer  t ", b"t"),
        (b"Basic t", None),
        (b"", None),
        (b"Bearer", b""),
        (b"\xff \xfe", None),
    ],
)
def test_a_token_is_read_as_the_bytes_that_were_sent(header: bytes, token: bytes | None) -> None:
    assert bearer([(b"host", b"x"), (b"authorization", header)]) == token
    assert bearer([(b"host", b"x")]) is None


def run(url: str, main: Callable[[Quotas, Quotas, "aioredis.Redis"], Coroutine[Any, Any, None]]) -> None:
    """Run a test with the quotas of two replicas."""

    async def both() -> None:
        async with aioredis.Redis.from_url(url) as redis:
            await redis.flushdb()
            trips = RoundTrips(redis), RoundTrips(redis)
            await main(*map(Quotas, trips), redis)
            for one in trips:
                await one.close()

    asyncio.run(asyncio.wait_for(both(), 60))


def soon() -> float:
    return time.time() + 30


def test_a_minutes_requests_may_come_at_once_and_replicas_count_together(valkey_url: str) -> None:
    async def main(one: Quotas, two: Quotas, redis: "aioredis.Redis") -> None:
        tenant = Tenant("a", requests_per_minute=2)
        await one.admit(tenant, 1000, "x", soon())
        await two.admit(tenant, 1000, "y", soon())
        with pytest.raises(OverQuota, match="requests_per_minute of a is 2") as over:
            await one.admit(tenant, 1, "z", soon())
        assert 28 < over.value.retry_after_s <= 30

    run(valkey_url, main)


def test_items_are_counted_and_a_request_that_is_refused_costs_nothing(valkey_url: str) -> None:
    async def main(one: Quotas, two: Quotas, redis: "aioredis.Redis") -> None:
        tenant = Tenant("a", items_per_minute=600, requests_per_minute=100)
        await one.admit(tenant, 590, "x", soon())
        for _ in range(3):
            with pytest.raises(OverQuota, match="items_per_minute of a is 600") as over:
                await two.admit(tenant, 30, "y", soon())
            assert over.value.retry_after_s == 2
        await one.admit(tenant, 10, "z", soon())
        assert await redis.pttl("guerdon:quota:a:items") > 0

    run(valkey_url, main)


def test_one_tenants_use_leaves_the_others_alone(valkey_url: str) -> None:
    async def main(one: Quotas, two: Quotas, redis: "aioredis.Redis") -> None:
        await one.admit(Tenant("a", requests_per_minute=1), 1, "x", soon())
        await one.admit(Tenant("b", requests_per_minute=1), 1, "y", soon())

    run(valkey_url, main)


def test_items_in_flight_are_free_again_when_their_request_has_ended(valkey_url: str) -> None:
    async def main(one: Quotas, two: Quotas, redis: "aioredis.Redis") -> None:
        tenant = Tenant("a", max_in_flight=10)
        async with one.held(tenant, 6, soon()):
            with pytest.raises(OverQuota, match="max_in_flight of a is 10"):
                async with two.held(tenant, 5, soon()):
                    pass
            async with two.held(tenant, 4, soon()):
                pass
            await two.admit(tenant, 4, "job", soon())
            await one.admit(tenant, 4, "job", soon())  # sent again: the same work
        await one.admit(tenant, 6, "other", soon())
        for work in ("job", "job", "unknown"):
            two.release(tenant, work)
        await two.admit(tenant, 4, "more", soon())
        with pytest.raises(OverQuota):
            await two.admit(tenant, 1, "too much", soon())

    run(valkey_url, main)


def test_what_a_dead_process_held_is_free_again_after_its_deadline(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reward_server.quota.GRACE_S", 0.02)

    async def main(one: Quotas, two: Quotas, redis: "aioredis.Redis") -> None:
        tenant = Tenant("a", max_in_flight=10)
        await one.admit(tenant, 6, "lost", time.time())
        await one.admit(tenant, 4, "alive", soon())
        while True:
            try:
                await two.admit(tenant, 6, "next", soon())
                break
            except OverQuota:
                continue
        with pytest.raises(OverQuota):
            await two.admit(tenant, 1, "too much", soon())

    run(valkey_url, main)


def test_more_items_than_a_limit_allows_at_all_are_refused_and_not_put_off(valkey_url: str) -> None:
    async def main(one: Quotas, two: Quotas, redis: "aioredis.Redis") -> None:
        for tenant in (Tenant("a", items_per_minute=5), Tenant("a", max_in_flight=5)):
            with pytest.raises(Refused, match="send fewer in one request"):
                await one.admit(tenant, 6, "x", soon())

    run(valkey_url, main)


def test_a_tenant_without_limits_needs_no_redis_and_one_with_limits_does() -> None:
    async def main() -> None:
        quotas = Quotas(RoundTrips(aioredis.Redis(port=1, retry=None)))
        async with quotas.held(Tenant("default"), 4096, soon()):
            pass
        with pytest.raises(Unavailable, match="the limits of a cannot be looked up"):
            await quotas.admit(Tenant("a", requests_per_minute=1), 1, "x", soon())

    asyncio.run(main())
