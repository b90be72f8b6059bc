"""A policy so small that a test can let it talk."""

import shutil
from pathlib import Path

import pytest

CHAT = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


@pytest.fixture(scope="session")
def tiny_chatter(tiny_policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny policy with a chat template; it has learnt nothing, and writes letters at random."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("chatter") / "model"
    shutil.copytree(tiny_policy, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    return folder
