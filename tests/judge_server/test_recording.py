"""What a ledger holds can be judged again without the model."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from tests.judge_server.loopback import Loopback
from tests.judge_server.one_judge import judge, opened, question

from judge_server import recording


def recorded(*arguments: str) -> str:
    command = [sys.executable, "-m", "judge_server.recording", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


async def _asked(folder: Path, loopback: Loopback) -> list[str | None]:
    async with opened(judge(loopback.url), folder) as one:
        outcomes = await one.ask_all([question("which?"), question("which?", sample=1), question("and here?")])
    return [outcome.reading for outcome in outcomes]


async def _replayed(folder: Path, file: Path) -> list[str | None]:
    async with opened(judge("unused", kind="replay", base_url=None, file=file), folder) as one:
        outcomes = await one.ask_all([question("which?"), question("which?", sample=1), question("and here?")])
    return [outcome.reading for outcome in outcomes]


def test_a_recorded_ledger_answers_as_the_model_did(tmp_path: Path, loopback: Loopback) -> None:
    said = asyncio.run(_asked(tmp_path, loopback))
    assert all(said)
    calls = loopback.answered
    file = tmp_path / "replies.jsonl"
    file.write_text(recorded(str(tmp_path / "ledger.sqlite3")))
    again = tmp_path / "again"
    again.mkdir()
    assert asyncio.run(_replayed(again, file)) == said
    assert loopback.answered == calls == 3


def test_without_a_ledger_it_says_how_it_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recording.main([str(tmp_path / "none.sqlite3")]) == 2
    assert "there is no ledger" in capsys.readouterr().err
