"""The judge server's HTTP face: a real process that asks a real server on loopback."""

import json
import threading
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.judge_server.judge_process import JudgeProcess, running
from tests.judge_server.loopback import Behaviour, Body, Loopback, error, serving

import guerdon
from guerdon.judge_messages import BudgetList, CompareResponse, GradeResponse, JudgeList, JudgeReadiness

JUDGES = """
[lab]
kind = "openai_compatible"
base_url = "{url}"
model = "lab-1"
prices = {{ prompt = 1.0, completion = 2.0 }}
attempts = 1
budget = {{ cost = 1000.0 }}
warning = "answers what a test says"

[keyed]
kind = "openai"
model = "gpt-4.1-mini"
key_env = "A_KEY_THAT_IS_NOT_SET"
"""
VERDICT = '{"explanation": "A is right.", "score_a": 9, "score_b": 2, "winner": "A"}'
TOKEN = "sesame-open-now"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, lab: Loopback) -> Iterator[JudgeProcess]:
    env = {"GUERDON_JUDGE_TOKEN": TOKEN, "GUERDON_JUDGE_MAX_CALLS": "4", "GUERDON_JUDGE_MAX_BODY_BYTES": "100000"}
    with running(tmp_path_factory.mktemp("judge"), JUDGES.format(url=lab.url), **env) as process:
        process.http.headers["authorization"] = f"Bearer {TOKEN}"
        yield process


@pytest.fixture(scope="module")
def lab() -> Iterator[Loopback]:
    with serving() as loopback:
        yield loopback


@pytest.fixture
def http(server: JudgeProcess, lab: Loopback) -> httpx.Client:
    lab.behave = lambda _body, _number: Behaviour(text=VERDICT)
    return server.http


def compared(http: httpx.Client, *answers: tuple[str, str], **options: Any) -> CompareResponse:
    comparisons = [{"prompt": "Which?", "answer_a": a, "answer_b": b} for a, b in answers]
    response = http.post("/v1/compare", json={"comparisons": comparisons, "judge": "lab", **options})
    assert response.status_code == 200, response.text
    return CompareResponse.model_validate(response.json())


def test_as_many_verdicts_come_back_as_comparisons_went_in(http: httpx.Client) -> None:
    answer = compared(http, ("one", "two"), ("same", "same"), ("three", ""), orders="ab")
    assert [verdict.winner for verdict in answer.verdicts] == ["a", "tie", "a"]
    assert [verdict.mode for verdict in answer.verdicts] == ["verdict", "identical", "empty"]
    assert (answer.judge, answer.model) == ("lab", "lab-1")


def test_usage_is_the_sum_of_what_was_sent(http: httpx.Client) -> None:
    usage = compared(http, ("first", "second")).usage
    assert (usage.calls, usage.cached, usage.prompt_tokens, usage.completion_tokens) == (2, 0, 100, 20)
    assert usage.cost == pytest.approx((100 * 1 + 20 * 2) / 1e6)


def test_what_the_ledger_knows_is_not_asked_again(http: httpx.Client, lab: Loopback) -> None:
    first = compared(http, ("asked", "once"))
    before = len(lab.requests)
    again = compared(http, ("asked", "once"))
    assert len(lab.requests) == before
    assert (again.usage.calls, again.usage.cached, again.usage.cost) == (0, 2, 0.0)
    assert again.verdicts[0].winner == first.verdicts[0].winner


def test_answers_are_graded(http: httpx.Client, lab: Loopback) -> None:
    lab.behave = lambda _body, _number: Behaviour(text='{"explanation": "Good.", "quality": 8}')
    response = http.post("/v1/grade", json={"answers": [{"prompt": "p", "answer": "x"}, {"prompt": "p", "answer": ""}]})
    grades = GradeResponse.model_validate(response.json()).grades
    assert [(grade.score, grade.mode) for grade in grades] == [(8.0, "verdict"), (0.0, "empty")]


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [
        (Behaviour(status=500, body=error("down")), "judge_transport"),
        (Behaviour(text="no verdict here"), "judge_unparseable"),
        (Behaviour(text=VERDICT.replace("9", "90")), "judge_out_of_range"),
        (Behaviour(hang=True), "judge_timeout"),
    ],
)
def test_a_failed_call_is_null_with_its_own_status_never_a_tie(
    http: httpx.Client, lab: Loopback, behaviour: Behaviour, status: str
) -> None:
    lab.behave = lambda _body, _number: behaviour
    [verdict] = compared(http, (status, "other"), deadline_s=1).verdicts
    assert (verdict.winner, verdict.status) == (None, status)
    assert verdict.error


