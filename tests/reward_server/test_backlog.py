from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from reward_server.backlog import Backlog, Job, Limits, Request

TOKENS = {"a": 1, "b": 2, "c": 3, "d": 5, "e": 8, "f": 13, "g": 30, "h": 50}
"""Equal content costs equal tokens."""
MANY = Limits(tokens=10_000, padding=1000.0)

requests = st.lists(
    st.builds(
        lambda name, run, bulk, deadline: Request(name, name, TOKENS[name], deadline, run, bulk),
        st.sampled_from("abcdefgh"),
        st.sampled_from(["one", "two", "three"]),
        st.booleans(),
        st.sampled_from([5.0, 50.0]),
    ),
    max_size=40,
)
limits = st.builds(Limits, st.integers(1, 200), st.floats(1.0, 2.0), st.integers(0, 50))


@dataclass
class Filled:
    jobs: list[Job[str, None]]
    backlog: Backlog[str, None]


def filled(some: list[Request[str]]) -> Filled:
    jobs: list[Job[str, None]] = [Job(request, None, index) for index, request in enumerate(some)]
    backlog: Backlog[str, None] = Backlog()
    backlog.add(jobs)
    return Filled(jobs, backlog)


def request(name: str, tokens: int, run: str = "", bulk: bool = False, deadline: float = 10.0) -> Request[str]:
    return Request(name, name, tokens, deadline, run, bulk)


@given(requests, limits)
def test_every_job_is_taken_exactly_once(some: list[Request[str]], limit: Limits) -> None:
    it = filled(some)
    taken: list[Job[str, None]] = []
    while len(it.backlog):
        batch, expired = it.backlog.take(10.0, limit)
        assert batch or expired
        taken += [*batch, *expired]
    assert sorted(map(id, taken)) == sorted(map(id, it.jobs))
    assert it.backlog.take(10.0, limit) == ([], [])


@given(requests, limits)
def test_a_batch_stays_in_its_limits_unless_one_item_alone_is_larger(some: list[Request[str]], limit: Limits) -> None:
    backlog = filled(some).backlog
    while len(backlog):
        distinct = {job.request.id: job.request.tokens for job in backlog.take(0.0, limit).batch}
        total = sum(distinct.values())
        padded = limit.padded(len(distinct), max(distinct.values()), total)
        assert len(distinct) == 1 or padded <= limit.tokens
        assert padded <= max(limit.cheap, limit.padding * total + 1e-9)


@given(requests, limits)
def test_jobs_past_their_deadline_are_never_in_a_batch(some: list[Request[str]], limit: Limits) -> None:
    it = filled(some)
    expired = it.backlog.take(10.0, limit).expired
    assert sorted(map(id, expired)) == sorted(id(job) for job in it.jobs if job.request.deadline <= 10.0)


@given(requests, limits)
def test_the_oldest_job_of_some_interactive_run_goes_before_any_bulk_job_is_first(
    some: list[Request[str]], limit: Limits
) -> None:
    it = filled(some)
    batch = it.backlog.take(0.0, limit).batch
    lanes = {(job.request.bulk, job.request.run): job for job in reversed(it.jobs)}
    wanted = [job for (bulk, _), job in lanes.items() if not bulk] or list(lanes.values())
    assert not it.jobs or any(job in batch for job in wanted)


@given(requests)
def test_dropped_jobs_are_gone_and_the_others_stay(some: list[Request[str]]) -> None:
    it = filled(some)
    dropped = it.backlog.drop(lambda job: job.request.id in "abc")
    assert {job.request.id for job in dropped} <= set("abc")
    left: list[Job[str, None]] = []
    while len(it.backlog):
        left += it.backlog.take(0.0, MANY).batch
    assert sorted(map(id, [*dropped, *left])) == sorted(map(id, it.jobs))


def test_jobs_of_equal_content_take_one_place() -> None:
    backlog = filled([request("a", 10), request("a", 10, run="other"), request("b", 10)]).backlog
    assert len(backlog.take(0.0, Limits(20)).batch) == 3


def test_neighbours_in_length_go_together_and_strangers_wait() -> None:
    backlog = filled([request("a", 10), request("long", 100), request("b", 11), request("short", 2)]).backlog
    assert [job.request.id for job in backlog.take(0.0, Limits(1000, padding=1.1)).batch] == ["a", "b"]
    assert [job.request.id for job in backlog.take(0.0, Limits(1000, padding=1.1)).batch] == ["long"]


def test_padding_is_not_minded_in_calls_that_are_cheap_anyway() -> None:
    backlog = filled([request("a", 10), request("long", 100)]).backlog
    assert len(backlog.take(0.0, Limits(1000, padding=1.1, cheap=200)).batch) == 2


def test_a_run_of_8_is_not_starved_by_a_run_of_10_000() -> None:
    one_at_a_time = Limits(tokens=5)
    big = [request(f"big{i}", 5, run="big") for i in range(10_000)]
    backlog = filled([*big, *(request(f"small{i}", 5, run="small") for i in range(8))]).backlog
    order = [backlog.take(0.0, one_at_a_time).batch[0].request.run for _ in range(16)]
    assert order.count("small") == 8


def test_a_run_that_comes_later_gets_its_share_and_no_arrears() -> None:
    one_at_a_time = Limits(tokens=5)
    backlog = filled([request(f"old{i}", 5, run="old") for i in range(100)]).backlog
    for _ in range(50):
        backlog.take(0.0, one_at_a_time)
    backlog.add([Job(request(f"new{i}", 5, run="new"), None, i) for i in range(50)])
    order = [backlog.take(0.0, one_at_a_time).batch[0].request.run for _ in range(20)]
    assert 9 <= order.count("new") <= 11


def test_shares_are_counted_in_tokens_not_in_items() -> None:
    one_at_a_time = Limits(tokens=1)
    long = [request(f"long{i}", 30, run="long") for i in range(50)]
    backlog = filled([*long, *(request(f"short{i}", 10, run="short") for i in range(90))]).backlog
    order = [backlog.take(0.0, one_at_a_time).batch[0].request.run for _ in range(80)]
    assert 58 <= order.count("short") <= 62


def test_bulk_waits_for_everything_interactive() -> None:
    bulk = [request(f"bulk{i}", 5, bulk=True) for i in range(5)]
    backlog = filled([*bulk, *(request(f"now{i}", 50) for i in range(5))]).backlog
    order = [backlog.take(0.0, Limits(tokens=50)).batch[0].request.bulk for _ in range(6)]
    assert order == [False] * 5 + [True]


def test_an_item_of_unusual_length_is_not_passed_over_for_long() -> None:
    limit = Limits(tokens=20, padding=1.1)
    backlog = filled([request("first", 10), request("odd", 3), request("usual", 10)]).backlog
    for i in range(100):
        batch = backlog.take(0.0, limit).batch
        if any(job.request.id == "odd" for job in batch):
            return
        backlog.add([Job(request(f"later{i}{job.index}", 10), None, 0) for job in batch])
    raise AssertionError("it was passed over a hundred times")


def test_equal_items_far_apart_in_the_queue_are_computed_together() -> None:
    backlog = filled([request("a", 10), *(request(str(i), 10) for i in range(500)), request("a", 10)]).backlog
    assert [job.index for job in backlog.take(0.0, Limits(tokens=10)).batch] == [0, 501]
