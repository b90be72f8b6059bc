import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import scipy.stats

from guerdon.messages import Score
from long_work import json_file
from long_work.command_error import CommandError
from preference_elicitation import arm, named_seed, page
from preference_elicitation.asking import expected
from preference_elicitation.catalogue import ITEMS, PERSONAS, SCENARIOS
from preference_elicitation.dialogue import OPENING, prompt
from preference_elicitation.elicitation_error import ElicitationError
from preference_elicitation.gain_report import difference, reported
from preference_elicitation.manifest import of_arm
from preference_elicitation.probe import main
from preference_elicitation.probe_prompts import read as prompts
from preference_elicitation.probe_prompts import spread
from reward_server.rewards.models.dialogue import Turn


def served(value: float, accuracy: float | None = 0.6) -> Score:
    return Score(value=value, components={"accuracy_before": accuracy})


class RewardServer:
    """A stand-in behind a real socket: a question about energy is worth 0.2, every other nothing."""

    def __init__(self) -> None:
        self.scored: list[tuple[str, str]] = []
        self.judged = 0
        self.failing: tuple[str, ...] = ()
        self.version = "1"
        self.url = ""

    def answer(self, path: str, body: Any) -> Any:
        if body is None:
            return {"rewards": [INFO | {"version": self.version}]}
        if body["rewards"] == ["logprob_preference"]:
            self.judged += 1
            scores = [LATE if "logprob_preference" in self.failing else {"value": 0.0, "components": PREFERRED}]
            return {"rewards": [{"reward": "logprob_preference", "version": "1", "scores": scores}]}
        self.scored += [(item["context"]["persona"], item["completion"]) for item in body["items"]]
        scores = [self._score(item) for item in body["items"]]
        return {"rewards": [{"reward": "information_gain", "version": "1", "scores": scores}]}

    def _score(self, item: Any) -> Any:
        if "information_gain" in self.failing:
            return LATE
        gain = 0.2 if "run on" in item["completion"] else 0.0
        return {"value": gain, "components": {"gain": gain, "accuracy_before": 0.5, "accuracy_after": 0.5 + gain}}


INFO = {
    "name": "information_gain",
    "kind": "information_gain",
    "description": "",
    "scope": "item",
    "runs": "worker",
    "reads": [],
    "needs": [],
    "range": {},
    "components": {},
    "version": "1",
    "settings": {
        "items": str(ITEMS),
        "personas": str(PERSONAS),
        "preference": "logprob_preference",
        "labeller": None,
        "pairs": 2,
    },
    "settings_schema": {},
}
LATE = {"value": None, "status": "timeout", "error": "too late"}
PREFERRED = {"log_odds.0": 1.0, "flipped.0": 0.0, "log_odds.1": -1.0, "flipped.1": 1.0}


@pytest.fixture
def rewards(serving: Any) -> Iterator[RewardServer]:
    found = RewardServer()
    with serving(found.answer) as url:
        found.url = url
        yield found


def probe(out: Path, rewards: RewardServer, *told: str, scenarios: Path = SCENARIOS) -> int:
    limits = ["--limit", "6", "--reward-url", rewards.url, "--out", str(out)]
    return main([*told, "--scenarios", str(scenarios), *limits])


