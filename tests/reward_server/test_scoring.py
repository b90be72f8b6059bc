"""What a reward needs, asks and reads is there when it scores, each thing obtained once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
from redis import asyncio as aioredis

from guerdon.messages import Group as WireGroup
from guerdon.messages import Item as WireItem
from guerdon.messages import Score, ScoreRequest, ScoreResponse
from http_face.refused import Refused, Unavailable
from reward_server.boundary import Outcome, group_outcomes, outcomes
from reward_server.catalog import Catalog, Served
from reward_server.cohort import Cohorts
from reward_server.cohort_record import Patience
from reward_server.content import Fields, canonical
from reward_server.groups import grouped
from reward_server.rewards import Ask, Encoder, Inquiry, Item, Kind, Reward, Scope, Writer
from reward_server.round_trips import RoundTrips
from reward_server.scoring import Scoring
from reward_server.work_queue import PersistentQueue, Refusals


class Words(Reward):
    """How many words."""

    def score(self, items: list[Item]) -> list[float]:
        return [float(len(item.completion.split())) for item in items]


class Picky(Reward):
    """On a worker; refuses the word "bad"."""

    runs = "worker"

    def score(self, items: list[Item]) -> list[float]:
        if any("bad" in item.completion for item in items):
            raise ValueError("bad word")
        return [1.0] * len(items)


class Rank(Reward):
    """On a worker, over whole groups: the place by length."""

    runs = "worker"
    scope: ClassVar[Scope] = "group"

    def score(self, items: list[Item]) -> list[float]:
        return [float(sorted(items, key=lambda one: len(one.completion)).index(item)) for item in items]


class Total(Reward):
    """The sum of what it needs; a failed need is -1."""

    names: tuple[str, ...] = ("words", "picky")
    over: Scope = "item"

    def needs(self) -> tuple[str, ...]:
        return self.names

    def score(self, items: list[Item]) -> list[float]:
        found = [[item.scores[name].value for name in self.names] for item in items]
        return [sum(-1.0 if value is None else value for value in values) for values in found]


class Rest(Reward):
    """Over whole groups: what the other members' words come to."""

    scope: ClassVar[Scope] = "group"

    def needs(self) -> tuple[str, ...]:
        return ("picky",)

    def score(self, items: list[Item]) -> list[float]:
        words = [float(len(item.completion.split())) for item in items]
        return [sum(words) - own for own in words]


class Letters(Encoder):
    """Two numbers of a text."""

    def embed(self, texts: list[str]) -> Any:
        if "" in texts:
            raise ValueError("empty text")
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


class Near(Reward):
    """The first number of the completion's embedding."""

    embeds = True
    scope: ClassVar[Scope] = "group"

    def texts(self, item: Item) -> list[str]:
        return [item.completion]

    def score(self, items: list[Item]) -> list[float]:
        return [float(item.vectors[0][0]) for item in items]


class Persona(Writer):
    """Answers a question."""

    reads = ("prompt",)

    def write(self, items: list[Item]) -> Sequence[str]:
        if any("?" not in item.prompt for item in items):
            raise ValueError("no question")
        return [f"yes to {item.prompt}" for item in items]


class Gain(Reward):
    """Asks the persona, then for the words of question and answer, inline, and whether they are bad, on a worker."""

    def asks(self) -> tuple[str, ...]:
        return "persona", "words", "picky", "rest"

    def inquire(self, item: Item) -> Inquiry:
        if item.completion == "nothing to ask":
            return 0.0
        if item.completion == "raise":
            raise ValueError("cannot ask")
        if item.completion == "elsewhere":
            yield [Ask("rank", {"completion": "x"})]
        if item.completion == "a group":
            yield [Ask("rest", {"completion": "x"})]
        [answer] = yield [Ask("persona", {"prompt": item.completion})]
        words, picky = yield [Ask("words", {"completion": answer}), Ask("picky", {"completion": answer})]
        assert isinstance(words, Score)
        assert isinstance(picky, Score)
        return (words.value or 0.0) + (picky.value or 0.0)

    def score(self, items: list[Item]) -> list[float]:
        return [float(item.found) for item in items]


def catalog(**kinds: Kind) -> Catalog:
    scopes: dict[str, Scope] = {"rest": "group", "rank": "group", "near": "group", "grouped_total": "group"}
    served = {
        name: Served(name, kind, f"{name}.1", kind.runs, scopes.get(name, "item")) for name, kind in kinds.items()
    }
    rewards = {name: one for name, one in served.items() if isinstance(one.kind, Reward)}
    return Catalog(rewards, served["letters"], served)


