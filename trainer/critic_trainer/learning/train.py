"""`guerdon critic train FILE --labels LABELS.jsonl --out DIR`: the directory that rewards.toml serves as `critic`."""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import torch

from critic_trainer import reply
from critic_trainer.critic_error import CriticError
from critic_trainer.learning import critic_file
from critic_trainer.learning.critic_file import CriticFile
from critic_trainer.learning.epochs import Course, Epochs, Inputs
from critic_trainer.learning.label_matrix import hold_labels, matrix, split
from critic_trainer.learning.trained_encoder import TrainedEncoder
from critic_trainer.reply import Reply
from long_work import content_digest, json_file, model_digest, written_whole
from reward_server.rewards.models.critic_heads import DESCRIPTION, Heads

SCRATCH = ".training"
WHOLE = "critic"
"""The folder of the scratch folder in which a critic is put together."""
CARD = "training.json"
"""What the critic was trained on, beside what the reward server reads."""


def run(options: argparse.Namespace) -> int:
    """Train; return the exit status.

    Raises:
        CommandError: the files or the settings are not as they should be.
    """
    file = critic_file.read(options.file, options.size, options.seed)
    if (options.out / DESCRIPTION).exists():
        raise CriticError(f"{options.out} holds a critic already; choose another --out, or delete it")
    replies = reply.read(options.labels)[: file.training.rows]
    labels = matrix(replies, file.heads)
    train, held = split(replies, file.training.validation_share, file.training.seed)
    hold_labels(labels, file.heads, (train, held))
    digest = content_digest.of(options.labels)
    scratch = _scratch(options.out, file, digest)
    course = _trained(file, replies, labels, (train, held), scratch)
    its_labels = {"file": options.labels.name, "sha256": digest, "replies": len(replies)}
    json_file.write(scratch / WHOLE / CARD, _card(file, its_labels, replies, (train, held), course))
    _put(scratch / WHOLE, options.out)
    shutil.rmtree(scratch)
    print(
        f"{options.out}: {len(file.heads)} heads, epoch {course.best} of {len(course.train_loss)}, "
        f"validation loss {min(course.validation_loss):.4f} on {len(held)} replies"
    )
    return 0


def _trained(
    file: CriticFile,
    replies: list[Reply],
    labels: torch.Tensor,
    sides: tuple[list[int], list[int]],
    scratch: Path,
) -> Course:
    """Train, going on where an earlier attempt was stopped; write encoder and heads into the scratch folder."""
    torch.manual_seed(file.training.seed)
    encoder = TrainedEncoder(file.encoder)
    heads = Heads(
        heads=file.heads,
        width=encoder.width,
        hidden=file.encoder.hidden,
        encoder=file.encoder.model,
        hub_revision=file.encoder.hub_revision,
        pooling=file.encoder.pooling,
        max_tokens=file.encoder.max_tokens,
    )
    inputs = Inputs(encoder.encoded(replies), labels)
    if file.encoder.train == "frozen":
        inputs.vectors = encoder.read(inputs.sequences, "reading")
    network = heads.network()
    course = Epochs(encoder, network, file.training, scratch / "checkpoint.pt").run(inputs, *sides)
    whole = scratch / WHOLE
    shutil.rmtree(whole, ignore_errors=True)  # what an attempt left that was stopped while it wrote
    saved = encoder.save(whole)
    if saved != heads.encoder:
        heads = heads.model_copy(update={"encoder": saved, "hub_revision": None})
    heads.save(network, whole)
    return course


def _put(whole: Path, out: Path) -> None:
    """Move a critic's parts to their place, heads.json last: a directory that has it is a whole critic."""
    for part in sorted(whole.iterdir(), key=lambda part: part.name == DESCRIPTION):
        if (out / part.name).is_dir():  # of an attempt that was stopped here
            shutil.rmtree(out / part.name)
        part.replace(out / part.name)


def _scratch(out: Path, file: CriticFile, labels: str) -> Path:
    """Return where an unfinished training is kept; one of other settings, weights or labels begins anew.

    Args:
        labels: digest of their file.
    """
    folder, place = out / SCRATCH, out / SCRATCH / "setting.json"
    weights = model_digest.of(file.encoder.model, file.encoder.hub_revision)
    setting = json.dumps([file.model_dump(mode="json"), weights, labels])
    if folder.exists() and not (place.exists() and place.read_text("utf-8") == setting):
        shutil.rmtree(folder)
    written_whole.text(place, setting)
    return folder


def _card(
    file: CriticFile,
    labels: dict[str, Any],
    replies: list[Reply],
    sides: tuple[list[int], list[int]],
    course: Course,
) -> dict[str, Any]:
    train, held = sides
    return {
        "file": file.model_dump(mode="json"),
        "labels": labels,
        "train": len(train),
        "validation": [replies[place].dialogue for place in held],
        "train_loss": [round(loss, 6) for loss in course.train_loss],
        "validation_loss": [round(loss, 6) for loss in course.validation_loss],
        "best_epoch": course.best,
    }