def arms(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((out / "report.json").read_text())["arms"]
    return found


def test_a_model_and_a_random_question_are_scored_and_compared(tmp_path: Path, rewards: Any, chatter: Any) -> None:
    assert probe(tmp_path, rewards, "random=random", f"after/0={chatter.url}", f"after/1={chatter.url}") == 0
    report = json.loads((tmp_path / "report.json").read_text())
    by_name = {one["name"]: one for one in report["arms"]}
    assert by_name["after"]["gain"]["value"] == pytest.approx(0.2)
    assert by_name["after"]["seeds"] == 2
    assert by_name["after"]["accuracy_after"] == pytest.approx(0.7)
    assert report["differences"][0]["value"] == pytest.approx(0.2 - by_name["random"]["gain"]["value"])
    assert "What should it run on?" in (tmp_path / "report.html").read_text()


def test_the_same_probe_again_asks_nothing_twice(tmp_path: Path, rewards: Any, chatter: Any) -> None:
    probe(tmp_path, rewards, f"after={chatter.url}")
    scored, chats = len(rewards.scored), len(chatter.chats)
    assert probe(tmp_path, rewards, f"after={chatter.url}") == 0
    assert (len(rewards.scored), len(chatter.chats)) == (scored, chats)


def test_the_report_names_the_reward_the_prompts_and_the_weights_of_every_arm(tmp_path: Path, rewards: Any) -> None:
    probe(tmp_path, rewards, "random")
    probe(tmp_path, rewards, "bank=random")
    manifest = json.loads((tmp_path / "report.json").read_text())["manifest"]
    assert list(manifest["arms"]) == ["random", "bank"]
    assert manifest["reward"] == {"name": "information_gain", "version": "1", "settings": INFO["settings"]}
    assert manifest["prompts"]["sha256"] == hashlib.sha256(SCENARIOS.read_bytes()).hexdigest()
    assert manifest["settings"]["limit"] == 6


def test_an_arm_of_other_settings_is_refused_where_its_answers_are(
    tmp_path: Path, rewards: Any, chatter: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    probe(tmp_path, rewards, f"after={chatter.url}")
    assert probe(tmp_path, rewards, f"after={chatter.url}", "--temperature", "0.5") == 2
    assert "asked.jsonl was made otherwise: temperature was 1.0 and is 0.5" in capsys.readouterr().err
    assert probe(tmp_path, rewards, f"after={chatter.url.replace('#m', '#other')}") == 2
    assert "arms.after.source was" in capsys.readouterr().err
    assert probe(tmp_path, rewards, f"after={chatter.url}", "--split", "all") == 2
    assert 'split was "validation" and is "all"' in capsys.readouterr().err
    (tmp_path / "manifest.json").unlink()
    assert probe(tmp_path, rewards, f"after={chatter.url}") == 2
    assert "nobody knows what" in capsys.readouterr().err


def test_answers_that_another_version_of_the_reward_scored_are_not_gone_on_with(
    tmp_path: Path, rewards: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert probe(tmp_path, rewards, "random") == 0
    rewards.version = "2"
    for again in ("random", "bank=random"):
        assert probe(tmp_path, rewards, again) == 2
        assert 'reward.version was "1" and is "2". Choose another --out' in capsys.readouterr().err


def test_a_directory_s_weights_are_named_by_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    [one] = arm.all_of([f"after={tmp_path}"])
    first = of_arm(one, None)["weights"]
    assert first == of_arm(one, None)["weights"]
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    assert of_arm(one, None)["weights"] != first


def test_a_calibration_goes_on_where_it_was_stopped(tmp_path: Path, rewards: Any) -> None:
    assert probe(tmp_path, rewards, "random", "--calibrate", "3") == 0
    whole, kept = (tmp_path / "calibration.json").read_text(), tmp_path / "calibrated.jsonl"
    assert json.loads(whole)["pairs"] == 3  # the labeller contradicts itself on the other pair of each prompt
    (tmp_path / "calibration.json").unlink()
    lines = kept.read_text().splitlines(keepends=True)
    kept.write_text("".join([*lines[:2], lines[2][:20]]))
    before = rewards.judged
    assert probe(tmp_path, rewards, "random", "--calibrate", "3") == 0
    assert rewards.judged - before == 2  # of the one prompt that was torn: its labels and its predictions
    assert (tmp_path / "calibration.json").read_text() == whole


def test_what_a_calibration_could_not_judge_is_a_failure_that_the_page_shows(tmp_path: Path, rewards: Any) -> None:
    rewards.failing = ("logprob_preference",)
    assert probe(tmp_path, rewards, "random", "--calibrate", "3") == 3
    said = "3 of 3 conversations could not be judged (timeout 3)"
    assert said in (tmp_path / "report.html").read_text()
    assert probe(tmp_path, rewards, "random", "--calibrate", "3", "--may-fail", "1") == 0
    rewards.failing = ()
    assert probe(tmp_path, rewards, "random", "--calibrate", "3") == 0
    assert "could not be judged" not in (tmp_path / "report.html").read_text()


def test_a_failed_score_is_no_number_and_is_tried_again(tmp_path: Path, rewards: Any, chatter: Any) -> None:
    rewards.failing = ("information_gain",)
    assert probe(tmp_path, rewards, f"after={chatter.url}") == 3
    [after] = arms(tmp_path)
    assert after["gain"] == {"value": None, "interval": None, "n": 0, "reason": "no question has a score"}
    assert after["failed"] == {"timeout": 6}
    assert probe(tmp_path, rewards, f"after={chatter.url}", "--may-fail", "0.9") == 3
    assert probe(tmp_path, rewards, f"after={chatter.url}", "--may-fail", "1") == 0
    rewards.failing = ()
    assert probe(tmp_path, rewards, f"after={chatter.url}") == 0
    [after] = arms(tmp_path)
    assert (after["failed"], after["asked"]) == ({}, 6)


def test_a_question_that_never_came_is_no_number_and_is_asked_for_again(
    tmp_path: Path, rewards: Any, chatter: Any
) -> None:
    silent = prompts(SCENARIOS, "validation", 6, 0)[2]
    chatter.refuses = lambda body: body["messages"] == silent["prompt"]
    for _ in range(2):  # the second time it is the only one that is asked for
        assert probe(tmp_path, rewards, f"after={chatter.url}") == 3
        assert len(rewards.scored) == 5
        [after] = arms(tmp_path)
        assert after["gain"]["value"] == pytest.approx(0.2)
        assert (after["failed"], after["no_question"], after["questions"][0]["share"]) == ({"model_error": 1}, 0, 1.0)
    chatter.refuses = lambda body: False
    assert probe(tmp_path, rewards, f"after={chatter.url}") == 0
    assert rewards.scored[5:] == [(silent["persona"], chatter.question)]
    assert arms(tmp_path)[0]["failed"] == {}


def test_a_probe_of_an_endpoint_that_is_gone_ends_at_once(
    tmp_path: Path, rewards: Any, chatter: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    chatter.refuses = lambda body: True
    assert probe(tmp_path, rewards, f"after={chatter.url}") == 2
    assert "gives no answer: the endpoint answered with status 400" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["random", "--scenarios", str(SCENARIOS), "--reward-url", "http://127.0.0.1:9"]) == 2
    assert "guerdon up" in capsys.readouterr().err


PROMPT: dict[str, Any] = {
    "scenario": "ann_1",
    "depth": 0,
    "split": "validation",
    "persona": "ann",
    "pair_seed": 7,
    "prompt": [{"role": "user", "content": "Hello.\u2028Hi."}],
    "transcript": [{"question": "What?", "answer": "Cars."}],
}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 is not JSON"),
        (json.dumps({key: value for key, value in PROMPT.items() if key != "split"}), "line 2: split is None"),
        (json.dumps(PROMPT | {"transcript": [{"question": "What?"}]}), "line 2: transcript should be"),
        (json.dumps(PROMPT | {"prompt": "Hello."}), "line 2: prompt should be"),
    ],
)
def test_what_is_no_prompt_is_refused_by_its_line(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "prompts.jsonl").write_text(f"{json.dumps(PROMPT, ensure_ascii=False)}\n{line}\n")
    with pytest.raises(CommandError, match=said):
        prompts(tmp_path / "prompts.jsonl", "validation", None, 0)


@pytest.mark.parametrize(("content", "said"), [(None, "nothing to report on"), ("", "holds no answer")])
def test_a_report_without_answers_is_refused_with_the_command_that_asks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "asked.jsonl").write_text(content)
    assert main(["--report", "--out", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "`guerdon probe ARM…" in err


def test_the_expected_gain_heeds_personas_only_as_far_as_the_conversation_fits_them() -> None:
    assert expected([served(1.0, 0.9), served(0.0, 0.6)]) == pytest.approx(0.8)
    assert expected([served(1.0, 0.2), served(0.1, 0.7)]) == pytest.approx(0.1)
    assert expected([served(1.0, 0.5), served(0.0, 0.5)]) == pytest.approx(0.5)
    assert expected([Score.failed("timeout", "late")]) is None


BAD, GOOD = "Must it be red?", "What should it run on?"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """One prompt of each of three people, of whom ann is held out."""
    rows = [
        PROMPT
        | {"scenario": f"{who}_1", "persona": who, "split": "validation" if who == "ann" else "train"}
        | {"prompt": prompt([Turn(question=OPENING, answer=f"I am {who}.")])}
        for who in ("ann", "bob", "eve")
    ]
    json_file.write_rows(tmp_path / "people.jsonl", rows)
    return tmp_path / "people.jsonl"


@pytest.fixture
def hesitant(chatter: Any) -> Any:
    """Whoever asks says the bad question first, and the good one at the next draw."""
    first = [named_seed.of(0, "best", f"{who}_1", 0, 0) for who in ("ann", "bob", "eve")]
    chatter.asks = lambda body: BAD if body["seed"] in first else GOOD
    return chatter


def test_the_best_of_several_questions_is_chosen_without_asking_who_will_answer(
    tmp_path: Path, rewards: Any, hesitant: Any, people: Path
) -> None:
    assert probe(tmp_path / "out", rewards, f"best=best-of-2:{hesitant.url}", scenarios=people) == 0
    assert [chat[-1]["content"] for chat in hesitant.chats] == ["I am ann.", "I am ann."]
    assert rewards.scored == [("bob", BAD), ("eve", BAD), ("bob", GOOD), ("eve", GOOD), ("ann", GOOD)]
    [best] = arms(tmp_path / "out")
    assert best["questions"] == [{"question": GOOD, "share": 1.0}]


def test_where_everybody_is_probed_candidates_are_tried_on_everybody_but_who_will_answer(
    tmp_path: Path, rewards: Any, hesitant: Any, people: Path
) -> None:
    assert probe(tmp_path / "out", rewards, f"best=best-of-2:{hesitant.url}", "--split", "all", scenarios=people) == 0
    tried = [[who for who, _ in rewards.scored[start : start + 4]] for start in (0, 4, 8)]
    assert tried == [["bob", "eve"] * 2, ["ann", "eve"] * 2, ["ann", "bob"] * 2]
    assert rewards.scored[12:] == [("ann", GOOD), ("bob", GOOD), ("eve", GOOD)]


def test_candidates_that_could_only_be_tried_on_who_will_answer_are_refused(
    tmp_path: Path, rewards: Any, chatter: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    json_file.write_rows(tmp_path / "ann.jsonl", [PROMPT])
    told = ["random", f"best=best-of-2:{chatter.url}"]
    assert probe(tmp_path / "out", rewards, *told, scenarios=tmp_path / "ann.jsonl") == 2
    assert "other personas than ann" in capsys.readouterr().err
    assert (chatter.chats, rewards.scored) == ([], [])
    assert probe(tmp_path / "out", rewards, "random", scenarios=tmp_path / "ann.jsonl") == 0


def test_candidates_of_whom_no_gain_is_known_are_a_failure_and_the_first_is_not_asked(
    tmp_path: Path, rewards: Any, hesitant: Any, people: Path
) -> None:
    rewards.failing = ("information_gain",)
    assert probe(tmp_path / "out", rewards, f"best=best-of-2:{hesitant.url}", scenarios=people) == 3
    assert "ann" not in {who for who, _ in rewards.scored}
    assert arms(tmp_path / "out")[0]["failed"] == {"timeout": 1}
    assert "no candidate has a gain: too late" in (tmp_path / "out/asked.jsonl").read_text()


def test_the_best_of_several_questions_lacks_none_of_them(
    tmp_path: Path, rewards: Any, hesitant: Any, people: Path
) -> None:
    hesitant.refuses = lambda body: hesitant.asks(body) == BAD
    assert probe(tmp_path / "out", rewards, f"best=best-of-2:{hesitant.url}", scenarios=people) == 3
    assert rewards.scored == []
    assert arms(tmp_path / "out")[0]["failed"] == {"model_error": 1}


def asked(name: str, seed: int | None, persona: str, value: float) -> dict[str, Any]:
    names = ("gain", "accuracy_before", "accuracy_after", "information_gain", "miscalibration_change", "is_question")
    place = {"scenario": f"{persona}_1", "depth": 0, "persona": persona, "draw": 0, "key": f"{name}{seed}{persona}"}
    told = {"question": "Why?", "repeated": False, "value": value, "status": "ok"}
    return dict.fromkeys(names) | {"arm": name, "seed": seed} | place | told


def test_a_difference_is_paired_by_prompt() -> None:
    people = [f"p{number}" for number in range(8)]
    base = [asked("random", None, who, float(place)) for place, who in enumerate(people)]
    after = [asked("after", seed, who, place + 0.5) for place, who in enumerate(people) for seed in (0, 1, 2)]
    found = difference(after, base, 0)
    assert found["value"] == pytest.approx(0.5)
    assert found["interval"]["low"] == pytest.approx(0.5)
    assert found["interval"]["high"] == pytest.approx(0.5)


def test_the_wider_of_a_bootstrap_and_student_s_t_over_personas_is_the_interval() -> None:
    gains = [0.1, 0.4, -0.2, 0.3, 0.25]
    rows = [asked("after", seed, f"p{place}", gain) for place, gain in enumerate(gains) for seed in (0, 1, 2)]
    [arm_] = reported(rows, None, {}, 0)["arms"]
    found = arm_["gain"]
    low, high = scipy.stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert (found["interval"]["low"], found["interval"]["high"]) == pytest.approx((low, high))
    assert found["interval"]["method"] == "Student's t over 5 personas"
    bootstrap, student = found["intervals"]
    assert bootstrap["high"] - bootstrap["low"] < student["high"] - student["low"]
    apart = [asked("after", seed, who, float(seed)) for who in ("ann", "bob", "eve") for seed in (0, 1, 2)]
    assert difference(apart, [asked("b", None, who, 0.0) for who in ("ann", "bob", "eve")], 0)["interval"][
        "method"
    ].startswith("bootstrap over 3 seeds")


def test_one_persona_has_no_interval_and_says_why() -> None:
    report = reported([asked("random", None, "ann", 0.1)], None, {}, 0)
    assert report["arms"][0]["gain"]["interval"] is None
    assert report["arms"][0]["gain"]["reason"]


def test_a_question_that_is_markup_stands_in_the_page_as_text() -> None:
    row = asked("random", None, "ann", 0.1) | {"question": "<script>alert(1)</script>?"}
    shown = page.page(reported([row, asked("random", None, "bob", 0.2)], None, {}, 0))
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_arms_of_one_name_are_seeds_of_one_policy() -> None:
    found = arm.all_of(["after/0=a", "after/1=b", "random", "best=best-of-4:a"])
    assert [(one.name, one.seed, one.kind) for one in found] == [
        ("after", 0, "model"),
        ("after", 1, "model"),
        ("random", None, "random"),
        ("best", None, "best"),
    ]
    assert found[3].best_of == 4
    with pytest.raises(ElicitationError, match="two arms"):
        arm.all_of(["x=a", "x=b"])


def test_a_limit_takes_prompts_of_every_persona() -> None:
    found = prompts(SCENARIOS, "validation", 20, 0)
    assert len(found) == 20
    assert len({row["persona"] for row in found}) == 20


@pytest.mark.parametrize(("personas", "deepest"), [(5, 10), (4, 10), (5, 7)])
def test_whatever_the_limit_depths_have_the_share_that_they_have_of_all_prompts(personas: int, deepest: int) -> None:
    rows = [
        {"persona": f"p{who}", "scenario": f"p{who}_{number}", "depth": depth}
        for who in range(personas)
        for number in range(10)
        for depth in range(4)
        if depth < 3 or number < deepest  # some conversations were given up before
    ]
    of_all = Counter(row["depth"] for row in rows)
    for limit in range(1, len(rows) + 2):
        found = spread(rows, limit, 0)
        assert len({row["scenario"] + str(row["depth"]) for row in found}) == len(found) == min(limit, len(rows))
        depths, people = (Counter(row[name] for row in found) for name in ("depth", "persona"))
        assert all(abs(depths[one] - len(found) * of_all[one] / len(rows)) < 1 for one in range(4)), limit
        assert max(people.values()) - min(people[f"p{who}"] for who in range(personas)) <= 4, limit
