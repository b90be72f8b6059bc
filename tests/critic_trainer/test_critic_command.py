import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from critic_trainer import reply
from critic_trainer.critic_command import main
from critic_trainer.critic_error import CriticError
from critic_trainer.examination.ceiling import ceiling
from critic_trainer.labeling import label
from critic_trainer.labeling.local_labeler import read as read_grade
from critic_trainer.learning import critic_file
from critic_trainer.learning.epochs import Epochs
from critic_trainer.learning.label_matrix import masked_loss, split
from critic_trainer.learning.trained_encoder import TrainedEncoder
from critic_trainer.redial import read as read_redial
from critic_trainer.reply import Reply
from reward_server.rewards import Item
from reward_server.rewards.critic import Critic
from reward_server.rewards.models.critic_heads import Heads

KIND, RUDE = "I am so sorry to hear that, tell me more.", "Watch something."
FILE = """
heads = [{ name = "empathy" }, { name = "recommendation" }, { name = "flat", weight = 0 }]
[encoder]
train = "TRAIN"
max_tokens = 32
[training]
epochs = EPOCHS
batch = 8
head_learning_rate = 0.05
"""


def rows(count: int) -> list[dict[str, Any]]:
    """Replies with labels by two labelers; every fifth has no label for `recommendation`."""
    made = []
    for number in range(count):
        kind = number % 2
        one = {"empathy": 0.9 if kind else 0.1, "flat": 0.5} | (
            {"recommendation": 0.2 + 0.6 * (1 - kind)} if number % 5 else {}
        )
        made.append(
            {
                "id": f"r{number}",
                "dialogue": f"d{number // 2}",
                "conversation": [{"role": "user", "content": f"I feel low, {number}."}],
                "reply": f"{KIND if kind else RUDE} {number}",
                "reference": KIND,
                "labels": {"a": one, "b": one},
            }
        )
    return made


def written(path: Path, some: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in some), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    file = written(folder / "dialogues.jsonl", rows(32))
    command = ["label", str(file), "--labeler", "column:a", "--labeler", "column:b", "--out", str(folder)]
    assert main(command) == 0
    return folder / "labels.jsonl"


def trained(folder: Path, labels: Path, train: str, epochs: int) -> Path:
    (folder / "mine.toml").write_text(FILE.replace("TRAIN", train).replace("EPOCHS", str(epochs)), encoding="utf-8")
    assert main(["train", str(folder / "mine.toml"), "--labels", str(labels), "--out", str(folder / "critic")]) == 0
    return folder / "critic"


def test_labels_carry_the_computed_bleu_and_missing_ones_are_null(labels: Path) -> None:
    found = [json.loads(line)["labels"] for line in labels.read_text().splitlines()]

    assert 0 < found[1]["bleu"] <= 1
    assert found[0]["recommendation"] is None
    assert found[1]["recommendation"] == pytest.approx(0.2)


def test_a_frozen_critic_is_learned_served_and_examined(tmp_path: Path, labels: Path) -> None:
    critic = trained(tmp_path, labels, "frozen", epochs=10)
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


def test_an_adapted_encoder_is_saved_merged_and_scores_as_it_did_in_training(tmp_path: Path, labels: Path) -> None:
    critic = trained(tmp_path, labels, "lora", epochs=1)
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


def test_a_training_that_was_killed_while_it_wrote_is_ended_by_the_same_command(tmp_path: Path, labels: Path) -> None:
    torn = tmp_path / "critic/.training/critic"  # beside it no setting.json: killed before it was written
    torn.mkdir(parents=True)
    for part in (torn / "heads.json", torn.parent.parent / "training.json", torn.parent.parent / "heads.safetensors"):
        part.write_text("{")
    critic = trained(tmp_path, labels, "frozen", epochs=1)

    assert {path.name for path in critic.iterdir()} == {"heads.json", "heads.safetensors", "training.json"}
    assert json.loads((critic / "training.json").read_text())["best_epoch"] == 1
    Critic(model=str(critic)).load()


