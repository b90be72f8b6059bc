from itertools import count
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.critic_trainer.replies import rows

from critic_trainer.critic_error import CriticError
from critic_trainer.learning.critic_file import Encoder, Training
from critic_trainer.learning.epochs import Epochs, Inputs
from critic_trainer.learning.label_matrix import masked_loss, split
from critic_trainer.learning.trained_encoder import TrainedEncoder
from critic_trainer.reply import Reply
from reward_server.rewards.models.critic_heads import Heads

TRAIN, HELD = list(range(8)), [8, 9, 10, 11]


def begun(
    encoder: Path, checkpoint: Path, train: Literal["frozen", "lora"] = "frozen", head_learning_rate: float = 0.01
) -> tuple[Epochs, Inputs]:
    """A training of four epochs on twelve replies with labels that are random, and the same every time."""
    its = TrainedEncoder(Encoder(model=str(encoder), train=train, max_tokens=32))
    labels = torch.rand(12, 6, generator=torch.Generator().manual_seed(0))
    inputs = Inputs(its.encoded([Reply.model_validate(row) for row in rows(12)]), labels)
    if train == "frozen":
        inputs.vectors = its.read(inputs.sequences, "reading")
    settings = Training(epochs=4, patience=4, batch=4, head_learning_rate=head_learning_rate)
    return Epochs(its, Heads(width=its.width).network(), settings, checkpoint), inputs


@pytest.mark.parametrize("train", ["frozen", "lora"])
def test_a_training_that_was_interrupted_ends_with_the_weights_of_one_that_was_not(
    tiny_encoder: Path, tmp_path: Path, train: Literal["frozen", "lora"]
) -> None:
    torch.manual_seed(0)
    whole, inputs = begun(tiny_encoder, tmp_path / "whole.pt", train)
    course = whole.run(inputs, TRAIN, HELD)

    def interrupt(*_: Any) -> None:
        if next(batches) == 7:  # three to an epoch, two of them of the training: this one is within the third epoch
            raise KeyboardInterrupt

    batches = count()
    torch.manual_seed(0)
    stopped, inputs = begun(tiny_encoder, tmp_path / "stopped.pt", train)
    stopped.network.register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(inputs, TRAIN, HELD)
    torch.manual_seed(1)  # heads and adapter begin otherwise, and go on from where they were
    resumed, inputs = begun(tiny_encoder, tmp_path / "stopped.pt", train)
    again = resumed.run(inputs, TRAIN, HELD)

    assert again.train_loss == pytest.approx(course.train_loss)
    assert again.validation_loss == pytest.approx(course.validation_loss)
    torch.testing.assert_close(resumed.network.state_dict(), whole.network.state_dict())
    torch.testing.assert_close(resumed.encoder.state(), whole.encoder.state())


def test_a_validation_loss_that_is_no_number_ends_the_training(tiny_encoder: Path, tmp_path: Path) -> None:
    epochs, inputs = begun(tiny_encoder, tmp_path / "checkpoint.pt", head_learning_rate=1e30)
    with pytest.raises(CriticError, match=r"the validation loss is nan; .* a lower \[training\] head_learning_rate"):
        epochs.run(inputs, TRAIN, HELD)


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


@pytest.mark.parametrize("train", ["frozen", "lora"])
def test_the_heads_are_on_the_device_of_the_encoder(
    tiny_encoder: Path, tmp_path: Path, train: Literal["frozen", "lora"]
) -> None:
    encoder = TrainedEncoder(Encoder(model=str(tiny_encoder), train=train, max_tokens=32))
    encoder._model.to("meta")  # every machine has this second device; it computes shapes and nothing else
    epochs = Epochs(encoder, Heads(width=encoder.width).network(), Training(), tmp_path / "checkpoint.pt")
    network = epochs.network
    assert {one.device for one in (*network.parameters(), *network.buffers())} == {encoder.device}
    assert {one.device for group in epochs._optimizer.param_groups for one in group["params"]} == {encoder.device}
    assert encoder.device.type == "meta"
