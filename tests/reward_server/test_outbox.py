import threading
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from reward_server import catalog
from reward_server.outbox import FIRST_ITEMS, MESSAGE_BYTES, Message, Outbox, Pending

REWARDS = catalog.load().rewards
SERVED = [*list(REWARDS.values())[:2], REWARDS["judge"]]


def pending(one: str, run: str = "", bulk: bool = False, reward: int = 0, content: bytes = b"{}") -> Pending:
    return Pending(SERVED[reward], one, content, 1e12, run, bulk, waits=[(None, 0)])


def outbox(message_items: int = 10, message_s: float = 0.1, run_messages: int = 3) -> Outbox:
    return Outbox(message_items, message_s, run_messages)


def available(box: Outbox) -> list[Message]:
    """Everything that may be sent now."""
    messages = []
    while (message := box._next()) is not None:
        messages.append(message)
    return messages


items = st.lists(
    st.tuples(st.sampled_from(["one", "two", "three"]), st.booleans(), st.integers(0, 1), st.booleans()), max_size=60
)


@given(items, st.integers(1, 5), st.integers(1, 4), st.randoms())
def test_every_item_is_sent_once_among_its_own_and_no_run_has_more_out_than_it_may(
    some: list[tuple[str, bool, int, bool]], message_items: int, run_messages: int, random: object
) -> None:
    box = outbox(message_items, run_messages=run_messages)
    jobs = [pending(str(i), run, bulk, reward) for i, (run, bulk, reward, _) in enumerate(some)]
    for job, (*_, suspect) in zip(jobs, some, strict=True):
        job.suspect = suspect
    box.put(jobs)
    sent: list[Pending] = []
    while messages := available(box):
        assert max(Counter(message.lane for message in box.out.values()).values()) <= run_messages
        for message in messages:
            lanes = {(job.run, job.bulk, job.served.name, job.suspect) for job in message.jobs}
            assert len(lanes) == 1
            assert len(message.jobs) <= (1 if message.lane.suspect else message_items)
            sent += message.jobs
            box.finish(message)
    assert sorted(map(id, sent)) == sorted(map(id, jobs))


def test_a_run_of_10_000_leaves_the_way_free_for_a_run_of_8() -> None:
    box = outbox(run_messages=3)
    box.put([pending(f"big{i}", "big") for i in range(10_000)])
    assert [message.lane.run for message in available(box)] == ["big"] * 3
    box.put([pending(f"small{i}", "small") for i in range(8)])
    [small] = available(box)
    assert (small.lane.run, len(small.jobs)) == ("small", 8)


def test_a_run_goes_on_when_one_of_its_messages_is_answered() -> None:
    box = outbox(message_items=1, run_messages=2)
    box.put([pending(str(i)) for i in range(3)])
    first, _ = available(box)
    box.finish(first)
    box.finish(first)  # a second answer to one message changes nothing
    assert [job.id for message in available(box) for job in message.jobs] == ["2"]


def test_interactive_items_go_out_before_bulk_ones() -> None:
    box = outbox()
    box.put([pending("bulk", bulk=True), pending("now")])
    assert [message.jobs[0].id for message in available(box)] == ["now", "bulk"]


def test_messages_shrink_to_what_a_slow_model_does_in_the_time() -> None:
    box = outbox(message_items=100, message_s=0.1)
    box.put([pending(str(i)) for i in range(100)])
    assert len(box._next().jobs) == FIRST_ITEMS  # type: ignore[union-attr]
    box.learn(SERVED[0].name, items=10, model_s=0.4)
    assert len(box._next().jobs) == 2  # type: ignore[union-attr]


def test_a_message_is_no_larger_than_redis_should_hold() -> None:
    box = outbox()
    box.put([pending(str(i), content=b"x" * (MESSAGE_BYTES // 2 + 1)) for i in range(3)])
    assert [len(message.jobs) for message in available(box)] == [1, 1, 1]


def test_an_item_that_nobody_waits_for_any_more_is_not_sent() -> None:
    box = outbox()
    unwanted, wanted = pending("unwanted"), pending("wanted")
    box.put([unwanted, wanted])
    unwanted.waits.clear()
    [message] = available(box)
    assert message.jobs == [wanted]


def test_closing_ends_a_thread_that_waits_for_messages() -> None:
    box = outbox()
    got: list[Message | None] = []
    thread = threading.Thread(target=lambda: got.append(box.take()))
    thread.start()
    box.close()
    thread.join(5)
    assert got == [None]


def test_requests_that_share_a_message_accompany_it_once_each() -> None:
    box = outbox()
    jobs = [pending(str(i)) for i in range(3)]
    jobs[0].travelling = jobs[2].travelling = {"request_id": "a"}
    box.put(jobs)
    [message] = available(box)
    assert message.travelling() == [{"request_id": "a"}]


def test_what_waits_for_a_server_goes_in_few_messages_however_long_it_takes() -> None:
    box = outbox(message_items=200)
    box.learn("judge", 1, 60.0)
    box.put([pending(str(index), reward=2) for index in range(300)])
    assert [len(message.jobs) for message in available(box)] == [200, 100]
