import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.messages import Score
from reward_server.boundary import scored
from reward_server.rewards import Answer, Ask, Item
from reward_server.rewards.information_gain import InformationGain, is_question
from reward_server.rewards.models.evidence import Evidence, measures
from reward_server.rewards.models.preference import sigmoid

CARS = {"van": "a van", "coupe": "a coupe", "truck": "a truck", "wagon": "a wagon"}
PEOPLE = {"ann": "Ann, a nurse."}
SAID = [{"question": "Do you drive far?", "answer": "No."}]
CONTEXT = {"persona": "ann", "transcript": SAID, "pair_seed": 3}


def log_odds(p: float) -> float:
    return math.log(p) - math.log1p(-p)


def preferring(p: float, flipped: float = 0) -> Score:
    return Score(value=p, components={"log_odds": log_odds(p), "flipped": flipped})


def several(values: list[float]) -> Score:
    components: dict[str, float | None] = {f"log_odds.{i}": log_odds(p) for i, p in enumerate(values)}
    return Score(value=sum(values) / len(values), components=components)


class World:
    """Who answers, labels and predicts, by functions of what is asked; remembers every round."""

    def __init__(
        self,
        label: Callable[[str, str], Score] = lambda a, b: preferring(0.9 if a < b else 0.1),
        predict: Callable[[list[dict[str, str]], str, str], float] = lambda said, a, b: 0.5,
        answer: str = "Space, above all.",
    ) -> None:
        self.label, self.predict, self.answer = label, predict, answer
        self.rounds: list[list[Ask]] = []

    def reply(self, ask: Ask) -> Answer:
        context = ask.fields["context"]
        if ask.name == "participant":
            return self.answer
        if "system" in context:
            return self.label(context["option_a"], context["option_b"])
        return several([self.predict(context["transcript"], a, b) for a, b in context["pairs"]])

    def drive(self, kind: InformationGain, item: Item) -> Item:
        """Run an item's inquiry to its end, as the server does."""
        inquiry = kind.inquire(item)
        try:
            asks = next(inquiry)
            while True:
                self.rounds.append(asks)
                asks = inquiry.send([self.reply(ask) for ask in asks])
        except StopIteration as end:
            item.found = end.value
        return item

    def score(self, kind: InformationGain, question: str = "What matters to you?", **context: Any) -> Score:
        [found] = scored(kind, [self.drive(kind, Item("", question, context=CONTEXT | context))])
        return found


@pytest.fixture
def kind(tmp_path: Path) -> Callable[..., InformationGain]:
    def build(items: dict[str, str] = CARS, **settings: Any) -> InformationGain:
        for name, texts in (("items", items), ("personas", PEOPLE)):
            (tmp_path / f"{name}.json").write_text(json.dumps(texts))
        return InformationGain(items=str(tmp_path / "items.json"), personas=str(tmp_path / "personas.json"), **settings)

    return build


def test_the_reward_is_what_the_answer_adds_to_the_log_likelihood(kind: Callable[..., InformationGain]) -> None:
    world = World(predict=lambda said, a, b: (0.8 if a < b else 0.2) if len(said) > len(SAID) else 0.5)
    score = world.score(kind(pairs=4))
    assert score.value == pytest.approx(math.log(0.8) - math.log(0.5))
    assert score.components["accuracy_before"] == 0.5
    assert score.components["accuracy_after"] == 1
    assert (score.components["pairs_used"], score.components["pairs_left_out"]) == (4, 0)
    assert score.components["answer_characters"] == len(world.answer)


def test_the_answer_is_asked_for_first_and_then_predicted_with_and_without(
    kind: Callable[..., InformationGain],
) -> None:
    world = World()
    world.score(kind(pairs=3))
    first, second = world.rounds
    assert first[0] == Ask(
        "participant", {"context": {"persona": "ann", "transcript": SAID, "question": "What matters to you?"}}
    )
    asked = {"question": "What matters to you?", "answer": world.answer}
    assert [ask.fields["context"]["transcript"] for ask in second] == [SAID, [*SAID, asked]]
    assert second[0].fields["context"]["pairs"] == second[1].fields["context"]["pairs"]


def test_labels_are_those_of_the_persona_alone_and_the_same_for_every_seed(
    kind: Callable[..., InformationGain],
) -> None:
    one, other = World(), World()
    one.score(kind(pairs=6), pair_seed=1)
    other.score(kind(pairs=6), pair_seed=2, transcript=[])
    labels = [{json.dumps(ask.fields) for ask in world.rounds[0][1:]} for world in (one, other)]
    assert labels[0] == labels[1]
    assert len(labels[0]) == 6
    assert all("Ann, a nurse." in label and '"transcript": []' in label for label in labels[0])


