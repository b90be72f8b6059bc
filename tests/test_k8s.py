"""The manifests as kustomize renders them: what a cluster would be asked for, and whether our servers could start."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from grpo_trainer.config import run_file
from http_face.drain import FINISH_S
from judge_server import judges
from judge_server.settings import Settings as JudgeSettings
from long_work import exit_status
from reward_server import catalog
from reward_server.settings import Settings

ROOT = Path(__file__).parents[1]
PLACES = ["base", "overlays/gpu"]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
NAME = "app.kubernetes.io/name"
CLAIMS = "volumeClaimTemplates"

Manifest = dict[str, Any]


def rendered(place: str) -> list[Manifest]:
    kubectl = Path(sys.executable).parent / "kubectl"
    done = subprocess.run([kubectl, "kustomize", ROOT / "k8s" / place], check=True, capture_output=True, text=True)
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="module", params=PLACES)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return rendered(request.param)


@pytest.fixture(scope="module")
def base() -> list[Manifest]:
    return rendered("base")


def of_kind(manifests: list[Manifest], *kinds: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] in kinds}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pod template of each workload, by the workload's name."""
    workloads = of_kind(manifests, "Deployment", "StatefulSet", "Job")
    return {name: one["spec"]["template"] for name, one in workloads.items()}


def container(manifests: list[Manifest], name: str) -> Manifest:
    [only] = pods(manifests)[name]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def environment(one: Manifest) -> dict[str, str]:
    """A container's variables, with `something` for what comes from a Secret, as the kubelet expands them."""
    values: dict[str, str] = {}
    for variable in one["env"]:
        text = variable.get("value", "something")
        values[variable["name"]] = re.sub(r"\$\((\w+)\)", lambda found: values[found[1]], text)
    return values


def test_the_workloads_are_the_containers_of_the_design(manifests: list[Manifest]) -> None:
    assert pods(manifests).keys() == {"redis", "reward-api", "reward-worker", "judge", "trainer"}
    assert {one["metadata"].get("namespace") for one in manifests} == {"guerdon", None}
    assert [one["kind"] for one in manifests if "namespace" not in one["metadata"]] == ["Namespace"]


def test_a_pod_can_do_no_more_than_it_must(manifests: list[Manifest]) -> None:
    for template in pods(manifests).values():
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"].items() >= {"runAsNonRoot": True}.items()
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        [only] = pod["containers"]
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_a_container_says_what_it_needs_and_may_not_take_a_node_down(manifests: list[Manifest]) -> None:
    for name in pods(manifests):
        resources = container(manifests, name)["resources"]
        assert resources["requests"].keys() >= {"cpu", "memory"}
        assert "memory" in resources["limits"]


def test_what_serves_is_probed_and_liveness_asks_the_process_alone(manifests: list[Manifest]) -> None:
    for name in ("reward-api", "judge"):
        one = container(manifests, name)
        assert one["livenessProbe"]["httpGet"]["path"] == one["startupProbe"]["httpGet"]["path"] == "/healthz"
        assert one["readinessProbe"]["httpGet"]["path"] == "/readyz"
    worker = container(manifests, "reward-worker")
    assert worker["startupProbe"]["exec"] == worker["livenessProbe"]["exec"]
    assert environment(worker)["GUERDON_REWARD_HEARTBEAT_FILE"] in worker["livenessProbe"]["exec"]["command"][-1]
    assert "exec" in container(manifests, "redis")["readinessProbe"]


def test_images_have_fixed_tags_and_ours_the_version(manifests: list[Manifest]) -> None:
    images = {name: container(manifests, name)["image"] for name in pods(manifests)}
    assert images.pop("redis") == COMPOSE["redis"]["image"]
    assert images == {
        "reward-api": f"guerdon-reward:{VERSION}",
        "reward-worker": f"guerdon-reward:{VERSION}",
        "judge": f"guerdon-judge:{VERSION}",
        "trainer": f"guerdon-trainer:{VERSION}",
    }