ALL = catalog(
    words=Words(),
    picky=Picky(),
    rank=Rank(),
    total=Total(),
    total_of_totals=Total(names=("total", "words")),
    grouped_total=Total(names=("rest", "words")),
    rest=Rest(),
    letters=Letters(),
    near=Near(),
    persona=Persona(),
    gain=Gain(),
)


@dataclass
class Workers:
    """The wire to workers that answer at once; `asked` is what crossed it."""

    asked: list[tuple[str, list[Fields]]] = field(default_factory=list)
    terms: list[tuple[float, str, bool]] = field(default_factory=list)
    before: Callable[[str], Awaitable[None]] | None = None

    async def outcomes(
        self, served: Served, contents: Sequence[Fields], deadline: float, *, run: str, bulk: bool
    ) -> Refusals:
        self.asked.append((served.name, list(contents)))
        self.terms.append((deadline, run, bulk))
        if self.before is not None:
            await self.before(served.name)
        await asyncio.sleep(0)
        return Refusals(_run(served, contents), model_tokens=len(contents))

    def items(self, name: str) -> list[Fields]:
        return [content for asked, contents in self.asked if asked == name for content in contents]


def _run(served: Served, contents: Sequence[Fields]) -> list[Outcome]:
    if served.scope == "item":
        return outcomes(served.kind, [Item.from_fields(content) for content in contents])
    assert isinstance(served.kind, Reward)
    return group_outcomes(served.kind, [[Item.from_fields(one) for one in content["members"]] for content in contents])


def answered(
    workers: Workers, rewards: list[str], items: Sequence[WireItem | str], deadline_s: float = 30, **more: Any
) -> ScoreResponse:
    wire = [item if isinstance(item, WireItem) else WireItem(completion=item) for item in items]
    request = ScoreRequest(rewards=rewards, items=wire, **more)
    return asyncio.run(Scoring(request, ALL, workers, time.time() + deadline_s).answer())


def values(response: ScoreResponse, at: int = 0) -> list[float | None]:
    return [score.value for score in response.rewards[at].scores]


def member(completion: str, group: str, size: int, slot: int) -> WireItem:
    return WireItem(completion=completion, group=WireGroup(id=group, size=size, slot=slot))


def test_a_reward_reads_the_scores_it_needs_and_failed_ones_too() -> None:
    assert values(answered(Workers(), ["total"], ["one", "two words", "so bad"])) == [2.0, 3.0, 1.0]


def test_what_is_needed_and_asked_for_itself_as_well_is_scored_once() -> None:
    workers = Workers()
    response = answered(workers, ["picky", "total_of_totals", "total"], ["one", "two words"])
    assert [rewards.reward for rewards in response.rewards] == ["picky", "total_of_totals", "total"]
    assert values(response, 1) == [3.0, 5.0]
    assert [name for name, _ in workers.asked] == ["picky"]


def test_a_reward_over_groups_has_the_group_scores_it_needs() -> None:
    items = [member("a b", "g", 2, 1), member("c", "g", 2, 0), member("d", "h", 2, 0), member("e f g", "h", 2, 1)]
    response = answered(Workers(), ["grouped_total", "rest"], items)
    assert values(response, 1) == [1.0, 2.0, 3.0, 1.0]
    assert values(response) == [3.0, 3.0, 4.0, 4.0]


def test_groups_run_on_a_worker_one_job_each_in_the_order_of_their_slots() -> None:
    workers = Workers()
    items = [member("long", "g", 2, 1), member("x", "g", 2, 0), member("alone", "h", 1, 0)]
    assert values(answered(workers, ["rank"], items)) == [1.0, 0.0, 0.0]
    assert workers.items("rank") == [
        {"members": [{"completion": "x"}, {"completion": "long"}]},
        {"members": [{"completion": "alone"}]},
    ]


def test_a_failed_embedding_fails_its_whole_group_and_no_other() -> None:
    items = [member("a", "g", 2, 0), member("", "g", 2, 1), member("abc", "h", 1, 0)]
    scores = answered(Workers(), ["near"], items).rewards[0].scores
    assert [score.status for score in scores] == ["model_error", "model_error", "ok"]
    assert scores[0].error == "a member of the group: embedding: ValueError: empty text"


def test_a_reward_asks_in_rounds_and_its_answers_are_texts_and_scores() -> None:
    workers = Workers()
    assert values(answered(workers, ["gain"], ["who?", "nothing to ask"])) == [4.0, 0.0]
    assert workers.items("persona") == [{"prompt": "who?"}]
    assert workers.items("picky") == [{"completion": "yes to who?"}]


