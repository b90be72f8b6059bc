"""`guerdon critic label FILE`: labels for every reply of a file, kept as they come."""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from critic_trainer import redial, reply
from critic_trainer.critic_error import CriticError
from critic_trainer.labeling.agreement import Agreement, agreement, disagreements
from critic_trainer.labeling.attributes import BLEU
from critic_trainer.labeling.column_labeler import ColumnLabeler
from critic_trainer.labeling.labeler import Labeler, labeler
from critic_trainer.labeling.merge import merged
from critic_trainer.reply import Labels, Reply
from long_work import exit_status, json_file
from long_work.journal import Journal
from long_work.progress import Progress


def run(options: argparse.Namespace) -> int:
    """Label; return the exit status: INCOMPLETE where a labeler failed on more replies than --may-fail.

    Raises:
        CommandError: the file, a labeler or the options are not as they should be.
    """
    if len(options.labeler) > 2:
        raise CriticError("--labeler is given more than twice; labels come from one labeler, or from two that agree")
    replies = read(options.file)
    labelers = [labeler(word, options.judge_url, options.four_bit, options.file) for word in options.labeler]
    if len({one.name for one in labelers}) != len(labelers):
        raise CriticError("the two labelers are the same one; it would agree with itself")
    records = [labelled(one, replies, options.out) for one in labelers]
    labels, agreements = _agreed(replies, [[record["labels"] for record in some] for some in records], options)
    declared = all(isinstance(one, ColumnLabeler) for one in labelers)
    json_file.write_rows(options.out / "labels.jsonl", rows(replies, labels, declared=declared))
    failures = Counter(record["status"] for some in records for record in some if record["status"] != "ok")
    summary = {
        "replies": len(replies),
        "labelers": [{"name": one.name, "identity": one.identity} for one in labelers],
        "alpha_threshold": options.alpha,
        "agreement": [asdict(one) for one in agreements],
        "labels": {name: _counted(name, labels) for name in dict.fromkeys(key for one in labels for key in one)},
        "failures": dict(sorted(failures.items())),
    }
    json_file.write(options.out / "agreement.json", summary)
    show(summary, options.out)
    failed = sum(any(record["status"] != "ok" for record in of_reply) for of_reply in zip(*records, strict=True))
    return exit_status.INCOMPLETE if failed > options.may_fail * len(replies) else 0


def read(path: Path) -> list[Reply]:
    """Return the replies of a file, one of this project's rows or of ReDial's."""
    return redial.read(path) if redial.is_redial(json_file.read_rows(path)[0]) else reply.read(path)


def labelled(one: Labeler, replies: Sequence[Reply], out: Path) -> list[dict[str, Any]]:
    """Return a record a reply, in their order; those in `out` are not made again, unless they failed."""
    journal = Journal(out / f"by-{one.name}.jsonl")
    setting = json.dumps(one.identity, sort_keys=True)
    keys = [_key(setting, some) for some in replies]
    by_key = dict(zip(keys, replies, strict=True))
    wanted = list(journal.missing(by_key).items())
    with Progress(one.name, len(by_key), len(by_key) - len(wanted)) as progress:
        for start in range(0, len(wanted), one.chunk):
            chunk = wanted[start : start + one.chunk]
            records = one.label([some for _, some in chunk])
            journal.append({"key": key, **record} for (key, _), record in zip(chunk, records, strict=True))
            progress.advance(len(chunk))
    return [journal[key] for key in keys]


def rows(replies: Sequence[Reply], labels: Sequence[Labels], *, declared: bool) -> list[json_file.Row]:
    """Return the replies with their labels.

    Args:
        declared: whether the labels are the file's own. Only of those do its `levels` say how noisy they are: labels
            that somebody else gave are kept without them, or the critic's ceiling would be that of other labels.
    """
    left_out = None if declared else {"levels"}
    return [
        one.model_dump(exclude_none=True, exclude=left_out) | {"labels": its | {BLEU: bleu(one)}}
        for one, its in zip(replies, labels, strict=True)
    ]


def bleu(some: Reply) -> float | None:
    """Return sacrebleu's sentence BLEU of a reply against its reference, in [0, 1]; None without one."""
    if not some.reference:
        return None
    from sacrebleu import sentence_bleu

    score: float = sentence_bleu(some.reply, [some.reference]).score / 100
    return min(1.0, score)  # a perfect match is 100.00000000000004


def show(summary: dict[str, Any], out: Path) -> None:
    for one in summary["agreement"]:
        alpha = "–" if one["alpha"] is None else f"{one['alpha']:.2f}"
        print(f"{one['attribute']:<16} α {alpha}  {one['reason']}")
    for name, counted in summary["labels"].items():
        print(f"{name:<16} {counted['labelled']} labelled, {counted['missing']} missing")
    for status, times in summary["failures"].items():
        print(f"failed: {times} × {status}; the same command tries again")
    print(out / "labels.jsonl")


def _agreed(
    replies: Sequence[Reply], by_labeler: Sequence[list[Labels]], options: argparse.Namespace
) -> tuple[list[Labels], list[Agreement]]:
    """Return the labels of one labeler, or of two where they agree; and how far they do, attribute by attribute.

    Where they are far apart is listed in disagreements.jsonl.
    """
    if len(by_labeler) == 1:
        return by_labeler[0], []
    first, second = by_labeler
    attributes = list(dict.fromkeys(name for one in [*first, *second] for name in one))
    agreements = [agreement(name, first, second, options.alpha) for name in attributes]
    apart = disagreements([one.id for one in replies], first, second, options.gap)
    json_file.write_rows(options.out / "disagreements.jsonl", apart)
    return merged(first, second, agreements), agreements


def _counted(name: str, labels: Sequence[Labels]) -> dict[str, int]:
    there = sum(one.get(name) is not None for one in labels)
    return {"labelled": there, "missing": len(labels) - there}


def _key(setting: str, some: Reply) -> str:
    content = json.dumps([setting, some.id, some.conversation, some.reply], sort_keys=True)
    return sha256(content.encode()).hexdigest()[:24]
