"""The rule for starting again."""

from local_stack.restarts import Restarts


def test_a_process_that_lived_long_is_started_again_at_once() -> None:
    assert Restarts().wait_s(3600) == 0


def test_each_short_life_makes_the_next_wait_longer() -> None:
    restarts = Restarts(limit=5)
    assert [restarts.wait_s(1) for _ in range(4)] == [0.2, 0.4, 0.8, 1.6]


def test_after_enough_short_lives_in_a_row_there_is_no_next() -> None:
    restarts = Restarts(limit=3)
    assert [restarts.wait_s(1) for _ in range(3)][-1] is None


def test_a_long_life_makes_up_for_the_short_ones() -> None:
    restarts = Restarts(limit=3)
    assert [restarts.wait_s(lived) for lived in (1, 1, 100, 1, 1)] == [0.2, 0.4, 0.0, 0.2, 0.4]


def test_no_wait_is_longer_than_the_longest() -> None:
    restarts = Restarts(limit=100)
    assert max(restarts.wait_s(1) or 0 for _ in range(50)) == restarts.longest_wait_s