def test_equal_questions_of_a_round_are_asked_once_and_all_of_one_name_together() -> None:
    workers = Workers()
    assert values(answered(workers, ["gain"], ["who?", "what now?", "who?"])) == [4.0, 5.0, 4.0]
    assert workers.asked == [
        ("persona", [{"prompt": "who?"}, {"prompt": "what now?"}]),
        ("picky", [{"completion": "yes to who?"}, {"completion": "yes to what now?"}]),
    ]


@pytest.mark.parametrize(
    ("completion", "status", "error"),
    [
        ("no question", "model_error", "persona: ValueError: no question"),
        ("is it bad?", "model_error", "picky: ValueError: bad word"),
        ("raise", "invalid_input", "cannot ask"),
        ("a group", "model_error", "rest: it scores whole groups, and cannot be asked about one item"),
        ("elsewhere", "model_error", "ValueError: it asks ['rank'], which its asks() does not name"),
    ],
)
def test_an_item_whose_inquiry_fails_fails_alone(completion: str, status: str, error: str) -> None:
    failed, fine = answered(Workers(), ["gain"], [completion, "who?"]).rewards[0].scores
    assert (failed.status, failed.error) == (status, error)
    assert fine.value == 4.0


def test_run_priority_and_tenant_go_with_the_items() -> None:
    workers = Workers()
    answered(workers, ["picky"], ["a"], run="run7", priority="bulk")
    answered(workers, ["picky"], ["a"])
    assert [(run, bulk) for _, run, bulk in workers.terms] == [("default/run7", True), ("default/", False)]


def test_usage_counts_what_needs_and_questions_cost_too() -> None:
    usage = answered(Workers(), ["total", "gain"], ["who?"]).usage
    assert (usage.items, usage.model_tokens) == (1, 3)


def test_what_cannot_be_taken_at_first_is_the_callers_to_try_again() -> None:
    async def full(name: str) -> None:
        raise Unavailable("full")

    with pytest.raises(Unavailable, match="full"):
        answered(Workers(before=full), ["words", "picky", "total"], ["a"])


def test_what_cannot_be_taken_later_is_tried_again_until_the_deadline() -> None:
    refused: list[str] = []

    async def full_at_first(name: str) -> None:
        if name == "picky" and not refused:
            refused.append(name)
            raise Unavailable("full")

    assert values(answered(Workers(before=full_at_first), ["gain"], ["who?"])) == [4.0]
    assert refused == ["picky"]

    async def full(name: str) -> None:
        if name == "picky":
            raise Unavailable("full")

    [score] = answered(Workers(before=full), ["gain"], ["who?"], deadline_s=0.05).rewards[0].scores
    assert (score.status, score.error) == ("overloaded", "picky: full")


def test_what_follows_an_admitted_question_is_not_the_callers_to_try_again() -> None:
    class Rounds(Reward):
        """Asks something inline that needs a worker, then a worker."""

        def asks(self) -> tuple[str, ...]:
            return "total", "picky"

        def inquire(self, item: Item) -> Inquiry:
            [total] = yield [Ask("total", {"completion": "two words"})]
            [picky] = yield [Ask("picky", {"completion": "b"})]
            assert isinstance(total, Score)
            assert isinstance(picky, Score)
            return (total.value or 0.0) + (picky.value or 0.0)

        def score(self, items: list[Item]) -> list[float]:
            return [float(item.found) for item in items]

    asked: list[str] = []

    async def full_the_second_time(name: str) -> None:
        asked.append(name)
        if len(asked) == 2:
            raise Unavailable("full")

    served = Served("rounds", Rounds(), "rounds.1", "inline")
    known = Catalog(ALL.rewards | {"rounds": served}, ALL.encoder, ALL.served | {"rounds": served})
    request = ScoreRequest(rewards=["rounds"], items=[WireItem(completion="a")])
    workers = Workers(before=full_the_second_time)
    assert values(asyncio.run(Scoring(request, known, workers, time.time() + 9).answer())) == [4.0]
    assert asked == ["picky"] * 3


def test_one_reward_that_cannot_be_taken_leaves_no_work_of_the_others_behind() -> None:
    cancelled: list[str] = []

    async def hangs(name: str) -> None:
        if name == "rank":
            raise Unavailable("full")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(name)
            raise

    with pytest.raises(Unavailable):
        answered(Workers(before=hangs), ["picky", "rank", "total"], ["a"])
    assert cancelled == ["picky"]


