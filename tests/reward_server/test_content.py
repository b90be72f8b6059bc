from hypothesis import given
from hypothesis import strategies as st

from guerdon.messages import ChatMessage, Item
from reward_server.content import canonical, content_id, fields

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
contents = st.dictionaries(st.sampled_from(["prompt", "completion", "reference", "context"]), values)


@given(contents)
def test_the_order_of_keys_does_not_matter(content: dict[str, object]) -> None:
    assert content_id("v", canonical(content)) == content_id("v", canonical(dict(reversed(content.items()))))


@given(st.text(), st.text(), st.text(), st.text())
def test_other_text_or_another_version_is_another_id(text: str, other: str, version: str, newer: str) -> None:
    same = content_id(version, canonical({"completion": text})) == content_id(newer, canonical({"completion": other}))
    assert same == ((text, version) == (other, newer))


def test_only_the_fields_a_kind_reads_decide() -> None:
    one = Item(prompt="a", completion="c", context={"run": 1})
    other = Item(prompt="b", completion="c", context={"run": 2})
    assert fields(one, ["completion"]) == fields(other, ["completion"]) == {"completion": "c"}
    assert fields(one, ["prompt"]) != fields(other, ["prompt"])


def test_chat_messages_travel_as_plain_json() -> None:
    item = Item(completion=[ChatMessage(role="assistant", content="hi")])
    assert fields(item, ["completion"]) == {"completion": [{"role": "assistant", "content": "hi"}]}
