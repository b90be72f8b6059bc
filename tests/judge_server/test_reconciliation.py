"""How both orders become one verdict: by stated rules that know no side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.judge_messages import Reconciliation, Winner
from judge_server.judgment.logprob_score import Odds
from judge_server.judgment.reconciliation import CLIP, Look, likeliest, reconciled

MIRROR: dict[Winner, Winner] = {"a": "b", "b": "a", "tie": "tie"}
RULES: list[Reconciliation] = ["agree", "average", "logit"]


def look(winner: Winner, score_a: float = 5, score_b: float = 5, p_a: float | None = None) -> Look:
    return Look(winner, score_a, score_b, None if p_a is None else Odds(p_a, 1 - p_a, 0.0))


def mirrored(one: Look) -> Look:
    return Look(MIRROR[one.winner], one.score_b, one.score_a, one.odds.swapped if one.odds else None)


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        ("a", "a", "a"),
        ("b", "b", "b"),
        ("tie", "tie", "tie"),
        ("a", "b", "tie"),
        ("a", "tie", "tie"),
        ("tie", "b", "tie"),
    ],
)
def test_orders_that_agree_decide_and_others_tie(first: Winner, second: Winner, winner: Winner) -> None:
    ruling = reconciled([[look(first)], [look(second)]], "agree")
    assert (ruling.winner, ruling.mode, ruling.p_a) == (winner, "verdict", None)


def test_by_words_the_average_is_that_of_the_scores() -> None:
    ruling = reconciled([[look("tie", 9, 4)], [look("tie", 6, 7)]], "average")
    assert (ruling.winner, ruling.score_a, ruling.score_b) == ("a", 7.5, 5.5)
    assert reconciled([[look("a", 9, 4)], [look("b", 4, 9)]], "average").winner == "tie"


def test_by_odds_the_average_is_that_of_p_a_whatever_the_scores() -> None:
    ruling = reconciled([[look("a", 0, 10, 0.9)], [look("b", 0, 10, 0.3)]], "average")
    assert (ruling.winner, ruling.mode) == ("a", "logprobs")
    assert ruling.p_a == pytest.approx(0.6)
    assert reconciled([[look("a", p_a=0.95)], [look("b", p_a=0.15)]], "average").winner == "tie"  # within the band


def test_log_odds_listen_to_the_more_certain_order() -> None:
    ruling = reconciled([[look("a", p_a=0.99)], [look("b", p_a=0.3)]], "logit")
    assert ruling.p_a == pytest.approx(0.8669, abs=1e-4)
    assert (ruling.winner, ruling.rule) == ("a", "logit")


def test_certainty_in_both_orders_cancels_out() -> None:
    ruling = reconciled([[look("a", p_a=1.0)], [look("b", p_a=0.0)]], "logit")
    assert ruling.winner == "tie"
    assert ruling.p_a == pytest.approx(0.5)
    assert reconciled([[look("a", p_a=1.0)], [look("a", p_a=1.0)]], "logit").p_a == pytest.approx(1 - CLIP)


def test_log_odds_without_log_probabilities_are_the_average_and_say_so() -> None:
    ruling = reconciled([[look("b", 8, 3)], [look("b", 8, 3, 0.2)]], "logit")
    assert (ruling.winner, ruling.rule, ruling.mode, ruling.p_a) == ("a", "average", "verdict", None)


def test_agreement_by_odds_is_on_the_likeliest_verdict_not_on_the_one_that_was_drawn() -> None:
    ruling = reconciled([[look("b", p_a=0.8)], [look("a", p_a=0.7)]], "agree")
    assert (ruling.winner, ruling.mode) == ("a", "logprobs")
    assert likeliest(Odds(0.3, 0.1, 0.6)) == "tie"
    assert likeliest(Odds(0.5, 0.5, 0.0)) == "tie"


def test_samples_are_averaged_within_their_order_before_orders_are_joined() -> None:
    often, once = [look("a", 10, 0), look("a", 10, 0), look("b", 1, 10)], [look("b", 0, 10)]
    ruling = reconciled([often, once], "average")
    assert [ruling.score_a, ruling.score_b] == pytest.approx([3.5, 20 / 3])
    assert reconciled([often, [look("a")]], "agree").winner == "a"
    assert reconciled([[look("a"), look("b")], [look("a")]], "agree").winner == "tie"


SCORE = st.one_of(st.integers(0, 10).map(float), st.floats(0, 10))
ODDS = st.tuples(*[st.floats(1e-3, 1)] * 3).map(lambda masses: Odds(*(mass / sum(masses) for mass in masses)))
WINNER: st.SearchStrategy[Winner] = st.sampled_from(["a", "b", "tie"])


def orders_of(odds: st.SearchStrategy[Odds | None]) -> st.SearchStrategy[list[list[Look]]]:
    looks = st.lists(st.builds(Look, WINNER, SCORE, SCORE, odds), min_size=1, max_size=3)
    return st.lists(looks, min_size=1, max_size=2)


LOOKS = st.one_of(orders_of(st.none()), orders_of(ODDS))


@given(LOOKS, st.sampled_from(RULES))
def test_swapping_the_contestants_mirrors_winner_scores_and_p_a(orders: list[list[Look]], rule: Reconciliation) -> None:
    one = reconciled(orders, rule)
    other = reconciled([[mirrored(look) for look in looks] for looks in orders], rule)
    assert other.winner == MIRROR[one.winner]
    assert (other.score_a, other.score_b) == (one.score_b, one.score_a)
    assert (other.mode, other.rule) == (one.mode, one.rule)
    assert (one.p_a is None) == (other.p_a is None)
    if one.p_a is not None and other.p_a is not None:
        assert other.p_a == pytest.approx(1 - one.p_a)


@given(LOOKS, st.sampled_from(RULES))
def test_the_order_of_the_orders_changes_nothing(orders: list[list[Look]], rule: Reconciliation) -> None:
    one, other = reconciled(orders, rule), reconciled(orders[::-1], rule)
    assert (one.winner, one.rule) == (other.winner, other.rule)
    assert one.score_a == pytest.approx(other.score_a)


@given(st.lists(st.builds(Look, WINNER, SCORE, SCORE, ODDS), min_size=1, max_size=3), st.sampled_from(RULES))
def test_an_answer_against_itself_ties_however_biased_the_judge(looks: list[Look], rule: Reconciliation) -> None:
    assert reconciled([looks, [mirrored(look) for look in looks]], rule).winner == "tie"
