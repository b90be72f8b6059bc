"""`guerdon recommender evaluate`: a policy's replies on held-out dialogues, what the critic says, and all metrics."""

import argparse
import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from empathetic_recommender import critic_scores, made_of, scored_reply
from empathetic_recommender.film_dialogues import films, held_out
from empathetic_recommender.film_dialogues.seeker import Seeker
from empathetic_recommender.language_model import LanguageModel
from empathetic_recommender.metrics.auc import auc_global
from empathetic_recommender.metrics.corpus_bleu import bleu_k
from empathetic_recommender.metrics.distinct import dist_n
from empathetic_recommender.metrics.ranking import NOTHING_RELEVANT, Ranked, ranked, ranking_metrics
from empathetic_recommender.recommender_error import RecommenderError
from empathetic_recommender.scored_reply import ScoredReply
from long_work import claim, json_file
from long_work.exit_status import INCOMPLETE
from long_work.journal import Journal
from long_work.json_file import Row
from long_work.progress import Progress

LEAD = " I recommend "
"""What the policy is given before a title, to see how likely it finds it."""
CHUNK = 32
UNDEFINED = {
    "RT@": "no row has a liked item",
    "recall@": NOTHING_RELEVANT,
    "MRR@": NOTHING_RELEVANT,
    "NDCG@": NOTHING_RELEVANT,
    "AUC": "all items are relevant, or none is",
    "bleu_": "no reply has as many tokens",
    "dist_": "no reply has as many words",
    "critic": "no reply was scored",
}
"""Why a metric may have no value, by how its name begins."""


def run(options: argparse.Namespace) -> int:
    """Evaluate; return the exit status: INCOMPLETE where more scores failed than --may-fail.

    Raises:
        CommandError: the dialogues or the model are not as they should be.
    """
    dialogues = held_out.read(options.dialogues, ("id", "reference"))[: options.rows]
    journal = Journal(options.out / "replies.jsonl", "id")
    made = made_of.replies(options)
    claim.stake(journal.path, made)
    wanted = [row for row in dialogues if row["id"] not in journal]
    if wanted:
        _answer(
            LanguageModel(options.model, options.hub_revision, options.seed), wanted, len(dialogues), options, journal
        )
    rows = [journal[row["id"]] for row in dialogues]
    scored_by = None
    if options.reward_url:
        scores, version = critic_scores.of(rows, options.reward_url, options.reward)
        rows = [row | {"critic": score} for row, score in zip(rows, scores, strict=True)]
        scored_by = {"reward": options.reward, "version": version}
    json_file.write_rows(options.out / "scored.jsonl", rows)
    result = metrics([scored_reply.checked(row, f"reply {row['id']}") for row in rows])
    result |= {"model": options.model, "dialogues": options.dialogues.name, "made_of": made, "scored_by": scored_by}
    json_file.write(options.out / "metrics.json", result)
    for name, value in result["metrics"].items():
        print(f"{name:<28} {'–' if value is None else f'{value:.4f}'}")
    return INCOMPLETE if result["unscored"] > options.may_fail * len(rows) else 0


def metrics(rows: Sequence[ScoredReply]) -> dict[str, Any]:
    """Return all metrics of one reply or more with their titles' scores; what is undefined is None, with a reason."""
    lists = [Ranked(ranked(row.titles), row.relevant, row.liked) for row in rows]
    pooled = [(score, title in row.relevant) for row in rows for title, score in row.titles.items()]
    replies, references = [row.reply for row in rows], [row.reference for row in rows]
    found: dict[str, float | None] = {
        **ranking_metrics(lists),
        "AUC.global": auc_global([score for score, _ in pooled], [hit for _, hit in pooled]),
        **bleu_k(replies, references),
        **dist_n(replies),
    }
    critic = [row.critic for row in rows if row.critic is not None]
    values = [one.value for one in critic if one.value is not None]
    heads = dict.fromkeys(name for one in critic for name in one.components)
    for name in heads:
        said = [value for one in critic if (value := one.components.get(name)) is not None]
        found[f"critic/{name}"] = fmean(said) if said else None
    if critic:
        found["critic"] = fmean(values) if values else None
    error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    undefined = {name: _why(name) for name, value in found.items() if value is None}
    counts = {"replies": len(rows), "unscored": len(critic) - len(values), "critic_error": error}
    return {"metrics": found, "undefined": undefined} | counts


def _why(name: str) -> str:
    """Return why a metric has no value, by the beginning of its name."""
    return next(reason for start, reason in UNDEFINED.items() if name.startswith(start))


def _answer(
    model: LanguageModel,
    dialogues: Sequence[Row],
    total: int,
    options: argparse.Namespace,
    journal: Journal,
) -> None:
    with Progress("replies", total, total - len(dialogues)) as progress:
        for start in range(0, len(dialogues), CHUNK):
            some = dialogues[start : start + CHUNK]
            replies = model.answers([row["conversation"] for row in some], options.max_tokens, options.temperature)
            journal.append(_row(model, row, reply) for row, reply in zip(some, replies, strict=True))
            progress.advance(len(some))


def _row(model: LanguageModel, row: Row, reply: str) -> Row:
    seeker = Seeker.of(row["seeker"])
    titles = [film.title for film in films.FILMS if film.title != seeker.liked]
    likely = model.log_likelihoods(row["conversation"], [f"{LEAD}{title}." for title in titles])
    fitting = [film.title for film in seeker.fitting()]
    accepted = [film.title for film in films.named(row["reference"]) if film.title in fitting]
    kept = {name: row[name] for name in ("id", "conversation", "reference", "seeker")}
    if not all(map(math.isfinite, likely)):
        raise RecommenderError(f"the model {model.name!r} finds a title likely by a number that is not finite")
    scores = dict(zip(titles, [round(one, 5) for one in likely], strict=True))
    return kept | {"reply": reply, "titles": scores, "relevant": fitting, "liked": accepted}
