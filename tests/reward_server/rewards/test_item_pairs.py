from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from reward_server.rewards.models.item_pairs import drawn


@given(st.integers(2, 60), st.integers(1, 40), st.integers(-5, 10**12))
def test_pairs_are_different_and_half_of_them_are_exchanged(items: int, count: int, seed: int) -> None:
    names = [str(index) for index in range(items)]
    pairs = drawn(names, count, seed)
    assert len(pairs) == min(count, items * (items - 1) // 2)
    assert len({(pair.first, pair.second) for pair in pairs}) == len(pairs)
    assert all(int(pair.first) < int(pair.second) for pair in pairs)
    assert sum(pair.exchanged for pair in pairs) == len(pairs) // 2


def test_every_pair_there_is_can_be_drawn() -> None:
    names = list("abcdefg")
    assert {(pair.first, pair.second) for pair in drawn(names, 100, 0)} == set(combinations(names, 2))


def test_a_seed_draws_the_same_pairs_and_another_seed_others() -> None:
    names = [str(index) for index in range(60)]
    assert drawn(names, 20, 7) == drawn(names, 20, 7)
    assert drawn(names, 20, 7) != drawn(names, 20, 8)


def test_a_pair_is_shown_the_other_way_round_when_it_is_exchanged() -> None:
    for pair in drawn(list("abcd"), 6, 0):
        assert pair.shown() == sorted(pair.shown(), reverse=pair.exchanged)
