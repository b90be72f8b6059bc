"""Try what is served: load it, score its golden items on the way a request takes, and measure."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from guerdon.messages import Item, Score, ScoreRequest
from http_face.refused import Refused
from reward_server import memory
from reward_server.boundary import out_of_memory
from reward_server.catalog import Catalog, Served
from reward_server.content import fields
from reward_server.golden import Expectation
from reward_server.in_process import InProcess
from reward_server.rewards import Reward
from reward_server.scoring import Scoring

DEADLINE_S = 600.0
MEASURE_S = 0.5
MOST_ROUNDS = 20
PROMPT, REFERENCE = "Name the capital of France.", "Paris is the capital of France."
COMPLETIONS = ("Paris.", "It is Paris, of course.", "The capital of France is the city of Paris.", "I do not know.")

Verdict = Literal["ok", "failed", "not tried", "does not load"]


@dataclass
class Trial:
    """What came of one served thing.

    Attributes:
        load_s: seconds that loading took.
        ram_bytes, accelerator_bytes: by how much loading made this process grow; None where it cannot be known.
        items_per_s: on its golden items, or on made-up ones; None where it did not score them.
        tried: golden items tried.
        problems: what failed and why, one line each.
    """

    served: Served
    load_s: float | None = None
    ram_bytes: int | None = None
    accelerator_bytes: int | None = None
    items_per_s: float | None = None
    tried: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        if self.load_s is None:
            return "does not load"
        if self.problems:
            return "failed"
        return "ok" if self.tried else "not tried"

    @property
    def passed(self) -> bool:
        return self.verdict in ("ok", "not tried")


def load(served: Served) -> Trial:
    """Load what is served; what it raises is the trial's problem."""
    trial = Trial(served)
    ram, accelerator = memory.resident(), _allocated()
    started = time.perf_counter()
    try:
        served.kind.load()
    except Exception as error:  # noqa: BLE001 - the boundary: a model of somebody's
        trial.problems.append(f"does not load: {type(error).__name__}: {error}{advice(error)}")
        return trial
    trial.load_s = time.perf_counter() - started
    grown = memory.resident()
    if ram is not None and grown is not None:
        trial.ram_bytes = max(0, grown - ram)
    if memory.accelerators():
        trial.accelerator_bytes = _allocated() - accelerator
    return trial


def advice(error: BaseException) -> str:
    """Return what would help against an error of loading, where that is known."""
    if isinstance(error, ModuleNotFoundError):
        return f"\nInstall the package that brings {error.name!r}."
    if out_of_memory(error):
        return "\nIt does not fit: take a smaller dtype or model, or another device."
    if isinstance(error, OSError):
        return "\nIs `model` right, and are its files on this machine? Without a network they have to be."
    return ""


async def score(trial: Trial, catalog: Catalog, queue: InProcess, golden: Sequence[Sequence[Expectation]]) -> None:
    """Score the golden items, note what is not as expected, and measure how fast they are scored."""
    asking = _Asking(trial.served, catalog, queue)
    declared = trial.served.kind.range if isinstance(trial.served.kind, Reward) else None
    for some in golden:
        trial.tried += len(some)
        try:
            scores = await asking.scores([one.item for one in some])
        except Refused as error:
            trial.problems.append(f"{some[0].name}: {error.field}: {error}")
            continue
        complaints = [one.complaint(score, declared) for one, score in zip(some, scores, strict=True)]
        trial.problems += [complaint for complaint in complaints if complaint is not None]
    if not trial.problems:
        trial.items_per_s = await asking.rate([[one.item for one in some] for some in golden] or [made_up()])


def made_up() -> list[Item]:
    """Return items that most kinds can score, for those that have no golden ones."""
    return [Item(prompt=PROMPT, completion=completion, reference=REFERENCE) for completion in COMPLETIONS]


@dataclass(frozen=True)
class _Asking:
    served: Served
    catalog: Catalog
    queue: InProcess

    async def scores(self, items: Sequence[Item]) -> list[Score]:
        deadline = time.time() + DEADLINE_S
        if isinstance(self.served.kind, Reward):
            request = ScoreRequest(rewards=[self.served.name], items=list(items), deadline_s=DEADLINE_S)
            answer = await Scoring(request, self.catalog, self.queue, deadline).answer()
            return answer.rewards[0].scores
        contents = [fields(item, self.served.kind.reads) for item in items]
        wait = await self.queue.outcomes(self.served, contents, deadline, run="", bulk=False)
        return [_as_score(outcome) for outcome in wait.outcomes]

    async def rate(self, lists: Sequence[Sequence[Item]]) -> float | None:
        """Return items a second, after a first round to warm up; None where an item is not scored."""
        items, started = 0, 0.0
        for number in range(MOST_ROUNDS + 1):
            for some in lists:
                if not await self._all_scored(some):
                    return None
            if number == 0:
                started = time.perf_counter()
                continue
            items += sum(map(len, lists))
            if time.perf_counter() - started > MEASURE_S:
                break
        return items / (time.perf_counter() - started)

    async def _all_scored(self, items: Sequence[Item]) -> bool:
        try:
            return all(score.ok for score in await self.scores(items))
        except Refused:  # items of ours, which this reward cannot take
            return False


def _as_score(outcome: dict[str, object] | None) -> Score:
    """Return a score that says whether an encoder or writer answered: 1, or why not."""
    if outcome is None:
        return Score.failed("timeout", "it did not answer in time")
    if outcome["status"] == "ok":
        return Score(value=1.0)
    return Score.model_validate({"value": None} | outcome)


def _allocated() -> int:
    return sum(device.allocated for device in memory.accelerators())
