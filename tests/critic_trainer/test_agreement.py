import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from critic_trainer.labeling.agreement import agreement, disagreements, interval_alpha
from critic_trainer.labeling.merge import merged

GRADES = st.integers(0, 10).map(lambda grade: grade / 10)
PAIRS = st.lists(st.tuples(GRADES, GRADES), min_size=2, max_size=30)


def by(values: list[float], name: str = "empathy") -> list[dict[str, float | None]]:
    return [{name: value} for value in values]


@settings(max_examples=30)
@given(PAIRS)
def test_alpha_is_that_of_the_krippendorff_package(pairs: list[tuple[float, float]]) -> None:
    labels = np.array(pairs).T
    assume(np.ptp(labels) > 0)

    assert interval_alpha(labels) == pytest.approx(
        krippendorff.alpha(reliability_data=labels, level_of_measurement="interval"), abs=1e-9
    )


def test_labels_that_are_all_equal_have_no_alpha_and_may_be_merged() -> None:
    found = agreement("empathy", by([0.6] * 5), by([0.6] * 5), threshold=0.667)

    assert found.alpha is None
    assert found.merges
    assert "all labels equal" in found.reason


def test_labels_of_labelers_who_do_not_agree_are_not_merged() -> None:
    first, second = by([0.1, 0.9, 0.2, 0.8]), by([0.9, 0.1, 0.8, 0.2])
    found = agreement("empathy", first, second, threshold=0.667)

    assert found.alpha is not None
    assert found.alpha < 0
    assert merged(first, second, [found]) == by([None] * 4)  # type: ignore[list-item]


def test_a_label_that_one_labeler_did_not_give_is_missing_after_merging() -> None:
    first, second = by([0.1, 0.9, 0.5]), [{"empathy": 0.1}, {"empathy": 0.9}, {}]
    found = agreement("empathy", first, second, threshold=0.667)

    assert merged(first, second, [found]) == [{"empathy": 0.1}, {"empathy": 0.9}, {"empathy": None}]


def test_disagreements_come_with_the_farthest_first() -> None:
    found = disagreements(["a", "b", "c"], by([0.1, 0.5, 0.0]), by([0.5, 0.55, 0.9]), gap=0.3)

    assert [record["id"] for record in found] == ["c", "a"]


def test_the_reliability_of_labels_with_known_noise_is_found_from_two_labelers() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.2, 0.8, 4000)
    first, second = (by(list(truth + rng.uniform(-0.2, 0.2, 4000))) for _ in range(2))
    found = agreement("empathy", first, second, threshold=0.0)
    noise = 0.4**2 / 12 / 2

    assert found.reliability == pytest.approx(truth.var() / (truth.var() + noise), abs=0.02)