@pytest.mark.parametrize("wrong", ["high", float("nan"), 7, True])
def test_a_column_that_holds_no_labels_fails_and_leaves_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: Any
) -> None:
    some = rows(3)
    some[1]["labels"]["a"] = {"empathy": wrong}
    file = written(tmp_path / "dialogues.jsonl", some)

    assert main(["label", str(file), "--labeler", "column:a", "--out", str(tmp_path)]) == 3
    assert "failed: 1 × invalid_input" in capsys.readouterr().out
    found = [json.loads(line)["labels"] for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert [one.get("empathy") for one in found] == [0.1, None, 0.1]


@pytest.mark.parametrize("missing", ["critic", "labels.jsonl", "agreement.json"])
def test_an_examination_without_its_files_is_refused_by_their_names(
    tmp_path: Path, labels: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    there = {"critic": tmp_path / "critic", "labels.jsonl": labels, "agreement.json": labels.parent / "agreement.json"}
    critic, its_labels, agreement = ({**there, missing: tmp_path / missing}).values()
    told = [str(critic), "--labels", str(its_labels), "--agreement", str(agreement), "--out", str(tmp_path / "out")]

    assert main(["eval", *told]) == 2
    assert str(tmp_path / missing) in capsys.readouterr().err


@settings(max_examples=30)
@given(st.lists(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=2, max_size=2), min_size=1, max_size=8))
def test_missing_labels_have_no_part_in_the_loss_and_no_gradient(labels: list[list[float | None]]) -> None:
    wanted = torch.tensor([[float("nan") if value is None else value for value in row] for row in labels])
    scores = torch.full(wanted.shape, 0.5, requires_grad=True)
    loss = masked_loss(scores, wanted)
    loss.backward()  # type: ignore[no-untyped-call]
    there = ~torch.isnan(wanted)

    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()
    assert (scores.grad[~there] == 0).all()
    expected = (0.5 - wanted[there]).square().mean() if there.any() else torch.tensor(0.0)
    assert loss.detach() == pytest.approx(float(expected))


def test_no_dialogue_is_on_both_sides_of_a_split() -> None:
    replies = [Reply(id=str(n), dialogue=f"d{n // 3}", conversation="", reply="") for n in range(60)]
    train, held = split(replies, 0.2, seed=1)

    assert len(train) + len(held) == 60
    assert not {replies[n].dialogue for n in train} & {replies[n].dialogue for n in held}


def test_redial_dialogues_become_replies_with_the_films_named(tmp_path: Path) -> None:
    messages = [
        {"senderWorkerId": 1, "text": "Hi, I like comedies."},
        {"senderWorkerId": 2, "text": "Have you seen @111776?"},
        {"senderWorkerId": 2, "text": "It is fun."},
        {"senderWorkerId": 1, "text": "No!"},
    ]
    row = {
        "conversationId": 7,
        "initiatorWorkerId": 1,
        "respondentWorkerId": 2,
        "movieMentions": {"111776": "Super Troopers (2001)"},
        "messages": messages,
    }
    [found] = read_redial(written(tmp_path / "redial.jsonl", [row]))

    assert found.reply == "Have you seen Super Troopers (2001)?\nIt is fun."
    assert found.conversation == [{"role": "user", "content": "Hi, I like comedies."}]
    assert found.dialogue == "7"


@pytest.mark.parametrize("text", ["", "I think 7", '{"empathy": 11}', '{"empathy": 5}', "{broken"])
def test_what_a_local_labeler_cannot_be_read_from_is_a_failure_and_no_label(text: str) -> None:
    assert read_grade(text) | {"error": ""} == {"status": "judge_unparseable", "labels": {}, "error": ""}


def test_a_local_labeler_is_read_from_its_last_object() -> None:
    grades = {"empathy": 5, "informativeness": 10, "recommendation": 0, "engagement": 2.5, "overall": 4}
    found = read_grade(f'Example {{"empathy": 1}}. Here: {json.dumps(grades)}')

    assert found["labels"] == {name: value / 10 for name, value in grades.items()}


def test_levels_do_not_stay_beside_labels_that_they_are_not_the_truth_of(tmp_path: Path) -> None:
    some = [Reply(id="r", conversation="", reply="", levels={"empathy": 0.5})]
    for declared, top in ((True, "declared levels"), (False, "unknown: neither levels nor two labelers")):
        written(tmp_path / "labels.jsonl", label.rows(some, [{"empathy": 0.4}], declared=declared) * 2)
        [one, other] = reply.read(tmp_path / "labels.jsonl")
        apart = other.model_copy(update={"labels": {"empathy": 0.8}, "levels": dict.fromkeys(other.levels, 0.7)})
        assert ceiling("empathy", [one, apart], {}).source == top


def test_a_labeler_of_a_file_s_own_labels_leaves_its_levels(tmp_path: Path) -> None:
    file = written(tmp_path / "dialogues.jsonl", [row | {"levels": {"empathy": 0.5}} for row in rows(2)])
    assert main(["label", str(file), "--labeler", "column:a", "--out", str(tmp_path)]) == 0
    assert [one.levels for one in reply.read(tmp_path / "labels.jsonl")] == [{"empathy": 0.5}] * 2


@pytest.mark.parametrize("train", ["frozen", "lora"])
def test_the_heads_are_on_the_device_of_the_encoder(tmp_path: Path, train: Any) -> None:
    settings = critic_file.Encoder(train=train, max_tokens=32)
    encoder = TrainedEncoder(settings)
    encoder._model.to("meta")  # every machine has this second device; it computes shapes and nothing else
    heads = Heads(width=encoder.width)
    epochs = Epochs(encoder, heads.network(), critic_file.Training(), tmp_path / "checkpoint.pt")
    network = epochs.network
    assert {one.device for one in (*network.parameters(), *network.buffers())} == {encoder.device}
    assert {one.device for group in epochs._optimizer.param_groups for one in group["params"]} == {encoder.device}
    assert encoder.device.type == "meta"


def test_a_hub_id_without_its_commit_labels_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "dialogues.jsonl", rows(2))
    assert main(["label", str(file), "--labeler", "local:some/model", "--out", str(tmp_path)]) == 2
    assert "ID@COMMIT" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--alpha", "nan"], ["--gap", "abc"]])
def test_an_option_that_is_no_number_is_refused_before_anything_is_labelled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: list[str]
) -> None:
    file = written(tmp_path / "dialogues.jsonl", rows(2))
    with pytest.raises(SystemExit):
        main(["label", str(file), "--labeler", "column:a", "--out", str(tmp_path / "out"), *wrong])
    assert f"{wrong[1]!r} is not a " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


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
