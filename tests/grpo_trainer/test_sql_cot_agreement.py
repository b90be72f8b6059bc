import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import r2_score

from grpo_trainer.sql_cot.agreement import CONSTANT_SCORES, CONSTANT_TARGETS, estimate, gain, mae, skill, spearman
from grpo_trainer.teaching.skill import LEAST, RunningSkill
from guerdon.messages import RewardInfo

SHARES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=40)


@given(SHARES)
def test_skill_is_the_r_squared_of_the_scores_as_they_are(pairs: list[tuple[float, float]]) -> None:
    scores, targets = np.array(pairs).T
    found = skill(scores, targets)
    if found is None:
        assert np.var(targets) < 1e-12
    else:
        assert found == pytest.approx(r2_score(targets, scores), rel=1e-6, abs=1e-6)


@given(SHARES)
def test_spearman_is_that_of_scipy(pairs: list[tuple[float, float]]) -> None:
    scores, targets = np.array(pairs).T
    found = spearman(scores, targets)
    if found is None:
        assert np.ptp(scores) == 0 or np.ptp(targets) == 0
    else:
        assert found == pytest.approx(spearmanr(scores, targets).statistic, abs=1e-9)


def test_the_best_constant_has_skill_zero_and_any_other_less() -> None:
    targets = np.array([0.2, 0.5, 0.8])
    assert skill(np.full(3, 0.5), targets) == pytest.approx(0)
    assert (skill(np.full(3, 0.6), targets) or 0) < 0
    assert skill(targets, targets) == 1


def test_what_is_undefined_says_why() -> None:
    targets, clusters = np.array([0.2, 0.5, 0.8]), ["a", "b", "c"]
    constant = estimate(spearman, np.full(3, 0.5), targets, clusters)
    assert (constant.value, constant.reason) == (None, CONSTANT_SCORES)
    assert estimate(skill, targets, np.full(3, 0.5), clusters).reason == CONSTANT_TARGETS
    assert estimate(mae, np.array([]), np.array([]), []).value is None
    assert gain(spearman, np.full(3, 0.5), targets, targets, clusters).reason == CONSTANT_SCORES


def test_an_interval_covers_its_value_and_rows_of_one_query_count_as_one() -> None:
    rng = np.random.default_rng(0)
    targets = rng.random(60)
    scores = targets + rng.normal(0, 0.3, 60)
    alone = estimate(spearman, scores, targets, [str(n) for n in range(60)])
    assert alone.value is not None
    assert alone.low is not None
    assert alone.high is not None
    assert alone.low < alone.value < alone.high
    tripled = estimate(spearman, np.tile(scores, 3), np.tile(targets, 3), [str(n % 60) for n in range(180)])
    assert tripled.low is not None
    assert tripled.high is not None
    assert tripled.high - tripled.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_a_gain_is_taken_on_the_same_resamples() -> None:
    rng = np.random.default_rng(1)
    targets, noise = rng.random(80), rng.normal(0, 0.5, 80)
    clusters = [str(n) for n in range(80)]
    found = gain(mae, targets + noise, targets + noise / 2, targets, clusters)
    assert found.value == pytest.approx(-float(np.mean(np.abs(noise))) / 2)
    assert found.high is not None
    assert found.high < 0
    same = gain(spearman, noise, noise, targets, clusters)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def predicting() -> dict[str, RewardInfo]:
    bounded = {"low": 0, "high": 1, "better": None}
    kind = {"kind": "sql_cot", "description": "", "scope": "item", "runs": "inline", "reads": [], "needs": []}
    rest = {"range": bounded, "version": "1", "settings": {}, "settings_schema": {}}
    both, none = {"predicted": bounded, "target": bounded}, {"words": bounded}
    return {
        name: RewardInfo.model_validate({"name": name, "components": components, **kind, **rest})
        for name, components in (("fit", both), ("length", none))
    }


def test_the_ledger_s_skill_looks_back_over_groups_and_leaves_out_what_is_invalid() -> None:
    following = RunningSkill(predicting())
    found: dict[str, dict[str, float | None]] = {}
    for group in range(LEAST):
        assert found.get("skill", {"fit": None}) == {"fit": None}
        target = group / 10
        found = following.follow(
            [
                {"group_id": str(group), "fit/predicted": target + 0.1, "fit/target": target},
                {"group_id": str(group), "fit/predicted": None, "fit/target": target},
            ]
        )
    variance = np.var(np.arange(LEAST) / 10)
    assert found == {"skill": {"fit": pytest.approx(1 - 0.01 / variance)}}
    assert RunningSkill({"length": predicting()["length"]}).follow([{"group_id": "a"}]) == {}
