import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from transformers import AutoModelForCausalLM

from grpo_trainer.config.run_config import Imputation
from grpo_trainer.config.run_file import RunFileError, read
from grpo_trainer.examination.preflight import Ready
from grpo_trainer.imputation import rank_agreement, step_record
from grpo_trainer.imputation.doubly_robust import corrected
from grpo_trainer.imputation.gate import Gate
from grpo_trainer.imputation.hidden_states import pooled
from grpo_trainer.imputation.imputer import Imputer
from grpo_trainer.imputation.refusal import refusal
from grpo_trainer.imputation.ridge import GroupRidge, centred
from grpo_trainer.imputation.subset import drawn
from grpo_trainer.record import ledger
from grpo_trainer.run import run
from grpo_trainer.stop_signal import StopSignal

TinyRun = Callable[..., Ready]
SEEDS = st.integers(0, 2**32 - 1)


# The regression


@given(seed=SEEDS, batches=st.integers(1, 5), half_life=st.floats(1, 100))
def test_the_recursive_ridge_is_the_weighted_ridge_of_all_batches_at_once(
    seed: int, batches: int, half_life: float
) -> None:
    rng = np.random.default_rng(seed)
    recursive = GroupRidge(5, penalty=3.0, half_life=half_life)
    rows, targets, weights = [], [], []
    groups = np.arange(8) // 4
    for batch in range(batches):
        x, y = rng.normal(size=(8, 5)) * [1, 10, 0.1, 3, 1], rng.normal(size=8)
        recursive.learn(x, y, groups)
        rows.append(centred(x, groups))
        targets.append(centred(y[:, None], groups)[:, 0])
        weights += [0.5 ** ((batches - 1 - batch) / half_life)] * 8
    x, y, w = np.concatenate(rows), np.concatenate(targets), np.array(weights)
    scale = np.sqrt((w[:, None] * x**2).sum(0) / w.sum())
    reference = Ridge(alpha=3.0, fit_intercept=False).fit(x / scale, y, sample_weight=w)
    np.testing.assert_allclose(recursive.weights(), reference.coef_ / scale, rtol=1e-6, atol=1e-9)


def test_a_feature_that_is_constant_within_groups_has_no_weight() -> None:
    ridge = GroupRidge(2, penalty=1.0, half_life=10)
    groups = np.array([0, 0, 1, 1])
    ridge.learn(np.array([[5.0, 1], [5, 2], [9, 1], [9, 2]]), np.array([0.0, 1, 7, 8]), groups)
    assert ridge.weights()[0] == 0
    assert ridge.weights()[1] > 0


# The random part, and the correction


@given(groups=st.integers(1, 40), size=st.integers(2, 16), share=st.floats(0.01, 0.99), seed=SEEDS)
def test_every_group_has_the_number_below_or_above_its_share_scored(
    groups: int, size: int, share: float, seed: int
) -> None:
    mask = drawn(groups, size, share, (seed, 0))
    counts = mask.reshape(groups, size).sum(axis=1)
    low, high = (np.clip(bound, min(3, size), size) for bound in (np.floor(share * size), np.ceil(share * size)))
    assert ((counts == low) | (counts == high)).all()
    assert (mask == drawn(groups, size, share, (seed, 0))).all()  # every rank draws the same


def test_every_member_is_scored_equally_often() -> None:
    mask = drawn(20_000, 7, 0.5, (0, 0)).reshape(-1, 7)
    np.testing.assert_allclose(mask.mean(axis=0), 0.5, atol=0.02)  # 3 or 4 of 7, 3.5 on average


def subsets(size: int, count: int) -> list[np.ndarray[Any, np.dtype[np.bool_]]]:
    from itertools import combinations

    return [np.isin(np.arange(size), chosen) for chosen in combinations(range(size), count)]


@given(seed=SEEDS, size=st.integers(3, 7), scored=st.integers(2, 7), level=st.floats(-50, 50))
def test_the_correction_is_unbiased_over_the_random_part_whatever_was_predicted(
    seed: int, size: int, scored: int, level: float
) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.normal(size=size), rng.normal(size=size) + level
    every = [
        corrected(predicted, np.where(mask, truth, np.nan), mask, size) for mask in subsets(size, min(scored, size))
    ]
    np.testing.assert_allclose(np.mean(every, axis=0), truth, atol=1e-9 * max(1, abs(level)))