def test_a_group_that_is_not_whole_is_cohort_incomplete_where_members_cannot_meet() -> None:
    workers = Workers()
    items = [member("a", "g", 3, 0), member("b", "g", 3, 2), member("x y", "h", 1, 0)]
    scores = answered(workers, ["rest"], items).rewards[0].scores
    assert [(score.status, score.error) for score in scores[:2]] == [
        ("cohort_incomplete", "2 of the group's 3 members arrived")
    ] * 2
    assert scores[2].value == 0.0


def test_a_member_that_cannot_be_sent_ends_its_group_with_that_reason_for_all_who_wait(valkey_url: str) -> None:
    deep: Any = "x"
    for _ in range(253):
        deep = [deep]  # read from the wire, and too deep to be written
    broken = WireItem(completion="a", context={"deep": deep}, group=WireGroup(id="g", size=3, slot=1))
    parts = [
        [member("fine", "g", 3, 0), broken, member("h", "h", 1, 0)],
        [member("waits at another rank", "g", 3, 2)],
    ]

    async def main() -> list[ScoreResponse]:
        async with aioredis.Redis.from_url(valkey_url) as redis:
            await redis.flushdb()
            trips = RoundTrips(redis, timeout_s=30)
            ranks = [Cohorts(trips, f"r{rank}", patience=Patience(sweep_s=0.02)) for rank in range(2)]
            answers = await asyncio.gather(
                *(
                    Scoring(ScoreRequest(rewards=["rest"], items=part), ALL, Workers(), time.time() + 30, cohorts=rank)
                    .answer()
                    for part, rank in zip(parts, ranks, strict=True)
                )
            )  # fmt: skip
            await trips.close()
            return answers

    first, second = (response.rewards[0].scores for response in asyncio.run(main()))
    assert [score.status for score in (*first, *second)] == ["invalid_input", "invalid_input", "ok", "invalid_input"]
    assert first[1].error == "the item cannot be sent: Recursion limit reached"
    assert {first[0].error, second[0].error} == {f"a member of the group: {first[1].error}"}


def test_unknown_rewards_and_impossible_groups_are_refused_before_anything_is_scored() -> None:
    workers = Workers()
    with pytest.raises(Refused, match="unknown rewards"):
        answered(workers, ["picky", "pickle"], ["a"])
    with pytest.raises(Refused, match="slot 0 of 'g' is taken"):
        answered(workers, ["picky", "rest"], [member("a", "g", 2, 0), member("b", "g", 2, 0)])
    assert workers.asked == []


def test_items_of_one_prompt_without_groups_are_one_group() -> None:
    [group] = grouped([WireItem(prompt="p", completion=text) for text in "ab"])
    assert (group.size, group.members, group.whole) == (2, {0: 0, 1: 1}, True)


def test_a_question_nested_too_deeply_to_be_sent_fails_its_item() -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    with pytest.raises(TypeError):
        canonical({"reference": deep})

    class Deep(Reward):
        """Asks about something that cannot be written."""

        def asks(self) -> tuple[str, ...]:
            return ("words",)

        def inquire(self, item: Item) -> Inquiry:
            yield [Ask("words", {"completion": "a", "reference": deep})]

    served = Served("deep", Deep(), "deep.1", "inline")
    known = Catalog(ALL.rewards | {"deep": served}, ALL.encoder, ALL.served | {"deep": served})
    request = ScoreRequest(rewards=["deep"], items=[WireItem(completion="a")])
    response = asyncio.run(Scoring(request, known, Workers(), time.time() + 9).answer())
    assert response.rewards[0].scores[0].status == "model_error"


def test_an_inquiry_without_end_ends_at_the_deadline() -> None:
    class Endless(Reward):
        """Never has enough."""

        def asks(self) -> tuple[str, ...]:
            return ("words",)

        def inquire(self, item: Item) -> Inquiry:
            while True:
                yield []

    served = Served("endless", Endless(), "endless.1", "inline")
    known = Catalog(ALL.rewards | {"endless": served}, ALL.encoder, ALL.served | {"endless": served})
    request = ScoreRequest(rewards=["endless"], items=[WireItem(completion="a")])
    response = asyncio.run(Scoring(request, known, Workers(), time.time() + 0.05).answer())
    assert response.rewards[0].scores[0].status == "timeout"


def test_a_persistent_queue_gives_up_at_the_deadline_and_says_why() -> None:
    async def full(name: str) -> None:
        raise Unavailable("100 items are in flight already")

    queue = PersistentQueue(Workers(before=full))
    wait = asyncio.run(
        queue.outcomes(ALL.served["picky"], [{"completion": "a"}], time.time() + 0.02, run="", bulk=False)
    )
    assert wait.outcomes == [{"status": "overloaded", "error": "100 items are in flight already"}]
