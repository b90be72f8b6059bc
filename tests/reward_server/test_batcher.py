import threading

from hypothesis import given
from hypothesis import strategies as st

from reward_server.batcher import Batcher, Job, Request, Submission, split

sizes = {"a": 1, "b": 2, "c": 3, "d": 5, "e": 8, "f": 13, "g": 30, "h": 50}
"""Equal content costs equal tokens."""
requests = st.lists(st.sampled_from("abcdefgh").map(lambda name: Request(name, "x", sizes[name])), max_size=20)


def jobs_of(some: list[Request[str]], deadline: float = 10) -> list[Job[str, str]]:
    submission: Submission[str] = Submission(len(some), deadline)
    return [Job(request, submission, index) for index, request in enumerate(some)]


@given(requests, st.integers(1, 200))
def test_every_job_is_in_the_batch_or_waiting_and_never_both(some: list[Request[str]], budget: int) -> None:
    jobs = jobs_of(some)
    batch, waiting, expired = split(jobs, now=0, max_tokens=budget)
    assert sorted(map(id, [*batch, *waiting, *expired])) == sorted(map(id, jobs))


@given(requests, st.integers(1, 200))
def test_a_padded_batch_stays_in_its_budget_unless_one_item_alone_is_larger(
    some: list[Request[str]], budget: int
) -> None:
    batch = split(jobs_of(some), now=0, max_tokens=budget).batch
    distinct = {job.request.id: job.request.tokens for job in batch}
    assert len(distinct) <= 1 or max(distinct.values()) * len(distinct) <= budget


@given(requests, st.integers(1, 200))
def test_the_oldest_job_always_goes_first(some: list[Request[str]], budget: int) -> None:
    jobs = jobs_of(some)
    batch = split(jobs, now=0, max_tokens=budget).batch
    assert not jobs or jobs[0] in batch


def test_expired_jobs_cost_nothing() -> None:
    late, alive = jobs_of([Request("a", "x", 1)], deadline=5), jobs_of([Request("b", "x", 1)], deadline=15)
    assert split([*late, *alive], now=10, max_tokens=100) == (alive, [], late)


def test_jobs_of_equal_content_take_one_place() -> None:
    jobs = jobs_of([Request("a", "x", 10), Request("a", "x", 10), Request("b", "x", 10)])
    assert len(split(jobs, now=0, max_tokens=20).batch) == 3


def test_neighbours_in_length_go_together() -> None:
    jobs = jobs_of([Request("a", "x", 10), Request("long", "x", 100), Request("b", "x", 11)])
    batch = split(jobs, now=0, max_tokens=30).batch
    assert [job.request.id for job in batch] == ["a", "b"]


def test_what_comes_while_the_model_is_busy_goes_into_one_call() -> None:
    busy, go, calls = threading.Event(), threading.Event(), list[list[str]]()

    def model(payloads: list[str]) -> list[str]:
        calls.append(payloads)
        busy.set()
        go.wait(5)
        return [payload.upper() for payload in payloads]

    batcher = Batcher(model, broken=repr, max_tokens=1000, clock=lambda: 0)
    first = batcher.submit([Request("a", "a", 1)], deadline=1)
    assert busy.wait(5)
    later = [batcher.submit([Request(name, name, 1)], deadline=1) for name in "bcd"]
    go.set()
    assert all(submission.finished.wait(5) for submission in [first, *later])
    batcher.close()
    assert calls == [["a"], ["b", "c", "d"]]
    assert [submission.results for submission in [first, *later]] == [["A"], ["B"], ["C"], ["D"]]


def test_equal_items_of_two_callers_are_computed_once() -> None:
    calls: list[list[str]] = []
    batcher = Batcher(lambda payloads: calls.append(payloads) or payloads, broken=repr, max_tokens=10, clock=lambda: 0)
    submission = batcher.submit([Request("a", "x", 1), Request("a", "x", 1)], deadline=1)
    assert submission.finished.wait(5)
    batcher.close()
    assert calls == [["x"]]
    assert submission.results == ["x", "x"]


def test_a_model_that_raises_answers_its_batch_and_the_thread_lives_on() -> None:
    def model(payloads: list[str]) -> list[str]:
        if "bad" in payloads:
            raise BaseException("no")  # as a panic in a tokenizer's Rust is raised
        return payloads

    batcher = Batcher(model, broken=lambda error: f"broken: {error}", max_tokens=1, clock=lambda: 0)
    bad = batcher.submit([Request("1", "bad", 1)], deadline=1)
    good = batcher.submit([Request("2", "good", 1)], deadline=1)
    assert bad.finished.wait(5)
    assert good.finished.wait(5)
    batcher.close()
    assert (bad.results, good.results) == (["broken: no"], ["good"])
    assert not batcher.alive  # only because it was closed


def test_a_job_past_its_deadline_has_no_result_but_is_finished() -> None:
    batcher = Batcher(lambda payloads: payloads, broken=repr, max_tokens=1, clock=lambda: 100)
    submission = batcher.submit([Request("1", "x", 1)], deadline=99)
    assert submission.finished.wait(5)
    batcher.close()
    assert submission.results == [None]


def test_closing_finishes_what_waits() -> None:
    batcher = Batcher(lambda payloads: payloads, broken=repr, max_tokens=1, clock=lambda: 0)
    submissions = [batcher.submit([Request(str(i), str(i), 1)], deadline=1) for i in range(20)]
    batcher.close()
    assert [submission.results for submission in submissions] == [[str(i)] for i in range(20)]
