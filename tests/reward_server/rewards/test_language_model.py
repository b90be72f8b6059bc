from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reward_server.rewards import Turns
from reward_server.rewards.models.language_model import language_model
from reward_server.rewards.models.layout import PLAIN_TEMPLATE, laid_out

CHAT: Turns = [
    {"role": "system", "content": "You are Ann."},
    {"role": "user", "content": "Do you drive?"},
]


def test_a_model_is_loaded_once_whoever_asks_first(tiny_policy: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: language_model(str(tiny_policy), None, "float32"), range(8)))
    assert len(set(map(id, found))) == 1


def test_many_threads_tokenise_side_by_side(tiny_policy: Path) -> None:
    model = language_model(str(tiny_policy), None, "float32")
    chats: list[Turns] = [[{"role": "user", "content": "why " * (1 + index % 7)}] for index in range(200)]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda chat: model.encode(chat, "plain"), chats))
    assert together == [model.encode(chat, "plain") for chat in chats]


def test_a_chat_is_laid_out_the_same_with_and_without_a_tokenizer(tiny_policy: Path) -> None:
    model = language_model(str(tiny_policy), None, "float32")
    text = laid_out(CHAT, PLAIN_TEMPLATE)
    assert text == "System: You are Ann.\nUser: Do you drive?\nAssistant:"
    assert model.tokenizer.decode(model.encode(CHAT, "plain")) == text


def test_a_template_without_a_system_role_is_laid_out_without_one() -> None:
    template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('none') }}{% endif %}{{ messages[0]['content'] }}"
    )
    assert laid_out(CHAT, template) == "You are Ann.\n\nDo you drive?"


def test_a_template_that_takes_no_chat_at_all_is_an_error() -> None:
    with pytest.raises(Exception, match="no chat"):
        laid_out(CHAT[1:], "{{ raise_exception('no chat') }}")


def test_a_directory_of_several_gguf_files_is_refused(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ValueError, match="2 GGUF files instead of one"):
        language_model(str(tmp_path), None, "float32")


def test_a_directory_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises((OSError, ValueError), match=str(tmp_path)):
        language_model(str(tmp_path), None, "float32")
