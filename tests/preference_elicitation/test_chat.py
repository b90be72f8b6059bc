import io
from typing import Any

import pytest

from preference_elicitation.chat import main


def talk(chatter: Any, lines: str, monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    return main([chatter.url, *more])


def test_a_chat_remembers_what_was_said(
    chatter: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert talk(chatter, "Hello\nAnd then?\n", monkeypatch, "--system", "Be brief.") == 0
    assert [turn["role"] for turn in chatter.chats[1]] == ["system", "user", "assistant", "user"]
    assert capsys.readouterr().out.splitlines() == ["On sunshine.", "On sunshine.", ""]


def test_what_is_taken_back_or_forgotten_is_not_sent_again(chatter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    talk(chatter, "one\ntwo\n/back\nthree\n/again\n/new\nfour\n/bye\nfive\n", monkeypatch)
    sent = [[turn["content"] for turn in chat if turn["role"] == "user"] for chat in chatter.chats]
    assert sent == [["one"], ["one", "two"], ["one", "three"], ["one", "three"], ["four"]]


def test_a_model_that_is_not_there_is_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/no/such/model"]) == 2
    assert "/no/such/model" in capsys.readouterr().err
