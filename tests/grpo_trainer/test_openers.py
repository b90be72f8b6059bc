"""The openers: held-out prompts, declared carelessness; prompts of one's own; arms that differ in what they say."""

import json
from pathlib import Path

import pytest

from grpo_trainer import datasets
from grpo_trainer.config import run_file
from grpo_trainer.openers.demonstrations import REQUIRED, demonstrations, situations
from guerdon.cli import main
from reward_server.rewards.mentions import Mentions


def test_what_is_held_out_is_in_no_training() -> None:
    train, validation = datasets.load("openers", rows=200, validation_rows=64)
    assert not {row["prompt"][0]["content"] for row in train} & {row["prompt"][0]["content"] for row in validation}
    assert not set(situations(held_out=True)) & {row["prompt"] for row in demonstrations(500, 0.3, 1)}


def test_demonstrations_are_as_careless_as_they_say() -> None:
    quality = Mentions()
    for careless, low, high in ((0.0, 1.0, 1.0), (0.5, 0.2, 0.3)):
        texts = [row["completion"] for row in demonstrations(2000, careless, 0)]
        named = [quality.of(text, [REQUIRED[0], REQUIRED[2]]) == 1.0 for text in texts]
        assert low <= sum(named) / len(named) <= high


def test_the_corpus_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for name in "ab":
        assert main(["openers", "corpus", "--rows", "50", "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_prompts_of_a_file_bring_reference_and_context(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [{"words": ["dog", f"park{n}"], "level": n} for n in range(20)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    train, validation = datasets.load(
        "prompts", path=str(file), template="Use: {words}", reference="words", context=["level"], validation_share=0.25
    )
    assert (len(train), len(validation)) == (15, 5)
    assert all(row["prompt"][0]["content"] == f"Use: dog, park{row['level']}" for row in [*train, *validation])
    assert train[0]["reference"][0] == "dog"


@pytest.mark.parametrize(
    ("settings", "said"),
    [({}, "not both"), ({"path": "x.txt"}, "ends in"), ({"path": "FILE", "column": "text"}, "row 1 has no 'text'")],
)
def test_prompts_that_cannot_be_read_say_what_was_wrong(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("prompt\nhello\n")
    given = {name: str(file) if value == "FILE" else value for name, value in settings.items()}
    with pytest.raises(ValueError, match=said):
        datasets.load("prompts", **given)


@pytest.mark.parametrize(
    ("text", "settings", "said"),
    [
        (f"prompt\n{'x' * 140_000}\n", {}, "rows.csv, after line .*field larger than field limit .*; a .jsonl file"),
        ("prompt\nhello,there\n", {}, "rows.csv, line 2 has more cells"),
        ("a\nhello\n", {"template": "{a.b}"}, "row 1 does not fill the template: .*; it has: a"),
        ("a\nhello\n", {"template": "{a[b]}"}, "row 1 does not fill the template: .*; it has: a"),
    ],
)
def test_a_csv_that_holds_no_prompts_is_refused_as_a_problem_of_the_run(
    tmp_path: Path, text: str, settings: dict[str, str], said: str
) -> None:
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(ValueError, match=said):
        datasets.load("prompts", path=str(tmp_path / "rows.csv"), **settings)


@pytest.mark.parametrize(
    ("arm", "weight"), [("additive_03", 0.3), ("additive_10", 1.0), ("additive_20", 2.0), ("polychromic", None)]
)
@pytest.mark.parametrize("size", ["real", "proof", "smoke"])
def test_an_arm_differs_from_the_baseline_in_its_rewards_and_their_scaling_alone(
    arm: str, weight: float | None, size: str
) -> None:
    def config(name: str) -> dict[str, object]:
        found = run_file.read(name, [(("policy", "model"), "some/model")], size).config()
        return found.model_dump()

    base, other = config("baseline"), config(arm)
    assert {name for name in base if base[name] != other[name]} == ({"rewards"} if weight else {"rewards", "grpo"})
    if weight:
        assert [(term["name"], term["weight"]) for term in other["rewards"]] == [("mentions", 1.0), ("novelty", weight)]  # type: ignore[attr-defined]
    else:
        assert other["grpo"] == {**base["grpo"], "scale_rewards": "none"}  # type: ignore[dict-item]
