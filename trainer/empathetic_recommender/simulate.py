"""`guerdon recommender simulate`: dialogues between a policy and a simulated seeker, who accepts or leaves."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from empathetic_recommender import made_of
from empathetic_recommender.film_dialogues import films, held_out
from empathetic_recommender.film_dialogues.seeker import Seeker
from empathetic_recommender.language_model import LanguageModel
from empathetic_recommender.user_model import Exchange, UserModel, user_model
from empathetic_recommender.user_prompt import UserUnreadable
from long_work import claim, json_file
from long_work.exit_status import INCOMPLETE
from long_work.journal import Journal
from long_work.json_file import Row
from long_work.progress import Progress

End = Literal["accept", "leave", "turn_limit", "user_unreadable"]
UNREADABLE: End = "user_unreadable"
AT_A_TIME = 32
CONFIDENCE = 0.95


@dataclass
class Conversation:
    """One simulated dialogue; `end` is None while it goes on, `turns` counts the recommender's replies."""

    id: str
    seeker: Seeker
    messages: list[dict[str, str]]
    turns: int = 0
    end: End | None = None
    error: str = ""

    def record(self) -> Row:
        kept = {"id": self.id, "seeker": self.seeker.record(), "messages": self.messages, "turns": self.turns}
        return kept | {"end": self.end, "error": self.error}


def run(options: argparse.Namespace) -> int:
    """Simulate; return the exit status: INCOMPLETE where more dialogues have an unreadable user than --may-fail.

    Raises:
        CommandError: the dialogues or a model are not as they should be.
    """
    rows = openings(held_out.read(options.dialogues, ("dialogue",)))[: options.rows]
    journal = Journal(options.out / "simulated.jsonl", "id")
    made = made_of.simulated(options)
    claim.stake(journal.path, made)
    wanted = [row for row in rows if (journal.get(row["dialogue"]) or {}).get("end", UNREADABLE) == UNREADABLE]
    if wanted:
        _simulate(wanted, len(rows), options, journal)
    ended = [journal[row["dialogue"]] for row in rows]
    result = outcome(ended) | {"accepted_fitting_share": accepted_fitting(ended)}
    said = {"max_turns": options.max_turns, "user": options.user, "made_of": made}
    json_file.write(options.out / "simulation.json", result | said)
    print(_said(result))
    return INCOMPLETE if result["ends"][UNREADABLE] > options.may_fail * len(rows) else 0


def _simulate(wanted: Sequence[Row], total: int, options: argparse.Namespace, journal: Journal) -> None:
    policy = LanguageModel(options.model, options.hub_revision, options.seed)
    user = user_model(options.user, options.user_url, options.user_revision, options.seed)
    with Progress("dialogues", total, total - len(wanted)) as progress:
        for start in range(0, len(wanted), AT_A_TIME):
            some = [_begun(row) for row in wanted[start : start + AT_A_TIME]]
            for _ in range(options.max_turns):
                turn(some, policy, user, options.max_tokens, options.temperature)
            for one in some:
                one.end = one.end or "turn_limit"
            journal.append(one.record() for one in some)
            progress.advance(len(some))


def openings(rows: Sequence[Row]) -> list[Row]:
    """Return the first row of each dialogue: where the seeker has just begun."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row["dialogue"], row)
    return list(first.values())


def turn(
    some: Sequence[Conversation], policy: LanguageModel, user: UserModel, most_tokens: int, temperature: float
) -> None:
    """Let the policy reply and the seeker answer, in every dialogue that has not ended."""
    going = [one for one in some if one.end is None]
    if not going:
        return
    replies = policy.answers([one.messages for one in going], most_tokens, temperature)
    exchanges = [Exchange(one.seeker, one.messages, reply) for one, reply in zip(going, replies, strict=True)]
    answers = user.answers(exchanges)
    for one, reply, answer in zip(going, replies, answers, strict=True):
        one.turns += 1
        one.messages.append({"role": "assistant", "content": reply})
        if isinstance(answer, UserUnreadable):
            one.end, one.error = UNREADABLE, str(answer)
            continue
        one.messages.append({"role": "user", "content": answer.text})
        if answer.decision != "stay":
            one.end = answer.decision


def outcome(rows: Sequence[Row]) -> dict[str, Any]:
    """Return success rate (Wilson interval) and average turns (bootstrap interval) of simulated dialogues.

    A dialogue whose user model could not be read counts in neither: it is no failure of the policy.
    """
    from scipy import stats

    read_rows = [row for row in rows if row["end"] != UNREADABLE]
    ends = {end: sum(row["end"] == end for row in rows) for end in get_args(End)}
    if not read_rows:
        return {
            "dialogues": 0,
            "ends": ends,
            "success_rate": None,
            "average_turns": None,
            "reason": "none was readable",
        }
    wilson = stats.binomtest(ends["accept"], len(read_rows)).proportion_ci(CONFIDENCE, method="wilson")
    turns = np.array([row["turns"] for row in read_rows], dtype=float)
    return {
        "dialogues": len(read_rows),
        "ends": ends,
        "success_rate": {
            "value": ends["accept"] / len(read_rows),
            "low": float(wilson.low),
            "high": float(wilson.high),
        },
        "average_turns": {"value": float(turns.mean())} | _bootstrap(turns),
    }


def accepted_fitting(rows: Sequence[Row]) -> float | None:
    """Return the share of accepted dialogues whose last reply named a fitting film: how far the user can be trusted."""
    replies = [(Seeker.of(row["seeker"]), row["messages"][-2]["content"]) for row in rows if row["end"] == "accept"]
    if not replies:
        return None
    return sum(any(film in seeker.fitting() for film in films.named(reply)) for seeker, reply in replies) / len(replies)


def _bootstrap(values: "np.ndarray[Any, np.dtype[np.float64]]") -> dict[str, float]:
    drawn = np.random.default_rng(0).choice(values, (2000, len(values))).mean(1)
    low, high = np.quantile(drawn, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return {"low": float(low), "high": float(high)}


def _begun(row: Row) -> Conversation:
    return Conversation(row["dialogue"], Seeker.of(row["seeker"]), list(row["conversation"]))


def _said(result: dict[str, Any]) -> str:
    rate, turns = result["success_rate"], result["average_turns"]
    if rate is None:
        return f"no dialogue could be read: {result['ends']}"
    share = result["accepted_fitting_share"]
    worth = "" if share is None else f" ({100 * share:.0f}% of the accepted named a film that fits)"
    return (
        f"success rate {rate['value']:.3f} [{rate['low']:.3f}, {rate['high']:.3f}]{worth}, "
        f"average turns {turns['value']:.2f} [{turns['low']:.2f}, {turns['high']:.2f}], {result['dialogues']} dialogues"
    )