def test_a_group_shares_its_labels_and_its_prediction_before(kind: Callable[..., InformationGain]) -> None:
    one, other = World(), World(answer="Price.")
    one.score(kind(), question="What matters?")
    other.score(kind(), question="How many are you?")
    assert one.rounds[0][1:] == other.rounds[0][1:]
    assert one.rounds[1][0] == other.rounds[1][0]
    assert one.rounds[1][1] != other.rounds[1][1]


def test_half_of_the_pairs_are_shown_the_other_way_round(kind: Callable[..., InformationGain]) -> None:
    world = World()
    world.score(kind(pairs=6))
    shown = world.rounds[1][0].fields["context"]["pairs"]
    order = list(CARS.values())
    assert sum(order.index(a) > order.index(b) for a, b in shown) == 3


def test_pairs_whose_orders_disagree_are_left_out_and_counted(kind: Callable[..., InformationGain]) -> None:
    world = World(label=lambda a, b: preferring(0.7, flipped=float("a van" in (a, b))))
    score = world.score(kind(pairs=6))
    assert (score.components["pairs_used"], score.components["pairs_left_out"]) == (3, 3)
    assert not any("a van" in pair for pair in world.rounds[1][0].fields["context"]["pairs"])


@pytest.mark.parametrize("label", [preferring(0.7, flipped=1), preferring(0.5)])
def test_without_any_label_there_is_no_score(kind: Callable[..., InformationGain], label: Score) -> None:
    world = World(label=lambda a, b: label)
    score = world.score(kind(pairs=5))
    assert (score.value, score.status) == (None, "model_error")
    assert "all 5 pairs" in (score.error or "")
    assert len(world.rounds) == 1


@pytest.mark.parametrize("predicted", [1 - 1e-9, 1e-9])
def test_the_value_is_clipped_and_the_gain_is_not(kind: Callable[..., InformationGain], predicted: float) -> None:
    world = World(predict=lambda said, a, b: 0.5 if said == SAID else predicted if a < b else 1 - predicted)
    score = world.score(kind(low=-0.3, high=0.2))
    assert score.value == (0.2 if predicted > 0.5 else -0.3)
    assert abs(score.components["gain"] or 0) > 0.6


@pytest.mark.parametrize(
    "text", ["", "  ", "I like cars.", "Why?\nBecause?", "What?\u2028Really?", "?", "... ?!", "x" * 500 + "?"]
)
def test_what_is_no_question_is_a_score_below_the_worst_and_asks_nobody(
    kind: Callable[..., InformationGain], text: str
) -> None:
    world = World()
    score = world.score(kind(low=-0.5, margin=0.1), question=text)
    assert (score.status, score.value) == ("ok", -0.6)
    assert score.components["gain"] is None
    assert score.notes["gain"] == "the completion is no question"
    assert world.rounds == []


@pytest.mark.parametrize("text", ["Why?", " How far do you drive? ", '"Why?"', "你喜欢什么？", "A van (or a bus?)"])
def test_one_line_with_a_question_mark_at_its_end_is_a_question(text: str) -> None:
    assert is_question(text.strip(), 500)


@pytest.mark.parametrize("missing", ["persona", "transcript", "pair_seed"])
def test_a_request_names_what_it_lacks(kind: Callable[..., InformationGain], missing: str) -> None:
    context = {key: value for key, value in CONTEXT.items() if key != missing}
    for completion in ("Why?", "no question"):
        with pytest.raises(ValueError, match=f"context.{missing}: Field required"):
            next(kind().inquire(Item("", completion, context=context)))


def test_everything_that_is_missing_is_named_at_once(kind: Callable[..., InformationGain]) -> None:
    with pytest.raises(ValueError, match=r"context.persona.*context.transcript.*context.pair_seed"):
        next(kind().inquire(Item("", "Why?")))


def test_an_unknown_persona_is_named(kind: Callable[..., InformationGain]) -> None:
    with pytest.raises(ValueError, match="no 'eve'"):
        next(kind().inquire(Item("", "Why?", context=CONTEXT | {"persona": "eve"})))


def test_every_golden_item_has_a_finite_score(kind: Callable[..., InformationGain]) -> None:
    for golden in InformationGain.golden:
        items = [World().drive(kind(), Item.from_fields(fields)) for fields in golden.items]
        assert all(score.ok for score in scored(kind(), items))


def test_the_version_changes_with_the_operators_texts(kind: Callable[..., InformationGain]) -> None:
    assert kind().revision() == kind().revision()
    assert kind().revision() != kind(CARS | {"van": "a large van"}).revision()


def test_an_items_file_with_one_item_is_refused(kind: Callable[..., InformationGain]) -> None:
    with pytest.raises(ValueError, match="one item"):
        kind({"van": "a van"}).revision()


