"""What of a worker's answers is kept."""

from reward_server.cache import key, stored

OK, FAILED = {"status": "ok", "value": 1.0}, {"status": "judge_transport", "error": "the judge server is away"}


def kept(*outcomes: dict[str, object]) -> list[str]:
    named = [(str(place), outcome) for place, outcome in enumerate(outcomes)]
    ids, commands = stored(named, ttl_s=60)
    assert [command[1] for command in commands] == [key(one) for one in ids]
    return ids


def test_a_failure_is_not_kept() -> None:
    assert kept(OK, FAILED, OK) == ["0", "2"]


def test_a_group_with_a_failure_is_not_kept() -> None:
    whole, partly = {"status": "ok", "members": [OK, OK]}, {"status": "ok", "members": [OK, FAILED]}
    assert kept(whole, partly) == ["0"]
