"""What workers say of themselves, and what is made of it."""

from reward_server.catalog import Served
from reward_server.fleet import Fleet, entry_of
from reward_server.rewards.length import Length

OLD = Served("size.x@y", Length(), "length.1.aaa", "worker")
NEW = Served("size.x@y", Length(high=9), "length.1.bbb", "worker")
NAMESAKE = Served("size", Length(), "length.1.bbb", "worker")


def fleet(*workers: list[Served]) -> Fleet:
    return Fleet.read(entry_of(f"worker{number}", serves).encode() for number, serves in enumerate(workers))


def test_workers_are_counted_by_name_and_version() -> None:
    some = fleet([OLD, NAMESAKE], [OLD], [NEW], [])
    assert set(some.workers) == {"worker0", "worker1", "worker2", "worker3"}
    assert [(some.serving(one), some.otherwise(one)) for one in (OLD, NEW, NAMESAKE)] == [(2, 1), (1, 2), (1, 0)]


def test_what_only_workers_of_other_versions_could_answer_is_told_with_both_versions() -> None:
    assert fleet([NEW], [NEW]).why_late(OLD) == "no worker serves version length.1.aaa; those alive serve length.1.bbb"
    for some in (Fleet(), fleet([NAMESAKE]), fleet([OLD], [NEW])):
        assert some.why_late(OLD) == "no worker answered before the deadline"
