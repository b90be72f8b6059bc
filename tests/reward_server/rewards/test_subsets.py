import itertools
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_server.rewards.variety.subsets import advantages

CORRECT = [1.0, 1, 1, 1, 1, 0, 0, 0]
groups = st.lists(st.tuples(st.floats(-10, 10), st.sampled_from(["a", "b", "c", "d", None])), min_size=1, max_size=8)


def enumerated(quality: list[float], clusters: list[str | None], size: int) -> list[float]:
    """The definition, in exact arithmetic."""
    scores: dict[tuple[int, ...], Fraction] = {}
    for chosen in itertools.combinations(range(len(quality)), size):
        mean = sum((Fraction(quality[i]) for i in chosen), Fraction()) / size
        scores[chosen] = mean * len({clusters[i] for i in chosen} - {None}) / size
    everywhere = sum(scores.values()) / len(scores)
    through = [[score for chosen, score in scores.items() if i in chosen] for i in range(len(quality))]
    return [float(sum(mine) / len(mine) - everywhere) for mine in through]


@pytest.mark.parametrize(
    ("clusters", "size", "expected"),
    [
        ("AAAAABCD", 2, [0.0536] * 5 + [-0.0893] * 3),
        ("AAAAABCD", 4, [0.0] * 8),
        ("AAAAABCD", 6, [-0.0020] * 5 + [0.0033] * 3),
        ("AAAABCDE", 4, [-0.0036] * 4 + [0.0839] + [-0.0232] * 3),
    ],
)
def test_known_groups_have_their_known_advantages(clusters: str, size: int, expected: list[float]) -> None:
    assert advantages(CORRECT, list(clusters), size) == pytest.approx(expected, abs=5e-5)


def test_what_is_nothing_is_exactly_nothing_for_scaling_to_blow_up() -> None:
    assert advantages(CORRECT, list("AAAAABCD"), 4) == [0.0] * 8


@settings(max_examples=300)
@given(groups, st.data())
def test_the_closed_form_equals_enumeration(group: list[tuple[float, str | None]], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(group)))
    quality, clusters = [one[0] for one in group], [one[1] for one in group]
    assert advantages(quality, clusters, size) == pytest.approx(
        enumerated(quality, clusters, size), rel=1e-12, abs=1e-300
    )


@given(groups, st.data())
def test_advantages_sum_to_zero(group: list[tuple[float, str | None]], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(group)))
    assert sum(advantages([one[0] for one in group], [one[1] for one in group], size)) == pytest.approx(0, abs=1e-12)


@given(groups, st.randoms(use_true_random=False), st.data())
def test_the_order_of_the_group_changes_nothing(
    group: list[tuple[float, str | None]], chance: random.Random, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, len(group)))
    order = list(range(len(group)))
    chance.shuffle(order)
    plain = advantages([one[0] for one in group], [one[1] for one in group], size)
    shuffled = advantages([group[i][0] for i in order], [group[i][1] for i in order], size)
    assert shuffled == [plain[i] for i in order]


def test_a_group_far_beyond_enumeration_has_finite_advantages() -> None:
    quality = [i / 4096 for i in range(4096)]
    values = advantages(quality, [i % 1000 for i in range(4096)], 2048)
    assert sum(values) == pytest.approx(0, abs=1e-12)
    assert values[-1] > 0 > values[0]


@pytest.mark.parametrize("size", [0, 4])
def test_subsets_that_do_not_exist_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="subsets"):
        advantages([1, 2, 3], ["a", "b", "c"], size)
