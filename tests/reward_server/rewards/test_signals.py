import pytest

from reward_server.rewards.variety.signals import flipped, signal

CORRECT = [1.0, 1, 1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("scale", [1e-200, 1, 1e150])
def test_flipped_is_the_sign_of_the_correlation_at_any_scale(scale: float) -> None:
    quality = [one * scale for one in CORRECT]
    assert flipped([one * scale for one in (2.0, 2, 2, 2, 1, 1, 1, 0)], quality) == 0
    assert flipped([one * scale for one in (0.0, 0, 1, 0, 1, 1, 1, 2)], quality) == 1
    assert flipped([0.1] * 8, quality) is None
    assert flipped(quality, [0.1] * 8) is None


def test_the_signal_is_the_sum_of_distances_from_the_mean() -> None:
    assert signal([1, 2, 6]) == 2 + 1 + 3
    assert signal([0.25, 0.25]) == 0
