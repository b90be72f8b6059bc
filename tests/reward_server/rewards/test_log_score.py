import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from reward_server.rewards.models.log_score import accuracy, entropy, fitted_temperature, log_score, miscalibration
from reward_server.rewards.models.preference import sigmoid

predictions = st.lists(st.tuples(st.floats(-30, 30), st.booleans()), min_size=1, max_size=20)


def split(pairs: list[tuple[float, bool]]) -> tuple[list[float], list[bool]]:
    return [z for z, _ in pairs], [y for _, y in pairs]


@settings(deadline=None)
@given(predictions)
def test_the_log_score_is_minus_the_log_loss(pairs: list[tuple[float, bool]]) -> None:
    z, y = split(pairs)
    loss = log_loss(y, [[sigmoid(-one), sigmoid(one)] for one in z], labels=[False, True])
    assert log_score(z, y) == pytest.approx(-loss, abs=1e-9)


@given(predictions)
def test_entropy_is_what_a_calibrated_predictor_pays_on_average(pairs: list[tuple[float, bool]]) -> None:
    z, _ = split(pairs)
    expected = [sigmoid(one) * log_score([one], [True]) + sigmoid(-one) * log_score([one], [False]) for one in z]
    assert entropy(z) == pytest.approx(-math.fsum(expected) / len(z), abs=1e-12)


def test_predictions_that_are_too_sure_of_themselves_are_miscalibrated() -> None:
    labels = [True, True, True, False]
    assert miscalibration([math.log(3)] * 4, labels) == pytest.approx(0)
    assert miscalibration([3 * math.log(3)] * 4, labels) > 0.3
    assert miscalibration([math.log(3) / 3] * 4, labels) < 0


def test_a_prediction_of_one_half_is_half_accurate() -> None:
    assert accuracy([2.0, -1.0, 0.0, 5.0], [True, False, True, False]) == 0.625


def test_certain_predictions_stay_finite() -> None:
    assert log_score([800.0, -800.0], [True, True]) == -400
    assert entropy([800.0, -800.0]) == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_fitted_temperature_is_that_of_a_logistic_regression(seed: int) -> None:
    draw = np.random.default_rng(seed)
    truth = draw.normal(size=300)
    labels = draw.random(300) < 1 / (1 + np.exp(-truth))
    sharper = 3 * truth
    regression = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=1000)
    regression.fit(sharper[:, None], labels)
    found = fitted_temperature(sharper.tolist(), labels.tolist())
    assert found == pytest.approx(1 / regression.coef_[0, 0], rel=1e-4)
    assert 2 < found < 4.5


def test_no_temperature_is_fitted_where_there_is_none() -> None:
    with pytest.raises(ValueError, match="never wrong"):
        fitted_temperature([1.0, -2.0], [True, False])
    with pytest.raises(ValueError, match="no better than chance"):
        fitted_temperature([1.0, -2.0], [False, True])
