import httpx
import pytest

from guerdon.client import Attempts, Refused, Unreachable, beyond_loopback


def attempts(deadline_s: float = 60) -> Attempts:
    return Attempts("http://server/v1/score", deadline_s, clock=lambda: 0)


def test_what_another_attempt_can_change_is_tried_again() -> None:
    for code in (408, 429, 500, 502, 503, 504):
        assert attempts().wait_s(httpx.Response(code)) < 1
    assert attempts().wait_s(httpx.ConnectError("refused")) < 1


@pytest.mark.parametrize("code", [400, 401, 404, 413, 422])
def test_what_another_attempt_cannot_change_is_refused_in_the_servers_words(code: int) -> None:
    body = {"error": "no such reward", "fields": [{"field": "rewards", "problem": "unknown"}]}
    with pytest.raises(Refused, match=rf"{code}: no such reward \(rewards: unknown\)") as refused:
        attempts().wait_s(httpx.Response(code, json=body))
    assert refused.value.status_code == code


def test_waits_grow_but_stay_bounded() -> None:
    rule = attempts(1e6)
    waits = [rule.wait_s(httpx.Response(503)) for _ in range(12)]
    assert waits[0] < 0.2
    assert max(waits) <= 7.5


def test_the_server_is_believed_when_it_says_how_long_to_wait() -> None:
    assert attempts().wait_s(httpx.Response(503, headers={"retry-after": "30"})) == 30


@pytest.mark.parametrize("header", ["Wed, 21 Oct 2026 07:28:00 GMT", "soon", "-3"])
def test_a_retry_after_that_is_no_number_is_not_believed(header: str) -> None:
    assert attempts().wait_s(httpx.Response(503, headers={"retry-after": header})) < 1


def test_a_wait_beyond_the_deadline_gives_up_and_says_what_happened_last() -> None:
    with pytest.raises(Unreachable, match="503: Redis is away"):
        attempts(5).wait_s(httpx.Response(503, headers={"retry-after": "10"}, json={"error": "Redis is away"}))
    with pytest.raises(Unreachable, match="ConnectError: refused"):
        attempts(0).wait_s(httpx.ConnectError("refused"))


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1:8000", "http://[::1]:8000"])
def test_loopback_is_never_asked_for_through_a_proxy(url: str) -> None:
    assert not beyond_loopback(url)
    assert beyond_loopback("http://rewards.internal:8000")
