"""`guerdon critic eval CRITIC --labels LABELS.jsonl`: figures, a diagnosis of every head, and a page of it."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from critic_trainer import reply
from critic_trainer.critic_error import CriticError
from critic_trainer.examination.ceiling import ceiling
from critic_trainer.examination.diagnosis import diagnosis
from critic_trainer.examination.head_statistics import Values, statistics
from critic_trainer.examination.plots import pictures
from critic_trainer.examination.predictions import predictions, served
from critic_trainer.learning.train import CARD
from critic_trainer.reply import Reply
from guerdon import __version__
from long_work import content_digest, json_file, report_page, written_whole

Pairs = dict[str, tuple[Values, Values]]


def run(options: argparse.Namespace) -> int:
    """Examine; return the exit status.

    Raises:
        CommandError: the critic or the labels are not as they should be.
    """
    replies, agreements = reply.read(options.labels), _agreements(options.agreement)
    critic = served(options.critic)
    seen = _seen(options.critic, options.labels)
    found = predictions(critic, replies)
    pairs = {name: _pairs(name, replies, scores) for name, scores in found.items()}
    heads = examined(pairs, replies, agreements)
    report = {
        "heads": heads,
        "warnings": seen,
        "manifest": {
            "critic": str(options.critic),
            "revision": critic.revision(),
            "heads": critic.heads.model_dump(mode="json"),
            "labels": {
                "file": options.labels.name,
                "sha256": content_digest.of(options.labels),
                "replies": len(replies),
            },
            "packages": {"guerdon": __version__} | {name: version(name) for name in ("torch", "transformers", "numpy")},
        },
    }
    json_file.write(options.out / "report.json", report)
    written_whole.text(options.out / "report.html", page(report, pictures(pairs)))
    show(heads, seen)
    print(options.out / "report.html")
    return 0


def examined(pairs: Pairs, replies: Sequence[Reply], agreements: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return figures, ceiling and diagnosis of each head, of its (labels, predictions).

    Raises:
        CriticError: a head's prediction is no finite number.
    """
    heads = []
    for name, (labels, predicted) in pairs.items():
        try:
            figures = statistics(labels, predicted)
        except CriticError as error:
            raise CriticError(f"the head {name!r}: {error}") from None
        top = ceiling(name, [one for one in replies if one.label(name) is not None], agreements)
        its = {"name": name, "statistics": asdict(figures), "ceiling": asdict(top)}
        heads.append(its | {"diagnosis": asdict(diagnosis(figures, top))})
    return heads


def page(report: Mapping[str, Any], images: Mapping[str, str]) -> str:
    manifest = json.dumps(report["manifest"], indent=1)
    filters = {"figure": _figure}
    return report_page.rendered("critic_trainer.examination", filters, r=report, images=images, manifest=manifest)


def show(heads: Sequence[Mapping[str, Any]], warnings: Sequence[str]) -> None:
    for warning in warnings:
        print(f"! {warning}")
    for head in heads:
        print(f"{head['name']:<16} {head['diagnosis']['finding']}: {head['diagnosis']['text']}")


def _pairs(name: str, replies: Sequence[Reply], scores: Values) -> tuple[Values, Values]:
    labels = [one.label(name) for one in replies]
    there = [place for place, label in enumerate(labels) if label is not None]
    return np.array([labels[place] for place in there], dtype=np.float64), scores[there]


def _seen(directory: Path, labels: Path) -> list[str]:
    """Say so where the critic was trained on these very labels, or where nobody knows on which."""
    card = directory / CARD
    if not card.exists():
        return [f"The critic has no {CARD}: nobody knows whether it was trained on these labels."]
    try:
        trained_on = json_file.read(card)["labels"]["sha256"]
    except (KeyError, TypeError) as error:
        raise CriticError(f"{card} is no card of `guerdon critic train`: {error}") from None
    if trained_on != content_digest.of(labels):
        return []
    return ["The critic was trained on this very file of labels: the figures below say what it remembers."]


def _agreements(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return {one["attribute"]: one for one in json_file.read(path)["agreement"]}
    except (KeyError, TypeError) as error:
        raise CriticError(f"{path} is no agreement.json of `guerdon critic label`: {error}") from None


def _figure(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")