def test_secrets_are_asked_for_and_never_contained(manifests: list[Manifest]) -> None:
    readme = (ROOT / "k8s/README.md").read_text()
    assert not of_kind(manifests, "Secret")
    asked = {(key["name"], key["key"]) for name in pods(manifests) for key in secret_keys(container(manifests, name))}
    assert asked > {("guerdon", "redis-password"), ("guerdon", "reward-token"), ("guerdon", "judge-token")}
    assert all(f"secret generic {name}" in readme and f"{key}=" in readme for name, key in asked)


def secret_keys(one: Manifest) -> Iterator[Manifest]:
    return (variable["valueFrom"]["secretKeyRef"] for variable in one["env"] if "valueFrom" in variable)


def test_a_service_finds_the_pods_of_its_name_at_a_port_they_have(manifests: list[Manifest]) -> None:
    services = of_kind(manifests, "Service")
    assert services.keys() == {"redis", "reward-api", "judge"}
    for name, service in services.items():
        assert service["spec"]["selector"] == {NAME: name}
        assert pods(manifests)[name]["metadata"]["labels"][NAME] == name
        ports = {port["name"] for port in container(manifests, name)["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_selectors_match_their_own_pods(manifests: list[Manifest]) -> None:
    for one in of_kind(manifests, "Deployment", "StatefulSet").values():
        labels = one["spec"]["template"]["metadata"]["labels"]
        assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_redis_is_reached_by_the_server_and_its_workers_alone(manifests: list[Manifest]) -> None:
    policies = of_kind(manifests, "NetworkPolicy")
    assert policies["nobody"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    [rule] = policies["redis"]["spec"]["ingress"]
    [who] = rule["from"]
    [expression] = who["podSelector"]["matchExpressions"]
    assert expression["values"] == ["reward-api", "reward-worker"]
    using = {name for name in pods(manifests) if "GUERDON_REDIS_URL" in environment(container(manifests, name))}
    assert using == set(expression["values"])


def test_what_is_mounted_is_there(manifests: list[Manifest]) -> None:
    claims = {claim["metadata"]["name"] for claim in of_kind(manifests, "StatefulSet")["redis"]["spec"][CLAIMS]}
    for name, template in pods(manifests).items():
        volumes = {one["name"]: one for one in template["spec"]["volumes"]}
        mounted = {mount["name"] for mount in container(manifests, name)["volumeMounts"]}
        assert mounted == volumes.keys() | (claims if name == "redis" else set())
        maps = {one["configMap"]["name"] for one in volumes.values() if "configMap" in one}
        assert maps <= of_kind(manifests, "ConfigMap").keys()
        kept = {one["persistentVolumeClaim"]["claimName"] for one in volumes.values() if "persistentVolumeClaim" in one}
        assert kept <= of_kind(manifests, "PersistentVolumeClaim").keys()


@pytest.mark.parametrize(
    ("name", "settings"),
    [("reward-api", Settings), ("reward-worker", Settings), ("judge", JudgeSettings)],
)
def test_a_server_starts_with_the_settings_it_is_given(
    name: str, settings: type[BaseSettings], base: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in [key for key in os.environ if key.startswith("GUERDON_")]:
        monkeypatch.delenv(key)
    given = environment(container(base, name))
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    prefix = str(settings.model_config["env_prefix"])
    ours = {key.removeprefix(prefix).lower() for key in given if key.startswith(prefix)}
    assert ours
    assert ours <= settings.model_fields.keys()
    started = settings()
    if isinstance(started, Settings):
        assert started.redis_url.get_secret_value() == "redis://:something@redis:6379/0"
    if name != "reward-worker":
        assert isinstance(started, Settings | JudgeSettings)
        started.refuse_to_be_open()


@pytest.mark.parametrize("name", ["reward-api", "reward-worker", "judge", "trainer"])
def test_what_the_compose_file_sets_is_set_here_too(name: str, base: list[Manifest]) -> None:
    wanted = {key for key in COMPOSE[name].get("environment", {}) if not key.endswith("REDIS_URL")}
    assert wanted <= environment(container(base, name)).keys()


def test_a_pod_has_time_to_stop(manifests: list[Manifest]) -> None:
    for template in pods(manifests).values():
        assert template["spec"]["terminationGracePeriodSeconds"] >= FINISH_S
    drain_s = float(environment(container(manifests, "reward-api"))["GUERDON_REWARD_DRAIN_S"])
    assert pods(manifests)["reward-api"]["spec"]["terminationGracePeriodSeconds"] > drain_s + FINISH_S


def test_the_configuration_is_one_that_the_servers_take(base: list[Manifest], tmp_path: Path) -> None:
    for name, one in of_kind(base, "ConfigMap").items():
        for file, text in one["data"].items():
            assert name.startswith(file.removesuffix(".toml"))
            (tmp_path / file).write_text(text)
    served = catalog.load(tmp_path / "rewards.toml").rewards
    assert judges.load(tmp_path / "judges.toml")
    run = container(base, "trainer")["args"][0]
    assert run_file.read(run).config().weights.keys() <= served.keys()


def test_a_replica_that_has_a_file_to_itself_is_never_two(base: list[Manifest]) -> None:
    judge = of_kind(base, "Deployment")["judge"]["spec"]
    assert (judge["replicas"], judge["strategy"]) == (1, {"type": "Recreate"})


def test_a_run_that_no_other_pod_could_bring_further_is_not_tried_again(manifests: list[Manifest]) -> None:
    job = of_kind(manifests, "Job")["trainer"]["spec"]
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # else Kubernetes refuses the rules
    [drained, refused] = job["podFailurePolicy"]["rules"]
    assert drained["action"] == "Ignore"
    assert (refused["action"], refused["onExitCodes"]["values"]) == (
        "FailJob",
        [exit_status.CANNOT_BE_DONE, exit_status.DIAGNOSED],
    )
    assert refused["onExitCodes"]["containerName"] == container(manifests, "trainer")["name"]


def test_gpus_go_to_the_worker_and_the_trainer() -> None:
    manifests = rendered("overlays/gpu")
    for name in pods(manifests):
        resources = container(manifests, name)["resources"]
        gpus = [resources[kind].get("nvidia.com/gpu", 0) for kind in ("requests", "limits")]
        assert gpus == ([1, 1] if name in {"reward-worker", "trainer"} else [0, 0])


@pytest.mark.parametrize(
    ("there", "resumes", "put_aside"),
    [([], False, False), (["checkpoints/checkpoint-5"], True, False), (["rollouts"], False, True)],
    ids=["nothing", "a checkpoint", "a run without a checkpoint"],
)
def test_the_job_goes_on_where_the_run_was(
    there: list[str], resumes: bool, put_aside: bool, base: list[Manifest], tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    for name, does in (("guerdon", 'echo "$@"'), ("python", "true")):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    run = tmp_path / "runs" / "sql_cot"
    for folder in there:
        (run / folder).mkdir(parents=True)
    (tmp_path / "runs").mkdir(exist_ok=True)
    one = container(base, "trainer")
    given = environment(one) | {"OUT": str(run), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run([*one["command"], *one["args"]], env=given, capture_output=True, text=True, check=True)
    resume = ["--resume"] if resumes else []
    expected = ["train", "sql_cot", *resume, "--out", str(run), "--reward-url", "http://reward-api:8000"]
    assert done.stdout.split() == expected
    assert bool(list((tmp_path / "runs").glob("sql_cot.*"))) is put_aside


def test_a_pod_that_waits_for_its_reward_server_ends_when_it_is_told_to(base: list[Manifest], tmp_path: Path) -> None:
    """As PID 1 a shell hears no signal that it has no trap for; elsewhere it would die of it, and have no status."""
    for name, does in (("python", "exit 1"), ("sleep", "exit 0"), ("guerdon", "exit 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    one = container(base, "trainer")
    given = environment(one) | {"OUT": str(tmp_path / "run"), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with subprocess.Popen([*one["command"], *one["args"]], env=given, stdout=subprocess.PIPE, text=True) as pod:
        assert pod.stdout is not None
        assert pod.stdout.readline() == "waiting for http://reward-api:8000\n"
        pod.terminate()
        pod.communicate()
    assert pod.returncode == 143