@given(seed=SEEDS, level=st.floats(-50, 50))
def test_the_correction_does_not_feel_the_level_of_the_predictions(seed: int, level: float) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.normal(size=8), rng.normal(size=8)
    mask = drawn(1, 8, 0.5, (seed, 1))
    np.testing.assert_allclose(
        corrected(predicted + level, truth, mask, 8), corrected(predicted, truth, mask, 8), atol=1e-9
    )


def test_where_everyone_is_scored_the_rewards_are_the_scores() -> None:
    truth = np.array([0.1, 2.0, -3.0, 1.0])
    np.testing.assert_allclose(corrected(np.zeros(4), truth, np.ones(4, bool), 4), truth)


def test_a_failed_score_stays_null_and_is_never_predicted() -> None:
    truth = np.array([1.0, np.nan, 3.0, np.nan])
    rewards = corrected(np.zeros(4), truth, np.array([True, True, True, False]), 4)
    assert np.isnan(rewards[1])
    assert np.isfinite(rewards[[0, 2, 3]]).all()


def test_a_group_with_one_score_left_has_no_imputed_rewards() -> None:
    truth = np.array([1.0, np.nan, np.nan, np.nan])
    rewards = corrected(np.zeros(4), truth, np.array([True, True, False, False]), 4)
    assert rewards[0] == 1.0
    assert np.isnan(rewards[1:]).all()


# Rank agreement, and the gate


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-5, 5)), min_size=3, max_size=12))
def test_rank_agreement_is_spearmans_with_ties(pairs: list[tuple[int, float]]) -> None:
    first, second = (np.array([pair[side] for pair in pairs], dtype=float) for side in (0, 1))
    found = rank_agreement.spearman(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(first, second).statistic, abs=1e-9)


def test_members_without_a_score_do_not_count() -> None:
    first, second = np.array([1.0, 2, 3, np.nan]), np.array([1.0, 2, 3, -9])
    assert rank_agreement.spearman(first, second) == pytest.approx(1)
    assert rank_agreement.spearman(first[2:], second[2:]) is None


def test_the_gate_opens_on_evidence_closes_when_it_drops_and_opens_again() -> None:
    gate = Gate(threshold=0.5, window=16)
    gate.add([0.9] * 7)
    assert not gate.open  # too few groups yet
    gate.add([0.8] * 9)
    assert gate.open
    gate.add([0.1] * 12)
    assert not gate.open
    gate.add([0.6, 0.9, 0.8, 0.9] * 4)
    assert gate.open


def test_in_between_the_gate_stays_as_it_is() -> None:
    unsure = [1.0, 0.2] * 8  # mean above the threshold, its interval not
    closed, opened = Gate(0.5, 16), Gate(0.5, 16)
    opened.add([0.9] * 16)
    for gate in (closed, opened):
        gate.add(unsure)
        assert gate.interval is not None
        assert gate.interval.low < 0.5 < gate.interval.mean
    assert (closed.open, opened.open) == (False, True)


# One batch after another