def test_a_comparison_fails_alone(http: httpx.Client, lab: Loopback) -> None:
    def behave(body: Body, _number: int) -> Behaviour:
        return Behaviour(text="mumble" if "unlucky" in json.dumps(body) else VERDICT)

    lab.behave = behave
    answer = compared(http, ("unlucky", "x"), ("lucky", "y"), orders="ab")
    assert [verdict.status for verdict in answer.verdicts] == ["judge_unparseable", "ok"]


def test_an_unknown_judge_is_refused_with_those_that_are_known(http: httpx.Client) -> None:
    response = http.post("/v1/compare", json=body_for("oracle"))
    assert response.status_code == 422
    assert "lab, keyed" in response.json()["error"]
    assert response.json()["fields"][0]["field"] == "judge"


def test_a_judge_without_its_key_is_refused_with_variable_and_file(http: httpx.Client, server: JudgeProcess) -> None:
    said = http.post("/v1/compare", json=body_for("keyed")).json()["error"]
    assert "A_KEY_THAT_IS_NOT_SET" in said
    assert str(server.log.with_name("judges.toml")) in said


def body_for(judge: str) -> Body:
    return {"comparisons": [{"prompt": "p", "answer_a": "a", "answer_b": "b"}], "judge": judge}


def test_judges_are_listed_with_what_is_wrong_and_what_to_believe(http: httpx.Client) -> None:
    lab, keyed = JudgeList.model_validate(http.get("/v1/judges").json()).judges
    assert (lab.default, lab.available, lab.warning) == (True, True, "answers what a test says")
    assert (keyed.default, keyed.available) == (False, False)
    assert "A_KEY_THAT_IS_NOT_SET" in (keyed.problem or "")


def test_budgets_are_told_of_all_runs_and_of_one(http: httpx.Client) -> None:
    compared(http, ("spent", "money"), run="the-run")
    [of_run, _] = BudgetList.model_validate(http.get("/v1/budget", params={"run": "the-run"}).json()).budgets
    [of_all, _] = BudgetList.model_validate(http.get("/v1/budget").json()).budgets
    assert (of_run.run, of_run.spent_tokens) == ("the-run", 120)
    assert of_all.limit_cost == 1000
    assert of_all.left_cost == pytest.approx(1000 - of_all.spent_cost - of_all.presumed_cost - of_all.reserved_cost)
    assert of_all.spent_tokens >= 120


def test_metrics_count_calls_by_judge_and_status_and_show_what_is_left(http: httpx.Client) -> None:
    before = samples(http)
    compared(http, ("to be", "counted"))
    after = samples(http)
    ok = ("guerdon_judge_calls_total", ("lab", "ok"))
    assert after[ok] - before.get(ok, 0) == 2
    assert 0 < after["guerdon_judge_budget_left", ("USD", "lab")] < 1000
    assert after["guerdon_judge_owed_calls", ()] == 0
    assert {labels[0] for name, labels in after if name == "guerdon_judge_calls_total"} == {"lab"}


def samples(http: httpx.Client) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(http.get("/metrics").text)
    every = [sample for family in families for sample in family.samples]
    return {(one.name, tuple(value for _, value in sorted(one.labels.items()))): one.value for one in every}


def test_without_the_token_nothing_is_told(http: httpx.Client) -> None:
    for path in ("/v1/judges", "/v1/budget"):
        assert http.get(path, headers={"authorization": "Bearer other"}).status_code == 401
    assert http.post("/v1/compare", json=body_for("lab"), headers={"authorization": ""}).status_code == 401
    assert http.get("/healthz", headers={"authorization": ""}).status_code == 200


def test_a_body_that_is_too_large_is_refused(http: httpx.Client) -> None:
    assert http.post("/v1/compare", content=b"x" * 100_001).status_code == 413


