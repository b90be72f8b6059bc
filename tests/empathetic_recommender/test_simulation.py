from typing import Any

from statsmodels.stats.proportion import proportion_confint

from empathetic_recommender.film_dialogues.seeker import Seeker
from empathetic_recommender.report import headlines, page
from empathetic_recommender.simulate import accepted_fitting, openings, outcome
from empathetic_recommender.user_model import Exchange, RuleUser
from empathetic_recommender.user_prompt import UserUnreadable


def rows(**ends: int) -> list[dict[str, Any]]:
    return [{"end": end, "turns": 1 + place % 4} for end, count in ends.items() for place in range(count)]


def test_success_rate_has_the_wilson_interval() -> None:
    found = outcome(rows(accept=30, leave=15, turn_limit=5))
    low, high = proportion_confint(30, 50, method="wilson")

    assert found["success_rate"]["value"] == 0.6
    assert abs(found["success_rate"]["low"] - low) < 1e-9
    assert abs(found["success_rate"]["high"] - high) < 1e-9
    assert found["average_turns"]["low"] < found["average_turns"]["value"] < found["average_turns"]["high"]


def test_a_dialogue_whose_user_cannot_be_read_is_no_failure_of_the_policy() -> None:
    found = outcome(rows(accept=10, user_unreadable=10))

    assert found["success_rate"]["value"] == 1.0
    assert found["ends"]["user_unreadable"] == 10
    assert outcome(rows(user_unreadable=3))["success_rate"] is None


def test_each_dialogue_is_begun_once() -> None:
    found = openings([{"dialogue": "a", "turn": 0}, {"dialogue": "a", "turn": 1}, {"dialogue": "b", "turn": 0}])

    assert [row["turn"] for row in found] == [0, 0]


def test_a_change_whose_interval_holds_zero_is_not_called_a_rise() -> None:
    changes = [{"mean": 0.1, "low": -0.1, "high": 0.3, "n": 5, "reason": ""}]
    [said] = headlines({"critic_change": changes, "simulation": {"before": None, "after": []}})

    assert "did not change beyond chance" in said


def test_the_report_says_beside_the_success_rate_what_it_is_worth() -> None:
    before = outcome(rows(accept=5, leave=5)) | {"accepted_fitting_share": 0.8}
    never = outcome(rows(leave=10)) | {"accepted_fitting_share": None}
    report: dict[str, Any] = {"critic_change": [], "simulation": {"before": before, "after": [before, never]}}
    [said] = headlines(report)

    assert said.count("(80% of the accepted named a film that fits)") == 2
    assert "0.00 [0.00, 0.28] after" in said
    report |= {"metrics": [], "training": [], "samples": [], "headlines": [said]}
    shown = page(report | {"manifest": {"before": {"model": "m", "dialogues": "d"}, "after": [{}, {}]}})
    assert "<td>0.50 [0.24, 0.76]</td><td>0.800</td>" in shown
    assert "<td>0.00 [0.00, 0.28]</td><td>–</td>" in shown


def test_the_rule_accepts_what_fits_and_the_share_of_fitting_accepts_says_so() -> None:
    seeker = Seeker("lonely", "western", "Shane", patient=True)
    opening = [{"role": "user", "content": "I am looking for a western."}]
    good = "Being lonely is hard, and I am glad you wrote. I recommend High Noon."
    answers = RuleUser(seed=0).answers([Exchange(seeker, opening, good)] * 100)
    accepted = sum(not isinstance(one, UserUnreadable) and one.decision == "accept" for one in answers)
    rows = [
        {"end": "accept", "seeker": seeker.record(), "messages": [{"content": reply}, {"content": "Thank you!"}]}
        for reply in (good, "I recommend Alien.")
    ]

    assert accepted > 85
    assert accepted_fitting(rows) == 0.5
