from pathlib import Path

import pytest

from reward_server import catalog
from reward_server.rewards.length import Length


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rewards.toml"
    path.write_text(text)
    return path


NEED_A_MODEL = {"critic", "reward_model", "logprob_preference", "participant", "information_gain"}
"""Kinds that only the operator can configure: which model, which files."""


def test_every_kind_is_a_file_and_is_served_by_default_if_it_needs_no_model_of_the_operators() -> None:
    kinds = {one.kind.kind() for one in catalog.load().served.values()}
    assert kinds == catalog.kinds().keys() - NEED_A_MODEL


def test_a_named_reward_has_its_own_settings_and_version(tmp_path: Path) -> None:
    served = catalog.load(write(tmp_path, '[short]\nkind = "length"\nhigh = 40\n[long]\nkind = "length"\n')).rewards
    assert served["short"].kind == Length(high=40)
    assert served["short"].version != served["long"].version


def test_the_version_of_a_semantic_reward_changes_with_its_encoder(tmp_path: Path) -> None:
    one = catalog.load(write(tmp_path, '[s]\nkind = "similarity"\n')).rewards["s"].version
    text = '[s]\nkind = "similarity"\n[e]\nkind = "embeddings"\nmax_tokens = 64\n'
    assert catalog.load(write(tmp_path, text)).rewards["s"].version != one


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a", "not valid TOML"),
        ("[a]\nhigh = 3", "needs a kind"),
        ('[a]\nkind = "lenght"', "did you mean 'length'"),
        ('[a]\nkind = "length"\nhihg = 3', "did you mean 'high'"),
        ('[a]\nkind = "length"\nhigh = "x"', "high"),
        ('[a]\nkind = "length"\nruns = "gpu"', "inline"),
        ('[a]\nkind = "diversity"\nruns = "worker"', "only run inline"),
        ('[a]\nkind = "embeddings"\nruns = "inline"', "only run on a worker"),
        ('[a]\nkind = "embeddings"\n[b]\nkind = "embeddings"', "one encoder"),
        ("a = 3", "needs a kind"),
        ('[a]\nkind = "embeddings"\nmodel = "/nowhere/model"', "no model directory"),
        ('[a]\nkind = "embeddings"\nmodel = "org/model"', "hub_revision"),
        ('[a]\nkind = "embeddings"\nmodel = "package:no_such_package"', "not installed"),
    ],
)
def test_a_wrong_configuration_says_where_and_what_would_have_worked(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(catalog.ConfigError, match=message):
        catalog.load(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(catalog.ConfigError, match=r"nowhere\.toml"):
        catalog.load(tmp_path / "nowhere.toml")


def test_light_kinds_can_be_put_on_workers(tmp_path: Path) -> None:
    served = catalog.load(write(tmp_path, '[a]\nkind = "length"\nruns = "worker"\n'))
    assert [one.name for one in served.on_worker()] == ["a"]


def test_the_encoder_is_served_where_a_reward_asks_for_embeddings_and_only_there(tmp_path: Path) -> None:
    assert catalog.load(write(tmp_path, '[a]\nkind = "length"\n')).encoder is None
    served = catalog.load(write(tmp_path, '[a]\nkind = "similarity"\n'))
    assert served.encoder is not None
    assert [one.name for one in served.on_worker()] == [served.encoder.name] == ["embeddings"]
