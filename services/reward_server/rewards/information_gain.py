"""How much a question helps to predict what a persona prefers, once the persona has answered it."""

from functools import cached_property
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from guerdon.messages import Range, Score
from reward_server.rewards import Answer, Ask, Golden, Inquiry, Item, Reward
from reward_server.rewards.models.dialogue import Context, Turn, in_persona, read
from reward_server.rewards.models.evidence import Evidence, measures
from reward_server.rewards.models.item_pairs import ItemPair, drawn
from reward_server.rewards.models.text_file import TextFile, read_texts

CLOSING = "\"'”’»)]*_ "
"""What may stand behind a question mark."""
MARKS = ("?", "？", "؟")


class Asked(Context):
    """What `context` holds: who is asked, what was said before, and which pairs are predicted."""

    persona: str
    transcript: list[Turn]
    pair_seed: int


class InformationGain(Reward):
    """r = F(S + question and answer) - F(S): how much an answer adds to the log-likelihood of a persona's preferences.

    F(S) is the mean of log P(the persona's choice | transcript S) over pairs of items, in nats per pair, after
    Lindley's (1956) measure of what an experiment tells. `context` holds `persona` (an id), `transcript` (the
    prompt's own, a list of {question, answer}) and `pair_seed`. The completion is the question; anything else than
    one line with a question mark earns `low` - `margin`. r = information_gain - miscalibration_change, where the first
    is the fall of the predictions' own entropy (models/log_score.py has the derivation).
    """

    reads: ClassVar[tuple[str, ...]] = ("completion", "context")
    components: ClassVar[dict[str, Range]] = {
        "question": Range(low=0, high=1, better="higher"),
        "gain": Range(better="higher"),
        "accuracy_before": Range(low=0, high=1),
        "accuracy_after": Range(low=0, high=1, better="higher"),
        "information_gain": Range(low=-0.6931471805599454, high=0.6931471805599454, better="higher"),
        "miscalibration_change": Range(better="lower"),
        "pairs_used": Range(low=0),
        "pairs_left_out": Range(low=0, better="lower"),
        "answer_characters": Range(low=0),
    }
    golden: ClassVar[tuple[Golden, ...]] = (
        Golden([{"completion": "", "context": {"persona": "any", "transcript": [], "pair_seed": 0}}], [None]),
    )

    items: str
    """The operator's TOML or JSON file of what is preferred: id = "description", or a table per id with key text."""
    personas: str
    """The operator's file of who is asked, in the same form. The participant reads one too: give both the same."""
    preference: str = "logprob_preference"
    """The served logprob_preference that predicts."""
    participant: str = "participant"
    """The served participant that answers."""
    labeller: str | None = None
    """The served logprob_preference that is told the persona and labels the pairs; None: the one that predicts."""
    pairs: int = Field(default=20, ge=1)
    """Pairs of items per prompt; all there are, where there are fewer."""
    temperature: float = Field(default=1.0, gt=0)
    """Predicted log-odds are divided by it: models/log_score.py fits it on held-out pairs."""
    low: float = -1.0
    """The value is at least this, in nats per pair."""
    high: float = 1.0
    """The value is at most this."""
    margin: float = Field(default=0.25, gt=0)
    """By how much no question at all is worse than the worst question."""
    longest: int = Field(default=500, ge=1)
    """Characters from which on a question is none."""

    @model_validator(mode="after")
    def _low_is_below_high(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low = {self.low} should be less than high = {self.high}")
        return self

    @cached_property
    def _things(self) -> TextFile:
        found = read_texts(self.items)
        if len(found.texts) < 2:
            raise ValueError(f"{found.path} holds one item; a preference is between two")
        return found

    @cached_property
    def _people(self) -> TextFile:
        return read_texts(self.personas)

    def revision(self) -> str:
        return f"{self._things.digest}.{self._people.digest}"

    @property
    def range(self) -> Range:  # type: ignore[override]
        return Range(low=self.low - self.margin, high=self.high, better="higher")

    def asks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.preference, self.participant, self.labeller or self.preference)))

    def inquire(self, item: Item) -> Inquiry:
        """Ask for the persona's answer and its labels, then for the predictions of those pairs that have one.

        Raises:
            ValueError: the context lacks something, or the persona is unknown.
        """
        asked = read(Asked, item.context)
        question = item.completion.strip()
        if not is_question(question, self.longest):
            return self._no_question()
        persona = self._people[asked.persona]
        pairs = drawn(list(self._things.texts), self.pairs, asked.pair_seed)
        said = [turn.model_dump() for turn in asked.transcript]
        whom = {"persona": asked.persona, "transcript": said, "question": question}
        answer, *told = yield [
            Ask(self.participant, {"context": whom}),
            *(Ask(self.labeller or self.preference, {"context": self._choice(persona, pair)}) for pair in pairs),
        ]
        labels = {pair: label for pair, one in zip(pairs, told, strict=True) if (label := _label(one)) is not None}
        if not labels:
            return Score.failed("model_error", f"the labeller's two orders disagree on all {len(pairs)} pairs")
        both = (said, [*said, {"question": question, "answer": answer}])
        shown = [[self._things[name] for name in pair.shown()] for pair in labels]
        predicted = yield [Ask(self.preference, {"context": {"transcript": one, "pairs": shown}}) for one in both]
        before, after = (self._log_odds(one, len(labels)) for one in predicted)
        shown_first = [label != pair.exchanged for pair, label in labels.items()]
        return Evidence(shown_first, before, after, len(pairs) - len(labels), str(answer))

    def _choice(self, persona: str, pair: ItemPair) -> dict[str, Any]:
        # In the order of the file, whatever the seed says of it, and without the transcript: labelled once for all.
        options = {"option_a": self._things[pair.first], "option_b": self._things[pair.second]}
        return {"system": in_persona(persona), "transcript": [], **options}

    def _log_odds(self, answer: Answer, count: int) -> list[float]:
        return [_component(answer, f"log_odds.{place}") / self.temperature for place in range(count)]

    def score(self, items: list[Item]) -> list[Score]:
        return [self._scored(item.found) for item in items]

    def _scored(self, found: Evidence | Score) -> Score:
        if isinstance(found, Score):
            return found
        components = measures(found)
        value = min(self.high, max(self.low, components["gain"]))
        return Score(value=value, components={"question": 1.0, **components})

    def _no_question(self) -> Score:
        undefined = dict.fromkeys(self.components.keys() - {"question"})
        notes = dict.fromkeys(undefined, "the completion is no question")
        return Score(value=self.low - self.margin, components={"question": 0.0, **undefined}, notes=notes)


def is_question(text: str, longest: int) -> bool:
    """Whether a text is one line with something in it and a question mark at its end."""
    one_line = len(text.splitlines()) == 1 and len(text) <= longest
    return one_line and text.rstrip(CLOSING).endswith(MARKS) and any(letter.isalnum() for letter in text)


def _label(answer: Answer) -> bool | None:
    """Return whether the first option is preferred; None where the two orders disagree or are undecided."""
    log_odds = _component(answer, "log_odds")
    return None if _component(answer, "flipped") or log_odds == 0 else log_odds > 0


def _component(answer: Answer, name: str) -> float:
    found = answer.components.get(name) if isinstance(answer, Score) else None
    if found is None:
        raise ValueError(f"an answer lacks {name!r}: `preference` and `labeller` should name a logprob_preference")
    return found