def test_what_is_asked_is_named(kind: Callable[..., InformationGain]) -> None:
    assert kind().asks() == ("logprob_preference", "participant")
    assert kind(preference="small", participant="people", labeller="large").asks() == ("small", "people", "large")
    world = World()
    world.score(kind(preference="small", labeller="large"))
    assert {ask.name for ask in world.rounds[0]} == {"participant", "large"}
    assert {ask.name for ask in world.rounds[1]} == {"small"}


evidence = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.lists(st.booleans(), min_size=n, max_size=n),
        st.lists(st.floats(-20, 20), min_size=n, max_size=n),
        st.lists(st.floats(-20, 20), min_size=n, max_size=n),
    )
)


@given(evidence)
def test_every_reward_is_its_information_gain_less_its_change_in_miscalibration(
    found: tuple[list[bool], list[float], list[float]],
) -> None:
    told = measures(Evidence(*found, left_out=0, answer=""))
    assert told["gain"] == pytest.approx(told["information_gain"] - told["miscalibration_change"], abs=1e-12)


# Two personas hold .6 and .4 of the crowd. The first always says yes and takes the van with .78; the second says yes
# with .35 and takes it with .29. What is known of the van is then .584 before, .6873 after a yes and .29 after a no.
CROWD = {1: 0.6, 2: 0.4}
SAYS_YES = {1: 1.0, 2: 0.35}
TAKES_IT = {1: 0.78, 2: 0.29}


def believed(answer: str | None) -> float:
    """Return P(the van is taken | answer), by Bayes."""
    says = {k: 1.0 if answer is None else SAYS_YES[k] if answer == "Yes." else 1 - SAYS_YES[k] for k in CROWD}
    weights = {k: CROWD[k] * says[k] for k in CROWD}
    return sum(weights[k] * TAKES_IT[k] for k in CROWD) / sum(weights.values())


def expected(kind: InformationGain, sharpness: float) -> dict[str, float]:
    """Return the expectation over personas, answers and labels of value and components."""
    total: dict[str, float] = {}
    for persona, answer, taken in itertools.product(CROWD, ("Yes.", "No."), (True, False)):
        says = SAYS_YES[persona] if answer == "Yes." else 1 - SAYS_YES[persona]
        weight = CROWD[persona] * says * (TAKES_IT[persona] if taken else 1 - TAKES_IT[persona])

        def predict(said: list[dict[str, str]], a: str, b: str) -> float:
            p = sigmoid(sharpness * log_odds(believed(said[-1]["answer"] if said else None)))
            return p if a == "a van" else 1 - p

        world = World(
            label=lambda a, b, taken=taken: preferring(0.9 if (a == "a van") == taken else 0.1),  # type: ignore[misc]
            predict=predict,
            answer=answer,
        )
        if weight:
            score = world.score(kind, transcript=[])
            for name, value in {"value": score.value, **score.components}.items():
                total[name] = total.get(name, 0.0) + weight * (value or 0.0)
    return total


def entropy(p: float) -> float:
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


@pytest.fixture
def toy(kind: Callable[..., InformationGain]) -> Callable[..., InformationGain]:
    return lambda **settings: kind({"van": "a van", "coupe": "a coupe"}, pairs=1, low=-9, high=9, **settings)


def test_a_calibrated_predictor_earns_the_expected_information_gain(toy: Callable[..., InformationGain]) -> None:
    yes = sum(CROWD[k] * SAYS_YES[k] for k in CROWD)
    mutual = entropy(believed(None)) - yes * entropy(believed("Yes.")) - (1 - yes) * entropy(believed("No."))
    found = expected(toy(), sharpness=1)
    assert mutual == pytest.approx(0.0627, abs=5e-5)
    assert found["value"] == pytest.approx(mutual, abs=1e-12)
    assert found["information_gain"] == pytest.approx(mutual, abs=1e-12)
    assert found["miscalibration_change"] == pytest.approx(0, abs=1e-12)


def test_a_predictor_with_logits_three_times_as_large_punishes_the_same_question(
    toy: Callable[..., InformationGain],
) -> None:
    found = expected(toy(), sharpness=3)
    assert found["value"] == pytest.approx(-0.1011, abs=5e-5)
    assert found["value"] == pytest.approx(found["information_gain"] - found["miscalibration_change"], abs=1e-12)
    assert found["miscalibration_change"] > 0.1


def test_the_temperature_gives_the_expected_information_gain_back(toy: Callable[..., InformationGain]) -> None:
    assert expected(toy(temperature=3), sharpness=3)["value"] == pytest.approx(0.0627, abs=5e-5)
