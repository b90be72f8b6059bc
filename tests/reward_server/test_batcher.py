import threading

import pytest

from reward_server.backlog import Limits, Request
from reward_server.batcher import Batcher, Call, Submission


def request(one: str, payload: str, deadline: float = 1.0) -> Request[str]:
    return Request(one, payload, 1, deadline)


def answered(submission: Submission[str]) -> list[str | None]:
    """Wait for all of it."""
    while not submission.finished:
        assert submission.news(until=10, clock=lambda: 0)[0], "nothing came"
    return submission.results


def test_what_comes_while_the_model_is_busy_goes_into_one_call() -> None:
    busy, go, calls = threading.Event(), threading.Event(), list[list[str]]()

    def model(payloads: list[str]) -> list[str]:
        calls.append(payloads)
        busy.set()
        go.wait(5)
        return [payload.upper() for payload in payloads]

    batcher = Batcher(model, broken=repr, limits=Limits(1000), clock=lambda: 0)
    first = batcher.submit([request("a", "a")])
    assert busy.wait(5)
    later = [batcher.submit([request(name, name)]) for name in "bcd"]
    go.set()
    assert [answered(submission) for submission in [first, *later]] == [["A"], ["B"], ["C"], ["D"]]
    batcher.close()
    assert calls == [["a"], ["b", "c", "d"]]


def test_equal_items_of_two_callers_are_computed_once() -> None:
    calls: list[list[str]] = []
    batcher = Batcher(
        lambda payloads: calls.append(payloads) or payloads, broken=repr, limits=Limits(10), clock=lambda: 0
    )
    submission = batcher.submit([request("a", "x"), request("a", "x")])
    assert answered(submission) == ["x", "x"]
    batcher.close()
    assert calls == [["x"]]


def test_a_model_that_raises_answers_its_batch_and_the_thread_lives_on() -> None:
    def model(payloads: list[str]) -> list[str]:
        if "bad" in payloads:
            raise BaseException("no")  # as a panic in a tokenizer's Rust is raised
        return payloads

    batcher = Batcher(model, broken=lambda error: f"broken: {error}", limits=Limits(1), clock=lambda: 0)
    bad = batcher.submit([request("1", "bad")])
    good = batcher.submit([request("2", "good")])
    assert (answered(bad), answered(good)) == (["broken: no"], ["good"])
    batcher.close()
    assert not batcher.alive  # only because it was closed


def test_a_job_past_its_deadline_has_no_result_but_is_finished() -> None:
    batcher = Batcher(lambda payloads: payloads, broken=repr, limits=Limits(1), clock=lambda: 100)
    submission = batcher.submit([request("1", "x", deadline=99)])
    assert answered(submission) == [None]
    batcher.close()


def test_closing_finishes_what_waits() -> None:
    batcher = Batcher(lambda payloads: payloads, broken=repr, limits=Limits(1), clock=lambda: 0)
    submissions = [batcher.submit([request(str(i), str(i))]) for i in range(20)]
    batcher.close()
    assert [submission.results for submission in submissions] == [[str(i)] for i in range(20)]


def test_results_of_a_submission_come_as_soon_as_they_are_there() -> None:
    go = threading.Event()

    def model(payloads: list[str]) -> list[str]:
        if payloads == ["slow"]:
            go.wait(5)
        return payloads

    batcher = Batcher(model, broken=repr, limits=Limits(1), clock=lambda: 0)
    submission = batcher.submit([request("1", "fast"), request("2", "slow")])
    assert submission.news(until=10, clock=lambda: 0) == ([0], False)
    assert not submission.finished
    go.set()
    assert answered(submission) == ["fast", "slow"]
    batcher.close()


def test_a_dropped_item_costs_no_call_and_its_twin_of_another_caller_is_computed() -> None:
    busy, go, calls = threading.Event(), threading.Event(), list[list[str]]()

    def model(payloads: list[str]) -> list[str]:
        calls.append(payloads)
        busy.set()
        go.wait(5)
        return payloads

    batcher = Batcher(model, broken=repr, limits=Limits(1), clock=lambda: 0)
    first = batcher.submit([request("a", "a")])
    assert busy.wait(5)
    unwanted = batcher.submit([request("b", "b"), request("c", "c")])
    wanted = batcher.submit([request("c", "c")])
    batcher.drop(unwanted, {"b", "c"})
    go.set()
    assert [answered(one) for one in (first, unwanted, wanted)] == [["a"], [None, None], ["c"]]
    batcher.close()
    assert calls == [["a"], ["c"]]


def test_after_a_call_that_was_too_much_the_next_ones_hold_half() -> None:
    calls: list[Call] = []

    def model(payloads: list[str]) -> list[str]:
        if len(payloads) > 4:
            batcher.shrink()
        return payloads

    batcher = Batcher(model, repr, Limits(100), watch=calls.append, clock=lambda: 0)
    answered(batcher.submit([request(str(i), str(i)) for i in range(8)]))
    answered(batcher.submit([request(str(i), str(i)) for i in range(8)]))
    batcher.close()
    assert [call.items for call in calls] == [8, 4, 4]


def test_the_models_time_is_shared_out_by_tokens() -> None:
    busy, go = threading.Event(), threading.Event()

    def model(payloads: list[str]) -> list[str]:
        busy.set()
        go.wait(5)
        return payloads

    batcher = Batcher(model, repr, Limits(1000, padding=100), clock=lambda: 0)
    first = batcher.submit([request("first", "first")])
    assert busy.wait(5)
    small, large = (batcher.submit([Request(name, name, tokens, 1.0)]) for name, tokens in [("s", 10), ("l", 90)])
    go.set()
    for submission in (first, small, large):
        answered(submission)
    batcher.close()
    assert large.model_s == pytest.approx(9 * small.model_s)


def test_calls_that_wait_run_side_by_side_and_their_time_is_nobodys() -> None:
    both = threading.Barrier(2, timeout=20)

    def wait(payloads: list[str]) -> list[str]:
        both.wait()  # returns only when two calls are under way
        return payloads

    batcher = Batcher(wait, broken=repr, limits=Limits(1), call_s=1e-9, clock=lambda: 0, calls=2)
    submission = batcher.submit([request(name, name) for name in "abcd"])
    assert answered(submission) == ["a", "b", "c", "d"]
    assert submission.model_s == 0
    assert batcher.alive
    batcher.close()
    assert not batcher.alive


def test_calls_that_wait_are_not_made_smaller_because_they_take_long() -> None:
    sizes: list[int] = []

    def wait(payloads: list[str]) -> list[str]:
        sizes.append(len(payloads))
        return payloads

    batcher = Batcher(wait, broken=repr, limits=Limits(8), call_s=1e-9, clock=lambda: 0, calls=2)
    for _ in range(3):
        answered(batcher.submit([request(str(index), "x") for index in range(8)]))
    batcher.close()
    assert sizes == [8, 8, 8]
