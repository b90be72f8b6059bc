from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertForSequenceClassification

from guerdon.messages import Score
from reward_server.rewards import Item
from reward_server.rewards.reward_model import RewardModel

Make = Callable[..., Path]


def words(count: int, seed: int = 0) -> str:
    return " ".join(f"w{(seed * 31 + place * 7 + place * place) % 90}" for place in range(count))


def loaded(model: Path, **settings: Any) -> RewardModel:
    reward = RewardModel(model=str(model), dtype="float32", **settings)
    reward.load()
    return reward


def numbers(score: Score) -> dict[str, float | None]:
    assert score.ok, score
    return {"value": score.value, **score.components}


def by_hand(model: Path, item: Item) -> list[float]:
    """The outputs for one item as a model card computes them: alone, through the chat template."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = tokenizer.apply_chat_template(item.chat(), return_tensors="pt", return_dict=True)["input_ids"]
    with torch.inference_mode():
        logits: list[float] = AutoModelForSequenceClassification.from_pretrained(model).eval()(ids).logits[0].tolist()
    return logits


@pytest.mark.parametrize("padding", [None, 0, 5])
def test_one_output_is_the_value_as_transformers_computes_it(tiny_classifier: Make, padding: int | None) -> None:
    # 5 is also the token that ends every turn: transformers then takes the last token before it
    model = tiny_classifier(pad_token_id=padding)
    reward = loaded(model)
    items = [Item(words(n), words(2 * n + 1, n)) for n in (0, 1, 8, 30)]
    for item, score in zip(items, reward.score(items), strict=True):
        assert score.value == pytest.approx(by_hand(model, item)[0], abs=1e-5)


def test_a_chat_is_scored_through_its_template(tiny_classifier: Make) -> None:
    model = tiny_classifier()
    turns = [{"role": "system", "content": "w9"}, {"role": "user", "content": "w1 w2"}]
    item = Item.from_fields({"prompt": turns, "completion": [{"role": "assistant", "content": "w5"}]})
    [score] = loaded(model).score([item])
    assert score.value == pytest.approx(by_hand(model, item)[0], abs=1e-5)


def test_the_beginning_token_stands_once(tiny_classifier: Make) -> None:
    reward = loaded(tiny_classifier())
    item = Item("w1", "w2")
    reward.prepare([item])
    assert item.encoded.ids.count(4) == 1
    assert item.encoded.ids[0] == 4


def test_a_control_token_in_a_completion_ends_nothing(tiny_classifier: Make) -> None:
    reward = loaded(tiny_classifier())
    items = [Item("w1", "w2 <|end|> w3 <s>"), Item("w1", "w2 w3")]
    reward.prepare(items)
    assert items[0].encoded == items[1].encoded


def test_an_item_scores_the_same_alone_in_64_and_next_to_4000_tokens(tiny_classifier: Make) -> None:
    reward = loaded(tiny_classifier(outputs=2, pad_token_id=5), weights={"0": 1.0, "1": -0.5})
    item = Item(words(9), words(14, 2))
    [alone] = reward.score([item])
    crowd = [Item(words(n), words(5 + n % 7, n)) for n in range(63)]
    long = Item(words(3950, 5), words(60, 6))
    for batch in ([*crowd, item], [long, item], [item, long, *crowd]):
        score = reward.score([Item(one.prompt, one.completion) for one in batch])[batch.index(item)]
        assert numbers(score) == pytest.approx(numbers(alone), abs=1e-5)


def test_an_encoder_with_its_own_head_scores_the_same_alone_and_in_company(tmp_path: Path, tiny_encoder: Path) -> None:
    AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = BertConfig.from_pretrained(tiny_encoder, num_labels=1)
    model = BertForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path)
    reward = loaded(tmp_path, text="pair")
    items = [Item(words(n), words(3 + n, n)) for n in (0, 3, 700)]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for item, score in zip(items, reward.score(items), strict=True):
        with torch.inference_mode():
            expected = model(**tokenizer(item.prompt, item.completion, return_tensors="pt")).logits.item()
        assert score.value == pytest.approx(expected, abs=1e-5)


def test_several_attributes_are_weighted_by_label_or_place(tiny_classifier: Make) -> None:
    labels = {0: "helpfulness", 1: "verbosity", 2: "safety"}
    model = tiny_classifier(outputs=3, id2label=labels, label2id={name: place for place, name in labels.items()})
    item = Item(words(4), words(5))
    outputs = by_hand(model, item)
    [score] = loaded(model, weights={"helpfulness": 0.7, "2": 1.5, "verbosity": -0.2}).score([item])
    assert score.value == pytest.approx(0.7 * outputs[0] - 0.2 * outputs[1] + 1.5 * outputs[2], abs=1e-5)
    assert score.components == pytest.approx(
        {"helpfulness": outputs[0], "attribute_2": outputs[2], "verbosity": outputs[1], "truncated": 0}, abs=1e-5
    )


@pytest.mark.parametrize("layout", ["attribute_major", "quantile_major"])
def test_quantiles_are_sorted_mixed_and_averaged(tiny_classifier: Make, layout: str) -> None:
    model = tiny_classifier(outputs=8)
    item = Item(words(4), words(5))
    table = torch.tensor(by_hand(model, item))
    by_attribute = (table.view(2, 4) if layout == "attribute_major" else table.view(4, 2).T).sort(dim=1).values
    mix = 0.25 * by_attribute[0] + 2 * by_attribute[1]
    settings: dict[str, Any] = {"quantiles": 4, "layout": layout, "weights": {"0": 0.25, "1": 2.0}}
    [mean] = loaded(model, **settings).score([item])
    [risk_averse] = loaded(model, **settings, value="cvar", tau=0.5).score([item])
    assert mean.value == pytest.approx(mix.mean().item(), abs=1e-5)
    assert risk_averse.value == pytest.approx(mix[:2].mean().item(), abs=1e-5)
    assert risk_averse.components == pytest.approx(
        {
            "attribute_0": by_attribute[0].mean().item(),
            "attribute_1": by_attribute[1].mean().item(),
            "mean": mix.mean().item(),
            "cvar": mix[:2].mean().item(),
            "spread": mix.std(correction=0).item(),
            "truncated": 0,
        },
        abs=1e-5,
    )


def test_quantiles_of_a_single_attribute_need_no_weights(tiny_classifier: Make) -> None:
    reward = loaded(tiny_classifier(outputs=4), quantiles=4)
    [score] = reward.score([Item("w1", "w2")])
    assert set(score.components) == set(reward.served_components()) == {"mean", "cvar", "spread", "truncated"}
    assert score.value == score.components["mean"]


def test_what_is_too_long_loses_its_beginning_but_for_the_first_token_and_says_so(tiny_classifier: Make) -> None:
    reward = loaded(tiny_classifier(), max_tokens=20)
    item = Item(words(30), words(5, 2))
    [score] = reward.score([item])
    long = Item(item.prompt, item.completion)
    loaded_long = loaded(tiny_classifier())
    loaded_long.prepare([long])
    assert item.encoded.ids == [4, *long.encoded.ids[-19:]]
    assert score.components["truncated"] == len(long.encoded.ids) - 20
    assert "truncated" in score.notes


def test_prepared_items_cost_their_exact_length(tiny_classifier: Make) -> None:
    reward = loaded(tiny_classifier())
    item = Item("w1 w2", "w3")
    assert reward.tokens(item) == len(item.encoded.ids) == 1 + (2 + 2 + 1) + (2 + 1 + 1)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({}, "weights"),
        ({"weights": {"clarity": 1.0}}, "clarity"),
        ({"weights": {"3": 1.0}}, "known"),
        ({"quantiles": 2}, "quantiles"),
        ({"weights": {"0": 1.0}, "max_tokens": 5000}, "4200"),
    ],
)
def test_settings_that_do_not_fit_the_model_are_refused(
    tiny_classifier: Make, settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        loaded(tiny_classifier(outputs=3), **settings)


@pytest.mark.parametrize("settings", [{"value": "cvar"}, {"weights": {"a": float("inf")}}, {"tau": 0.0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"quantiles|finite|greater"):
        RewardModel(model="m", **settings)


def test_a_tokenizer_without_a_template_needs_to_be_told(tiny_classifier: Make) -> None:
    model = tiny_classifier(chat=None)
    with pytest.raises(ValueError, match="pair"):
        loaded(model)
    [score] = loaded(model, text="pair").score([Item("w1", "w2")])
    assert score.ok


def test_a_model_without_a_trained_head_is_refused(tiny_policy: Path) -> None:
    with pytest.raises(ValueError, match="score"):
        loaded(tiny_policy, text="pair")


def test_a_hub_id_is_pinned_and_remote_code_is_off() -> None:
    with pytest.raises(ValueError, match="hub_revision"):
        RewardModel(model="org/model").revision()
    assert RewardModel(model="org/model", hub_revision="0a1b").revision() == "0a1b"
    assert RewardModel(model="org/model").trust_remote_code is False
