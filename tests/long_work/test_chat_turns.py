from typing import Any

import pytest

from long_work.chat_turns import are_turns

SAID = {"role": "user", "content": "Hello."}


@pytest.mark.parametrize("found", [[SAID], [SAID, {"role": "assistant", "content": "", "name": "bob"}]])
def test_messages_with_a_role_and_a_content_are_a_chat(found: Any) -> None:
    assert are_turns(found)


@pytest.mark.parametrize(
    "found",
    [[], SAID, "Hello.", None, [SAID, "Hello."], [SAID, {"role": "user"}], [SAID | {"content": None}], [[SAID]]],
)
def test_all_else_is_none(found: Any) -> None:
    assert not are_turns(found)
