import json
from pathlib import Path
from typing import Any

import pytest

from long_work import claim, model_digest
from long_work.command_error import CommandError

OWN: dict[str, Any] = {"model": "sha256:1", "temperature": 1.0, "reward": {"version": "a"}}


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "replies.jsonl"
    claim.stake(path, OWN)
    path.write_text("{}\n")
    return path


def test_records_of_the_same_making_are_gone_on_with(records: Path) -> None:
    claim.stake(records, OWN)
    assert json.loads(claim.beside(records).read_text()) == OWN


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"temperature": 0.5}, r"temperature was 1\.0 and is 0\.5\. Choose another --out"),
        ({"reward": {"version": "b"}}, r'reward\.version was "a" and is "b"'),
        ({"seed": 1}, "seed was null and is 1"),
    ],
)
def test_records_of_another_making_are_refused_with_what_differs(records: Path, other: Any, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        claim.stake(records, OWN | other)
    claim.stake(records, OWN)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_records_whose_claim_is_gone_or_torn_are_refused(records: Path, content: str | None) -> None:
    claim.beside(records).unlink()
    if content is not None:
        claim.beside(records).write_text(content)
    with pytest.raises(CommandError, match=r"nobody knows what .*replies\.jsonl was made of"):
        claim.stake(records, OWN)


def test_where_there_are_no_records_a_claim_binds_nobody(records: Path) -> None:
    records.write_text("")
    claim.stake(records, OWN | {"seed": 1})
    records.unlink()
    claim.stake(records, OWN)


def test_a_model_is_named_by_every_byte_of_its_weights_and_not_by_its_card(tmp_path: Path) -> None:
    weights = bytearray(9 << 20)
    (tmp_path / "model.safetensors").write_bytes(weights)
    first = model_digest.of(str(tmp_path))
    (tmp_path / "small_model.json").write_text('{"seconds": 3}')
    assert model_digest.of(str(tmp_path)) == first
    weights[-(1 << 18)] = 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    assert model_digest.of(str(tmp_path)) != first


def test_an_adapter_is_named_with_the_model_it_sits_on(tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    for folder in (base, adapter):
        folder.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    first = model_digest.of(str(adapter))
    (base / "model.safetensors").write_bytes(b"others")
    assert model_digest.of(str(adapter)) != first


def test_a_model_of_a_hub_is_named_by_its_id_and_revision() -> None:
    assert model_digest.of("some/model", "abc") == "some/model@abc"
    assert model_digest.of("some/model") == "some/model@main"
