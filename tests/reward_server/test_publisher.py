import itertools

from hypothesis import given
from hypothesis import strategies as st

from reward_server import catalog
from reward_server.publisher import Parcel, merged

SERVED = list(catalog.load().rewards.values())[:3]
numbers = itertools.count()
parcels = st.lists(
    st.builds(
        lambda which, deadline, size: (SERVED[which], deadline, [(f"id{next(numbers)}", {}) for _ in range(size)]),
        st.integers(0, 2),
        st.floats(0, 100),
        st.integers(1, 9),
    ),
    max_size=8,
)


@given(parcels, st.integers(1, 10))
def test_every_item_is_sent_once_under_its_own_reward(some: list[Parcel], message_items: int) -> None:
    for served in SERVED:
        sent = [one for other, _, jobs in merged(some, message_items) if other is served for one, _ in jobs]
        given_in = [one for other, _, jobs in some if other is served for one, _ in jobs]
        assert sorted(sent) == sorted(given_in)


@given(parcels, st.integers(1, 10))
def test_messages_stay_within_their_size_and_are_never_empty(some: list[Parcel], message_items: int) -> None:
    assert all(1 <= len(jobs) <= message_items for _, _, jobs in merged(some, message_items))


@given(parcels, st.integers(1, 10))
def test_no_item_expires_sooner_because_of_its_neighbours(some: list[Parcel], message_items: int) -> None:
    asked = {one: deadline for _, deadline, jobs in some for one, _ in jobs}
    for _, deadline, jobs in merged(some, message_items):
        assert all(deadline >= asked[one] for one, _ in jobs)


def test_what_waits_together_goes_out_together() -> None:
    [message] = merged([(SERVED[0], 1.0, [("a", {})]), (SERVED[0], 2.0, [("b", {})])], 10)
    assert message == (SERVED[0], 2.0, [("a", {}), ("b", {})])
