import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_face.refused import Unavailable
from reward_server.admission import Admission, Lane, Pace

LANE: Lane = (False, "")


def admission(max_items: int = 10, max_bytes: int = 1000, hold_s: float = 5.0, closed: str | None = None) -> Admission:
    return Admission(max_items, max_bytes, hold_s, closed=lambda reward: closed)


def soon() -> float:
    return time.time() + 60


def entered(door: Admission, count: int, reward: str = "r") -> None:
    for _ in range(count):
        door.enter(reward, LANE, 1)


async def admitted(
    door: Admission, items: int, reward: str = "r", deadline: float | None = None, lane: Lane = LANE
) -> None:
    await door.admit(reward, lane, items, items, deadline or soon())


def busy(per_s: float, waiting: int) -> Pace:
    """A pace measured over ten busy seconds, with so many items waiting now."""
    pace = Pace()
    pace.asked(LANE, waiting + int(10 * per_s) + 1)
    pace.tick(1.0)
    for _ in range(int(10 * per_s)):
        pace.settled(LANE, answered=True)
    pace.tick(10.0)
    while pace.waiting > waiting:
        pace.settled(LANE, answered=False)
    return pace


@given(st.lists(st.sampled_from(["ask", "answer", "tick"]), max_size=50))
def test_a_pace_is_known_only_while_the_workers_were_never_idle(events: list[str]) -> None:
    pace, idle = Pace(), True
    for event in events:
        if event == "ask":
            pace.asked(LANE)
        elif event == "answer" and pace.waiting:
            pace.settled(LANE, answered=True)
            idle = idle or not pace.waiting
        elif event == "tick":
            pace.tick(1.0)
            assert not (idle and pace.per_s is not None)
            idle = not pace.waiting


def test_work_that_fits_is_admitted_at_once() -> None:
    async def go() -> None:
        door = admission()
        await admitted(door, 10)
        entered(door, 9)
        await admitted(door, 1)

    asyncio.run(go())


def test_a_request_larger_than_the_whole_house_is_admitted_when_it_is_empty() -> None:
    asyncio.run(admitted(admission(max_items=10, max_bytes=10_000), 50))


def test_what_does_not_fit_is_held_until_something_leaves() -> None:
    async def go() -> None:
        door = admission()
        entered(door, 10)
        held = asyncio.create_task(admitted(door, 1))
        await asyncio.sleep(0)
        assert (door.held, held.done()) == (1, False)
        door.leave("r", LANE, 1, answered=True)
        await asyncio.wait_for(held, 5)
        assert door.held == 0

    asyncio.run(go())


def test_who_is_held_enters_in_the_order_of_coming() -> None:
    async def go() -> None:
        door, order = admission(), list[int]()
        entered(door, 10)

        async def one(number: int) -> None:
            await admitted(door, 1)
            door.enter("r", LANE, 1)
            order.append(number)

        tasks = [asyncio.create_task(one(number)) for number in range(5)]
        await asyncio.sleep(0)
        for _ in range(5):
            door.leave("r", LANE, 1, answered=True)
            for _ in range(5):
                await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.gather(*tasks), 5)
        assert order == [0, 1, 2, 3, 4]

    asyncio.run(go())


def test_a_reward_that_is_too_slow_does_not_hold_up_another() -> None:
    async def go() -> None:
        door = admission(max_items=1000)
        door.paces["slow"] = busy(per_s=1, waiting=100)
        held = asyncio.create_task(admitted(door, 1, "slow"))
        await asyncio.sleep(0)
        await admitted(door, 1, "fast")
        assert not held.done()
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)
        assert door.held == 0

    asyncio.run(go())


def test_what_cannot_be_done_by_its_deadline_is_refused_with_the_time_to_come_back() -> None:
    async def go() -> None:
        door = admission(max_items=1000, hold_s=0.01)
        door.paces["r"] = busy(per_s=10, waiting=400)
        with pytest.raises(Unavailable, match="about 40 s") as refusal:
            await admitted(door, 1, deadline=time.time() + 20)
        assert refusal.value.retry_after_s == 10
        await admitted(door, 1, deadline=time.time() + 200)

    asyncio.run(go())


def test_behind_closed_doors_nobody_is_held() -> None:
    with pytest.raises(Unavailable, match="Redis does not answer"):
        asyncio.run(admitted(admission(closed="Redis does not answer"), 1))


def test_who_leaves_the_line_leaves_nothing_behind() -> None:
    async def go() -> None:
        door = admission(hold_s=0.01)
        entered(door, 10)
        results = await asyncio.gather(*(admitted(door, 1) for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [Unavailable] * 3
        assert door.held == 0

    asyncio.run(go())


def test_a_run_with_little_to_ask_is_not_kept_at_the_door_by_one_that_asks_for_much() -> None:
    async def go() -> None:
        door = admission(max_items=10_000, hold_s=0.01)
        door.paces["r"] = busy(per_s=10, waiting=2000)
        await admitted(door, 8, deadline=time.time() + 40, lane=(False, "small"))
        with pytest.raises(Unavailable, match="about 200 s"):
            await admitted(door, 8, deadline=time.time() + 40)

    asyncio.run(go())


def test_bulk_waits_at_the_door_for_what_is_interactive_and_not_the_other_way_round() -> None:
    pace = busy(per_s=10, waiting=100)
    assert pace.wait_s((True, "bulk")) == pytest.approx(10)
    pace.asked((True, "bulk"), 1000)
    assert pace.wait_s(LANE) == pytest.approx(10)
    assert pace.wait_s((False, "another"), items=1) == pytest.approx(0.1)


def test_seconds_without_an_answer_count_for_a_slow_model() -> None:
    pace = Pace()
    pace.asked(LANE, 100)
    pace.tick(1.0)
    for _ in range(5):
        for _ in range(3):
            pace.tick(1.0)
        pace.settled(LANE, answered=True)
        pace.tick(1.0)
    assert pace.per_s == pytest.approx(0.25)