@pytest.mark.parametrize("body", [b'{"comparisons": []}', b'{"comparisons": NaN}', b"{", b'{"comparison": []}'])
def test_a_body_that_is_wrong_is_refused_without_an_echo(http: httpx.Client, body: bytes) -> None:
    response = http.post("/v1/compare", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert response.json()["error"]


def test_more_calls_than_the_server_will_owe_are_refused_before_any_is_made(http: httpx.Client, lab: Loopback) -> None:
    let_go = threading.Event()

    def behave(_body: Body, _number: int) -> Behaviour:
        return Behaviour(text=VERDICT, latency_s=0.0 if let_go.is_set() else 2.0)

    lab.behave = behave
    lab.received.clear()
    first = threading.Thread(target=compared, args=(http, ("slow 1", "x"), ("slow 2", "y")))
    first.start()
    assert lab.received.wait(20)
    let_go.set()
    too_many = {"prompt": "p", "answer_a": "one too many", "answer_b": "b"}
    response = http.post("/v1/compare", json={"comparisons": [too_many]})
    first.join()
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    assert not [body for body in lab.requests if "one too many" in json.dumps(body)]


def test_a_request_larger_than_the_limit_is_admitted_when_nothing_is_owed(http: httpx.Client) -> None:
    answer = compared(http, *((f"large {number}", "x") for number in range(5)))
    assert [verdict.status for verdict in answer.verdicts] == ["ok"] * 5


def test_what_a_client_leaves_behind_that_hangs_up_is_counted_until_it_ends(http: httpx.Client, lab: Loopback) -> None:
    let_go = threading.Event()

    def behave(_body: Body, _number: int) -> Behaviour:
        assert let_go.wait(30)
        return Behaviour(text=VERDICT)

    lab.behave = behave
    with pytest.raises(httpx.ReadTimeout):
        http.post("/v1/compare", json=body_for("lab"), timeout=1)
    assert under_way(http, lambda calls: calls > 0)
    let_go.set()
    assert under_way(http, lambda calls: calls == 0)


def under_way(http: httpx.Client, wanted: Callable[[int], bool]) -> bool:
    """Look at the server's calls until there are as many as wanted."""
    looks = (JudgeReadiness.model_validate(http.get("/readyz").json()).calls for _ in range(5000))
    return any(wanted(calls) for calls in looks)


@pytest.mark.parametrize("run", ["a\x00b", "line\nend", "\x7f"])
def test_a_run_with_control_characters_is_refused(http: httpx.Client, run: str) -> None:
    assert http.post("/v1/compare", json=body_for("lab") | {"run": run}).status_code == 422
    assert http.get("/v1/budget", params={"run": run}).status_code == 422


def test_an_allowance_beyond_counting_is_refused(http: httpx.Client) -> None:
    response = http.post("/v1/compare", json=body_for("lab") | {"run": "rich", "allowance": {"cost": 1e300}})
    assert response.status_code == 422


def test_what_a_server_refuses_is_told_of_its_judge(http: httpx.Client, lab: Loopback) -> None:
    def behave(body: Body, _number: int) -> Behaviour:
        refused = error("response_format is not supported", param="response_format")
        return Behaviour(status=400, body=refused) if "response_format" in body else Behaviour(text=VERDICT)

    lab.behave = behave
    assert JudgeList.model_validate(http.get("/v1/judges").json()).judges[0].structured
    compared(http, ("without", "a schema"))
    info = JudgeList.model_validate(http.get("/v1/judges").json()).judges[0]
    assert not info.structured
    assert "refuses response_format" in (info.warning or "")


def test_no_text_of_a_request_and_no_token_is_in_the_log(http: httpx.Client, server: JudgeProcess) -> None:
    compared(http, ("a secret answer", "another secret"))
    log = server.log.read_text()
    assert "route=/v1/compare" in log
    assert "judge=lab" in log
    assert not [word for word in ("secret", "A is right", TOKEN) if word in log]


def test_the_documentation_shows_the_examples_of_the_contract(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    asked = {"compare": "compare_request", "grade": "grade_request"}
    answered = {("post", "/v1/compare"): "compare_response", ("post", "/v1/grade"): "grade_response",
                ("get", "/v1/judges"): "judge_list", ("get", "/v1/budget"): "budget_list",
                ("get", "/readyz"): "judge_readiness"}  # fmt: skip
    for route, name in asked.items():
        assert paths[f"/v1/{route}"]["post"]["requestBody"]["content"]["application/json"]["example"] == example(name)
    for (method, path), name in answered.items():
        shown = paths[path][method]["responses"]["200"]["content"]["application/json"]["example"]
        assert shown == without_nulls(example(name))  # OpenAPI documents are written without them


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def example(name: str) -> Any:
    return json.loads((Path(str(files(guerdon))) / "examples" / f"{name}.json").read_text())
