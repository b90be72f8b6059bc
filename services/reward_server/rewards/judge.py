"""A completion's worth in the eyes of a language model: graded by itself, or by what it wins against others."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from guerdon.judge_messages import (
    MAX_SAMPLES,
    CompareRequest,
    Comparison,
    Criteria,
    Criterion,
    Grade,
    GradedAnswer,
    GradeRequest,
    Reconciliation,
    Side,
    Verdict,
)
from guerdon.messages import MAX_DEADLINE_S, Name, Range, Score
from reward_server.rewards import Golden, Item, Reward, Scope
from reward_server.rewards.models.judge_server import JudgeServer
from reward_server.rewards.models.tournament import Result, Standing, enough, pairs

SHARE = Range(low=0, high=1, better="higher")
BEST = 10
"""What the judge server gives at most."""
TALLY = {"wins": Range(low=0, better="higher"), "ties": Range(low=0), "comparisons": Range(low=0)}
ONLY_FOR = {
    "grade": ("expectation",),
    "compare": ("against", "max_pairs", "reconcile"),
}
UNSAID = "the judge server does not say why"
PLANET = "Name the largest planet of the solar system."


class Judge(Reward):
    """What a judge of the judge server says, from 0 to 1; needs GUERDON_JUDGE_URL (http://127.0.0.1:8001 without it).

    `grade`: every completion by itself, its grade from 0 to 10 divided by 10; each criterion is a component. `compare`:
    a group's completions against one another, or against one anchor; the value is the share of the comparisons that a
    completion wins, a tie being half a win. Where one of its comparisons fails, a completion has no value, and so it
    is with every other failure (`judge_…`).

    The scores are kept under the settings below, but what judge stands behind a name is the judge server's affair: when
    its model changes, give this reward another name or `judge_revision`.
    """

    runs: ClassVar[Literal["inline", "worker"]] = "worker"
    reads: ClassVar[tuple[str, ...]] = ("prompt", "completion", "reference")
    range: ClassVar[Range] = SHARE
    golden: ClassVar[tuple[Golden, ...]] = (
        Golden(
            [
                {"prompt": PLANET, "completion": "It is Jupiter.", "reference": "Jupiter"},
                {"prompt": PLANET, "completion": "I think it is Saturn.", "reference": "Jupiter"},
            ],
            [None, None],
        ),
    )

    mode: Literal["grade", "compare"] = "grade"
    """Whether a completion is graded by itself, or compared within its group."""
    judge: Name | None = None
    """One of the judge server's judges; None: its default."""
    judge_revision: str = ""
    """Change it when the judge changes: scores of the former one are then not used any more."""
    criteria: Criteria | Annotated[tuple[Criterion, ...], Field(min_length=1, max_length=20)] | None = None
    """What is good here: a text, or to grade also a list of {name, description, weight}. None: overall quality."""
    show_reference: bool = True
    """Show the judge the item's `reference`, where there is one, as an answer that is known to be good."""
    strip_think: bool = True
    """Cut think sections out of the completions before they are shown."""
    samples: int = Field(default=1, ge=1, le=MAX_SAMPLES)
    """How often the judge is asked the same; a grade is the mean."""
    expectation: bool = False
    """Grade by the expectation over the log-probabilities of the grades, where the judge has them."""
    against: Literal["all_pairs", "reference", "first"] = "all_pairs"
    """Whom a completion is compared with: the others of its group, its `reference`, or the first of its group, which
    itself has 0.5."""
    max_pairs: int = Field(default=128, ge=1, le=65536)
    """Pairs of one group that are compared at most, each completion in about as many; for all_pairs."""
    reconcile: Reconciliation = "agree"
    """How the verdicts on both orders of a pair become one: agree (the same in both, else a tie), average or logit."""
    run: Name = "rewards"
    """What the judge server books the cost under, for its budget of a run."""
    timeout_s: float = Field(default=120.0, gt=0, le=MAX_DEADLINE_S)
    """How long one request may take; well below GUERDON_REWARD_VISIBILITY_TIMEOUT_S."""
    max_concurrency: int = Field(default=32, ge=2, le=256)
    """Requests of one worker at a time, each of many completions or one group. They wait on the worker's threads: give
    a slow judge a worker of its own (GUERDON_REWARD_SERVE)."""

    _server: JudgeServer | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _settings_of_the_mode(self) -> Self:
        for mode, settings in ONLY_FOR.items():
            given = sorted(self.model_fields_set.intersection(settings))
            if given and mode != self.mode:
                raise ValueError(f'{given[0]} is for mode = "{mode}", and this is mode = "{self.mode}"')
        if self.mode == "compare" and isinstance(self.criteria, tuple):
            raise ValueError('mode = "compare" takes criteria as one text: there is one verdict, not one of each')
        if isinstance(self.criteria, tuple):
            GradeRequest(answers=[GradedAnswer(prompt="", answer="")], criteria=list(self.criteria))  # no name twice
        return self

    def load(self) -> None:
        self._server = JudgeServer()  # asked only when there is something to judge: it may start later

    def served_scope(self, needed: Mapping[str, Scope]) -> Scope:
        return "item" if self.mode == "grade" else "group"

    def served_components(self) -> dict[str, Range]:
        if self.mode == "compare":
            return TALLY
        return {criterion.name: SHARE for criterion in self.criteria or () if isinstance(criterion, Criterion)}

    def calls_at_once(self) -> int:
        return self.max_concurrency

    def pads(self) -> bool:
        return False

    def score(self, items: list[Item]) -> list[Score]:
        return self._graded(items) if self.mode == "grade" else self._compared(items)

    @property
    def _judge_server(self) -> JudgeServer:
        assert self._server is not None, "load() comes first"
        return self._server

    def _graded(self, items: list[Item]) -> list[Score]:
        answers = [
            GradedAnswer(prompt=_prompt(item), answer=item.completion, reference=self._shown(item)) for item in items
        ]
        request = GradeRequest(
            answers=answers[:1],  # all of them may be more than one request takes: judge_server.py cuts them
            judge=self.judge,
            criteria=self._criteria(),
            samples=self.samples,
            expectation=self.expectation,
            strip_think=self.strip_think,
            run=self.run,
            deadline_s=self.timeout_s,
        ).model_copy(update={"answers": answers})
        return [self._of_grade(grade) for grade in self._judge_server.grades(request)]

    def _criteria(self) -> list[Criterion]:
        if isinstance(self.criteria, str):
            return [Criterion(name="quality", description=self.criteria)]
        return list(self.criteria or ())

    def _of_grade(self, grade: Grade | Score) -> Score:
        if isinstance(grade, Score):
            return grade
        if grade.score is None:
            return Score.failed(grade.status, grade.error or UNSAID)
        told = {name: grade.criteria.get(name) for name in self.served_components()}
        missing = [name for name, value in told.items() if value is None]
        if missing:
            return Score.failed("judge_unparseable", f"the grade lacks the criterion {missing[0]}")
        if not all(0 <= value <= BEST for value in (grade.score, *told.values()) if value is not None):
            return Score.failed("judge_out_of_range", f"a grade is from 0 to {BEST}")
        return Score(
            value=grade.score / BEST,
            components={name: value / BEST for name, value in told.items() if value is not None},
        )

    def _compared(self, members: list[Item]) -> list[Score]:
        results: list[list[Result | Score]] = [[] for _ in members]
        meetings: list[tuple[int, int | None]] = []
        if (trouble := self._cannot_meet(len(members))) is not None:
            return [Score.failed("invalid_input", trouble)] * len(members)
        if self.against == "all_pairs":
            meetings += pairs(len(members), self.max_pairs)
        elif self.against == "first":
            meetings += [(index, 0) for index in range(1, len(members))]
            results[0].append("tied")  # with itself
        else:
            meetings += [(index, None) for index, member in enumerate(members) if _words(member.reference)]
        comparisons = [self._comparison(members[a], None if b is None else members[b]) for a, b in meetings]
        for (a, b), verdict in zip(meetings, self._verdicts(comparisons), strict=True):
            results[a].append(_result(verdict, "a"))
            if b is not None and self.against == "all_pairs":
                results[b].append(_result(verdict, "b"))
        return [_standing(own) for own in results]

    def _cannot_meet(self, members: int) -> str | None:
        if self.against == "reference":
            return None
        if members < 2:
            return "a group of one has nobody to be compared with"
        if self.against == "all_pairs" and self.max_pairs < enough(members):
            return f"max_pairs = {self.max_pairs} leaves out some of {members} completions; {enough(members)} would do"
        return None

    def _comparison(self, one: Item, other: Item | None) -> Comparison:
        return Comparison(
            prompt=_prompt(one),
            answer_a=one.completion,
            answer_b=_words(one.reference) or "" if other is None else other.completion,
            reference=None if other is None else self._shown(one),
            criteria=self.criteria if isinstance(self.criteria, str) else None,
        )

    def _verdicts(self, comparisons: list[Comparison]) -> list[Verdict | Score]:
        if not comparisons:
            return []
        request = CompareRequest(
            comparisons=comparisons[:1],
            judge=self.judge,
            reconcile=self.reconcile,
            samples=self.samples,
            strip_think=self.strip_think,
            run=self.run,
            deadline_s=self.timeout_s,
        ).model_copy(update={"comparisons": comparisons})
        return self._judge_server.verdicts(request)

    def _shown(self, item: Item) -> str | None:
        return _words(item.reference) if self.show_reference else None


def _prompt(item: Item) -> Any:
    return item.prompt_turns if item.prompt_turns is not None else item.prompt


def _words(reference: Any) -> str | None:
    """Return a reference as text; what is no text, as JSON."""
    if reference is None or isinstance(reference, str):
        return reference
    return json.dumps(reference, ensure_ascii=False)


def _result(verdict: Verdict | Score, side: Side) -> Result | Score:
    """Return what a verdict says of one side, or why it says nothing."""
    if isinstance(verdict, Score):
        return verdict
    if verdict.winner is None:
        return Score.failed(verdict.status, verdict.error or UNSAID)
    if verdict.winner == "tie":
        return "tied"
    return "won" if verdict.winner == side else "lost"


def _standing(results: list[Result | Score]) -> Score:
    """Return a member's share of its comparisons; without all of them it has none."""
    failed = [result for result in results if isinstance(result, Score)]
    if failed:
        why = f"{len(failed)} of {len(results)} comparisons failed; first: {failed[0].error}"
        return Score.failed(failed[0].status, why)
    if not results:
        return Score.failed("invalid_input", 'against = "reference" needs an item with a `reference`')
    standing = Standing.of([result for result in results if not isinstance(result, Score)])
    return Score(
        value=standing.share,
        components={"wins": standing.wins, "ties": standing.ties, "comparisons": standing.comparisons},
    )
