from pathlib import Path
from typing import Any

from statsmodels.stats.proportion import proportion_confint

from empathetic_recommender.film_dialogues import dialogues
from empathetic_recommender.film_dialogues.seeker import Seeker
from empathetic_recommender.recommender_command import main
from empathetic_recommender.report import headlines, page
from empathetic_recommender.simulate import accepted_fitting, openings, outcome
from empathetic_recommender.user_model import Exchange, RuleUser
from empathetic_recommender.user_prompt import UserUnreadable
from long_work import json_file


def simulation(policy: Path, folder: Path, user: str, *more: str) -> list[str]:
    """The command that lets a policy talk about three films; it writes eight letters a turn."""
    json_file.write_rows(folder / "dialogues.jsonl", dialogues.rows(3, seed=0))
    told = ["--model", str(policy), "--dialogues", str(folder / "dialogues.jsonl"), "--out", str(folder)]
    return ["simulate", *told, "--max-tokens", "8", "--user", user, *more]


def test_seekers_leave_a_policy_that_names_no_film_and_are_not_asked_twice(tiny_chatter: Path, tmp_path: Path) -> None:
    command = simulation(tiny_chatter, tmp_path, "rule")
    assert main(command) == 0
    ended = json_file.read_rows(tmp_path / "simulated.jsonl")
    before = (tmp_path / "simulated.jsonl").read_bytes()
    assert main(command) == 0

    assert [row["end"] for row in ended] == ["leave"] * 3
    assert [row["turns"] for row in ended] == [3 if row["seeker"]["patient"] else 2 for row in ended]
    for row in ended:
        assert [turn["role"] for turn in row["messages"]] == ["user", *["assistant", "user"] * row["turns"]]
        assert row["messages"][-1]["content"].startswith("Never mind")
    assert (tmp_path / "simulated.jsonl").read_bytes() == before
    assert json_file.read(tmp_path / "simulation.json")["success_rate"]["value"] == 0


def test_a_dialogue_ends_at_the_limit_of_its_turns(tiny_chatter: Path, tmp_path: Path) -> None:
    assert main(simulation(tiny_chatter, tmp_path, "rule", "--max-turns", "1")) == 0
    ended = json_file.read_rows(tmp_path / "simulated.jsonl")
    assert [(row["end"], row["turns"]) for row in ended] == [("turn_limit", 1)] * 3


def test_dialogues_with_a_user_that_nobody_can_read_are_no_success_and_are_tried_again(
    tiny_chatter: Path, tmp_path: Path
) -> None:
    command = simulation(tiny_chatter, tmp_path, str(tiny_chatter))  # a user that writes letters at random
    assert main(command) == 3
    assert main([*command, "--may-fail", "1"]) == 0
    ends = [row["end"] for row in json_file.read_rows(tmp_path / "simulated.jsonl")]

    assert ends == ["user_unreadable"] * 6
    assert json_file.read(tmp_path / "simulation.json")["success_rate"] is None


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