def world(seed: int = 0) -> Callable[[], tuple[Any, Any]]:
    """Batches of 4 groups of 8, whose rewards depend on the features and a level of the group's own."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=6)

    def batch() -> tuple[Any, Any]:
        x = rng.normal(size=(32, 6))
        return x, x @ weights + np.repeat(rng.normal(size=4) * 5, 8) + 0.3 * rng.normal(size=32)

    return batch


def taught(imputer: Imputer, batches: int, seed: int = 0) -> list[Any]:
    batch = world(seed)
    found = []
    for number in range(batches):
        x, y = batch()
        plan = imputer.plan(32, number / batches)
        found.append(imputer.complete(plan, x, np.where(plan.asked, y, np.nan)))
    return found


def test_half_of_the_calls_are_saved_after_the_warm_up_and_ranks_agree() -> None:
    records = [outcome.record for outcome in taught(Imputer(Imputation(), 8, 0), 40)]
    assert [record["imputing"] for record in records[:8]] == [False] * 8
    assert {record["calls_saved"] for record in records[8:]} == {16}
    assert records[-1]["gate"]["low"] > 0.7


def test_the_oracle_scores_everyone_and_measures_what_imputation_would_have_said() -> None:
    outcomes = taught(Imputer(Imputation(mode="oracle"), 8, 0), 40)
    assert all(outcome.record["calls"] == 32 for outcome in outcomes)
    assert "oracle" not in outcomes[0].record
    assert 0.7 < outcomes[-1].record["oracle"]["used"] <= outcomes[-1].record["oracle"]["predicted"]


def test_predictions_that_mean_nothing_are_never_used() -> None:
    rng = np.random.default_rng(0)
    imputer = Imputer(Imputation(from_share=0.0), 8, 0)
    for _ in range(20):
        plan = imputer.plan(32, 0.9)
        assert plan.asked.all()
        imputer.complete(plan, rng.normal(size=(32, 6)), rng.normal(size=32))


@given(q=st.floats(0.05, 0.95), size=st.integers(4, 6))
@settings(max_examples=10, deadline=None)
def test_an_open_gate_closes_on_bad_predictions_however_few_are_scored(q: float, size: int) -> None:
    rng = np.random.default_rng(0)
    imputer = Imputer(Imputation(q=q, from_share=0.0), size, 0)
    imputer.gate.restore(open_=True, evidence=[1.0] * 64)
    for _ in range(30):
        if not imputer.gate.open:
            break
        plan = imputer.plan(4 * size, 0.5)
        truth = np.where(plan.asked, rng.normal(size=4 * size), np.nan)
        imputer.complete(plan, rng.normal(size=(4 * size, 3)), truth)
    assert not imputer.gate.open


def test_a_restored_imputation_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    first = Imputer(Imputation(from_share=0.0), 8, 3)
    taught(first, 12)
    first.settle()
    first.save(tmp_path)
    second = Imputer(Imputation(from_share=0.0), 8, 3)
    assert second.restore(tmp_path)
    x, y = world(5)()
    plans = [imputer.plan(32, 0.5) for imputer in (first, second)]
    assert not plans[0].asked.all()
    np.testing.assert_array_equal(plans[0].asked, plans[1].asked)
    outcomes = [imputer.complete(plans[0], x, np.where(plans[0].asked, y, np.nan)) for imputer in (first, second)]
    np.testing.assert_allclose(outcomes[0].used, outcomes[1].used)
    assert outcomes[0].record == outcomes[1].record
    assert not Imputer(Imputation(), 8, 3).restore(tmp_path / "elsewhere")


def test_an_imputation_whose_saving_was_cut_off_is_as_if_never_saved(tmp_path: Path) -> None:
    Imputer(Imputation(), 8, 3).save(tmp_path)
    written = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert Imputer(Imputation(), 8, 3).restore(tmp_path)
    written[-1].unlink()  # killed before the last file was there
    assert not Imputer(Imputation(), 8, 3).restore(tmp_path)


def test_a_step_of_several_batches_is_recorded_with_all_of_them() -> None:
    """rho of a step is the mean over the groups of all its batches; a batch without any of them takes no part."""
    first, second, bare = taught(Imputer(Imputation(from_share=0.0, mode="oracle"), 8, 0), 30)[-3:]
    bare = replace(bare, rho={name: [] for name in bare.rho}, record=bare.record | {"imputing": False})
    found = step_record.of_step([first, second, bare])
    assert found["completions"] == found["calls"] == 96
    assert found["calls_saved"] == 48
    assert found["imputed"] == 0  # an oracle trains on the scores
    assert found["imputing"]
    for name, mean in {"rank_agreement": found["rank_agreement"], **found["oracle"]}.items():
        assert mean == pytest.approx(np.mean(first.rho[name] + second.rho[name]))
    assert found["gate"] == bare.record["gate"]
    assert step_record.of_step([bare])["rank_agreement"] is None
    assert step_record.of_step([first]) == first.record


# In a run


def test_hidden_states_are_the_last_layers_mean_over_the_completion_alone(tiny_policy: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_policy).eval()
    prompts, completions = [[5, 6, 7], [8]], [[9, 10], [11, 12, 13, 14]]
    found = pooled(model, prompts, completions, 2, torch.device("cpu"))
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        with torch.no_grad():
            states = model.model(torch.tensor([[*prompt, *completion]])).last_hidden_state[0]
        torch.testing.assert_close(found[row], states[len(prompt) :].mean(0), rtol=1e-4, atol=1e-5)


def test_a_policy_in_training_says_the_same_of_a_completion_every_time_and_trains_on(tiny_policy: Path) -> None:
    """Dropout would make noise of the features."""
    model = AutoModelForCausalLM.from_pretrained(tiny_policy, attention_dropout=0.5)
    given = ([[5, 6, 7]], [[9, 10]], 1, torch.device("cpu"))
    at_rest = pooled(model.eval(), *given)
    torch.testing.assert_close(pooled(model.train(), *given), at_rest)
    assert all(module.training for module in model.modules())
    pooled(model.eval(), *given)
    assert not model.training


IMPUTED = {"reward": "letters", "from_share": 0.0, "threshold": -0.99, "window": 8}


def imputing(tiny_run: TinyRun, steps: int, resume: bool = False, **more: Any) -> Ready:
    grpo = {"max_steps": steps, "num_generations": 4, "gradient_accumulation_steps": 4, "save_steps": 3}
    # the two rewards of the test's server are the same, which a run would end for
    return tiny_run(resume=resume, grpo=grpo, imputation=IMPUTED | more, liveness={"completions": 0})


def test_a_run_asks_for_three_of_four_and_says_who_was_scored(tiny_run: TinyRun, reward_server: Any) -> None:
    ready = imputing(tiny_run, 6)
    assert run(ready, StopSignal()) == 0
    metrics, rows = ledger.read_metrics(ready.out), ledger.read_rollouts(ready.out)
    imputed = [line for line in metrics if line["imputation"]["imputing"]]
    assert imputed
    assert all(line["imputation"]["calls_saved"] == 4 and line["failed_share"] == 0 for line in imputed)
    asked = dict.fromkeys(("letters", "vowels"), 0)
    for request in reward_server.requests:
        for name in request.rewards:
            asked[name] += len(request.items)
    assert asked["vowels"] == 16 * 6  # the cheap reward scores everyone
    assert asked["letters"] == sum(line["imputation"]["calls"] for line in metrics)
    skipped = [row for row in rows if not row["scored/letters"]]
    assert len(skipped) == sum(line["imputation"]["calls_saved"] for line in metrics)
    for row in skipped:
        assert row["status"] == "imputed"
        assert row["term/letters"] is None  # a prediction is never the reward's own score
        assert row["reward"] == pytest.approx(row["imputed/letters"] + row["term/vowels"])
    for row in rows:
        assert np.isfinite(row["predicted/letters"])
        assert (row["request/letters"] is None) == (row["scored/letters"] == 0)
    named = {row[f"request/{name}"] for row in rows for name in asked}
    assert named - {None} == set(reward_server.request_ids)  # by which the server's log lines are found


def test_a_resumed_run_takes_the_imputation_up_again(tiny_run: TinyRun) -> None:
    whole = imputing(tiny_run, 6)
    run(whole, StopSignal())
    checkpoint = whole.out / "checkpoints/checkpoint-3"
    assert json.loads((checkpoint / "imputation.json").read_text())["batches"] == 3
    (whole.out / "checkpoints/checkpoint-6").rename(whole.out / "elsewhere")
    run(imputing(tiny_run, 6, resume=True), StopSignal())
    again = json.loads((whole.out / "checkpoints/checkpoint-6/imputation.json").read_text())
    assert again["batches"] == 6


def test_a_failed_score_has_no_reward_in_a_run_that_imputes(tiny_run: TinyRun, reward_server: Any) -> None:
    reward_server.fails = lambda reward, index: reward == "letters" and index == 1
    ready = imputing(tiny_run, 4)
    assert run(ready, StopSignal()) == 0
    failed = [row for row in ledger.read_rollouts(ready.out) if row["status"] == "letters: timeout"]
    assert len(failed) == 4
    for row in failed:
        assert row["reward"] is None
        assert row["imputed/letters"] is None
        assert row["advantage"] == 0


def test_a_reward_of_a_whole_group_is_refused() -> None:
    assert "leave [imputation] out" in (refusal("novelty", {"novelty": "group"}) or "")
    assert refusal("letters", {"letters": "item"}) is None


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("[imputation]\nreward = 'b'", "the run has no reward 'b'"),
        ("[imputation]\nq = 1.5", "imputation.q"),
        ("[imputation]\n[grpo]\nnum_generations = 2", "groups of four or more"),
    ],
)
def test_what_cannot_be_imputed_is_refused_with_its_place(tmp_path: Path, section: str, said: str) -> None:
    file = tmp_path / "run.toml"
    start = "[policy]\nmodel = 'a/b'\n[dataset]\nname = 'chat'\n[[rewards]]\nname = 'a'\n"
    file.write_text(start + section)
    with pytest.raises(RunFileError, match=said):
        read(str(file)).config()
