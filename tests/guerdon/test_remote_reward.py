import asyncio
import json
import logging
import math
import pickle
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.client import Refused, RewardServerError
from guerdon.messages import Group, Item, RewardScores, Score
from guerdon.step_scores import StepScores
from guerdon.trl import NOT_ASKED, RemoteReward, TooManyFailed

Answer = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]
KNOWN = {"a": ["x", "y"], "b": ["z"]}


def described() -> dict[str, Any]:
    common = {
        "kind": "k",
        "description": "d",
        "scope": "item",
        "runs": "inline",
        "reads": [],
        "needs": [],
        "version": "1",
    }
    common |= {"settings": {}, "settings_schema": {}, "range": {}}
    return {"rewards": [common | {"name": name, "components": {c: {} for c in parts}} for name, parts in KNOWN.items()]}


def scored(request: dict[str, Any], failed: set[tuple[str, int]] = frozenset()) -> dict[str, Any]:  # type: ignore[assignment]
    """Every item is worth its completion's length; `failed` are (reward, index) without a score."""

    def score(name: str, index: int, item: dict[str, Any]) -> dict[str, Any]:
        if (name, index) in failed:
            return {"value": None, "status": "timeout", "error": "too slow"}
        size = float(len(item["completion"]))
        return {"value": size, "components": dict.fromkeys(KNOWN[name], size)}

    names = request["rewards"]
    return {
        "rewards": [
            {"reward": n, "version": "1", "scores": [score(n, i, item) for i, item in enumerate(request["items"])]}
            for n in names
        ]
    }


class Server:
    """A reward server on loopback; `answer` turns a request into (status code, body)."""

    def __init__(self) -> None:
        self.answer: Answer = lambda request: (200, scored(request))
        self.rewards: tuple[int, dict[str, Any]] = (200, described())
        self.requests: list[dict[str, Any]] = []
        self.url = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept, as a real server keeps them

        def do_GET(self) -> None:
            self.reply(*state.rewards)

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            state.requests.append(request)
            self.reply(*state.answer(request))

        def reply(self, code: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    http.block_on_close = False  # kept connections are closed by the client, which outlives this
    state.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


def remote(server: Server, rewards: dict[str, float] | str = "a", **settings: Any) -> RemoteReward:
    return RemoteReward(rewards, url=server.url, **{"num_generations": 2, "deadline_s": 2.0, **settings})


def called(reward: RemoteReward, completions: list[str], **columns: Any) -> list[float | None]:
    prompts = [f"p{index // 2}" for index in range(len(completions))]
    return asyncio.run(reward(prompts=prompts, completions=completions, completion_ids=[[1]] * len(prompts), **columns))


def groups(requests: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    return [
        (i["group"]["id"], i["group"]["size"], i["group"]["slot"]) for request in requests for i in request["items"]
    ]


@pytest.mark.parametrize("ranks", [2, 3, 4, 6])
def test_groups_and_slots_of_several_ranks_are_those_of_a_single_one(
    server: Server, monkeypatch: pytest.MonkeyPatch, ranks: int
) -> None:
    completions = [str(index) for index in range(12)]
    single = remote(server, num_generations=4, attempt="t")
    called(single, completions)
    called(single, completions)
    expected = groups(server.requests)

    server.requests.clear()
    share = len(completions) // ranks
    monkeypatch.setenv("WORLD_SIZE", str(ranks))
    shards = [remote(server, num_generations=4, attempt="t") for _ in range(ranks)]
    for _ in range(2):
        for rank, shard in enumerate(shards):
            monkeypatch.setenv("RANK", str(rank))
            called(shard, completions[rank * share : (rank + 1) * share])
    assert groups(server.requests) == expected


def test_several_ranks_must_be_given_one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="attempt="):
        RemoteReward("a", num_generations=2)


def test_every_call_and_every_phase_opens_new_groups(server: Server) -> None:
    reward = remote(server, num_generations_eval=4)
    called(reward, ["1", "2"])
    called(reward, ["1", "2"])
    reward.phase = "eval"
    called(reward, ["1", "2", "3", "4"])
    assert len({group for group, _, _ in groups(server.requests)}) == 3
    assert groups(server.requests)[-1][1:] == (4, 3)


def test_values_are_the_weighted_sum_in_order_and_all_rewards_go_out_in_one_request(server: Server) -> None:
    values = called(remote(server, {"a": 1.0, "b": -0.5}), ["1", "22", "333"])
    assert values == [0.5, 1.0, 1.5]
    assert [request["rewards"] for request in server.requests] == [["a", "b"]]


def test_a_completion_is_none_as_soon_as_one_term_is_null(server: Server) -> None:
    server.answer = lambda request: (200, scored(request, {("b", 1)}))
    assert called(remote(server, {"a": 1.0, "b": 1.0}), ["1", "22", "333"]) == [2.0, None, 6.0]


def test_dataset_columns_travel_as_context_and_reference(server: Server) -> None:
    called(
        remote(server), ["1", "2"], reference=[0.5, None], sql=["s", "t"], trainer_state=object(), environments=[1, 2]
    )
    first, second = server.requests[0]["items"]
    assert first["reference"] == 0.5
    assert "reference" not in second
    assert [first["context"], second["context"]] == [{"sql": "s"}, {"sql": "t"}]


def test_chat_messages_are_sent_as_they_are(server: Server) -> None:
    server.answer = lambda request: (200, scored({**request, "items": [{"completion": "1"}] * 2}))
    chat = [[{"role": "user", "content": "q"}]] * 2
    said = [[{"role": "assistant", "content": "a"}]] * 2
    reward = remote(server)
    asyncio.run(reward(prompts=chat, completions=said))
    assert server.requests[0]["items"][0]["completion"] == said[0]


def test_too_many_failures_end_the_run_naming_reward_status_and_reason(server: Server) -> None:
    server.answer = lambda request: (200, scored(request, {("b", 0), ("b", 1), ("a", 2)}))
    with pytest.raises(TooManyFailed) as ended:
        called(remote(server, {"a": 1.0, "b": 1.0}, max_failed_share=0.5), ["1", "2", "3", "4"])
    assert str(ended.value) == (
        "3 of 4 completions have no reward; commonest: b timeout: too slow (max_failed_share is 0.5)"
    )


def test_as_many_failures_as_allowed_are_left_out_with_a_warning_without_their_text(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer = lambda request: (200, scored(request, {("a", 0), ("a", 1)}))
    with caplog.at_level(logging.WARNING, "guerdon"):
        values = called(remote(server, max_failed_share=0.5), ["private", "words", "3", "4"])
    assert values == [None, None, 1.0, 1.0]
    assert "2 of 4 completions have no reward" in caplog.text
    assert "private" not in caplog.text


@pytest.mark.parametrize("failed", [set(), {("a", 0)}, {(name, i) for name in "ab" for i in range(2)}])
def test_metric_keys_are_the_same_whatever_fails(server: Server, failed: set[tuple[str, int]]) -> None:
    server.answer = lambda request: (200, scored(request, failed))
    metrics: dict[str, float] = {}
    called(remote(server, {"a": 1.0, "b": 1.0}), ["1", "2"], log_metric=metrics.__setitem__, log_extra=lambda *_: None)
    assert set(metrics) == {"guerdon/failed_share", "guerdon/reward_seconds", "a/x", "a/y", "b/z"}
    assert metrics["guerdon/failed_share"] == len({index for _, index in failed}) / 2
    assert math.isnan(metrics["b/z"]) == (len(failed) == 4)  # nothing scored is not a number, never 0


def test_a_server_that_is_gone_costs_the_step_its_scores_and_not_the_run(server: Server) -> None:
    reward = RemoteReward("a", num_generations=2, url="http://127.0.0.1:9", deadline_s=0.3)
    steps: list[StepScores] = []
    reward.on_scores = steps.append
    assert called(reward, ["1", "2"]) == [None, None]
    assert steps[0].statuses == ["a: timeout"] * 2


@pytest.mark.parametrize("code", [429, 503])
def test_a_server_that_cannot_describe_its_rewards_now_still_scores(server: Server, code: int) -> None:
    server.rewards = (code, {"error": "busy"})
    reward = remote(server)
    assert called(reward, ["1", "22"]) == [1.0, 2.0]
    server.rewards = (200, described())
    metrics: dict[str, float] = {}
    called(reward, ["1", "22"], log_metric=metrics.__setitem__)
    assert "a/x" in metrics  # it was asked again


def test_a_page_of_a_proxy_instead_of_the_list_costs_no_score(server: Server) -> None:
    server.rewards = 200, {"page": "try again"}
    assert called(RemoteReward({"a": 1.0}, url=server.url, num_generations=2), ["1", "22"]) == [1.0, 2.0]


def test_a_request_that_is_wrong_as_a_whole_ends_the_run(server: Server) -> None:
    server.answer = lambda request: (422, {"error": "unknown rewards ['a']"})
    with pytest.raises(Refused, match="unknown rewards"):
        called(remote(server), ["1", "2"])


def test_weights_stay_with_their_rewards_when_the_answer_comes_in_another_order(server: Server) -> None:
    def turned(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        body = scored(request, {("b", 0)})
        return 200, {"rewards": body["rewards"][::-1]}

    server.answer = turned
    assert called(remote(server, {"a": 10.0, "b": 1.0}), ["1", "2"]) == [None, 11.0]


@pytest.mark.parametrize("cut", [lambda scores: scores[:-1], lambda scores: [*scores, scores[0]]])
def test_an_answer_of_another_length_is_refused(server: Server, cut: Callable[[list[Any]], list[Any]]) -> None:
    def wrong(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        body = scored(request)
        body["rewards"][0]["scores"] = cut(body["rewards"][0]["scores"])
        return 200, body

    server.answer = wrong
    with pytest.raises(RewardServerError, match=r"asked for \['a'\] of 2 items"):
        called(remote(server), ["1", "2"])


def test_a_reward_that_has_been_called_can_be_pickled_and_called_again(server: Server) -> None:
    reward = remote(server, {"a": 1.0, "b": 2.0})
    called(reward, ["1", "2"])
    copy = pickle.loads(pickle.dumps(reward))
    assert copy.__name__ == "a+b"
    assert called(copy, ["1", "2"]) == [3.0, 3.0]
    assert groups(server.requests)[-1][0].endswith("/train/1/0")


def test_connections_are_kept_within_a_loop_and_never_used_in_another(server: Server) -> None:
    reward = remote(server)

    async def twice() -> bool:
        await reward(prompts=["p", "p"], completions=["1", "2"])
        first = reward._client
        await reward(prompts=["p", "p"], completions=["1", "2"])
        return first is reward._client

    assert asyncio.run(twice())
    assert called(reward, ["1", "2"]) == [1.0, 1.0]


def test_trl_awaits_it_and_names_it_after_its_rewards() -> None:
    utils = pytest.importorskip("trl.trainer.utils")
    reward = RemoteReward({"a": 1.0, "b": 1.0}, num_generations=2)
    assert utils.is_async_callable(reward)
    assert utils.get_callable_name(reward) == "a+b"


@given(st.lists(st.lists(st.none() | st.integers(-99, 99), min_size=3, max_size=3), min_size=1, max_size=4))
def test_a_value_is_null_exactly_where_a_term_is_and_else_the_sum_of_its_terms(values: list[list[int | None]]) -> None:
    """values_n = Σ_k w_k v_kn, null as soon as one v_kn is."""
    weights = {f"r{index}": 0.5 * index for index in range(len(values))}
    served = [
        RewardScores(
            reward=name,
            version="1",
            scores=[Score.failed("timeout", "late") if v is None else Score(value=v) for v in column],
        )
        for name, column in zip(weights, values, strict=True)
    ]
    items = [Item(completion="c", group=Group(id="g", size=3, slot=slot)) for slot in range(3)]
    step = StepScores(weights, items, served, 0.1)
    for index in range(3):
        column = [row[index] for row in values]
        if any(value is None for value in column):
            assert step.values[index] is None
            assert step.statuses[index].endswith(": timeout")
        else:
            assert step.values[index] == sum(w * (v or 0) for w, v in zip(weights.values(), column, strict=True))
            assert step.statuses[index] == "ok"


def test_failures_are_counted_for_each_reward_against_those_it_was_asked_for() -> None:
    """One reward is asked for one of four completions and has failed at all that it was asked for."""
    lost, good, unasked = Score.failed("cancelled", "gone"), Score(value=1.0), NOT_ASKED
    columns = {"dear": [unasked, lost, unasked, unasked], "cheap": [good] * 4}
    served = [RewardScores(reward=name, version="1", scores=scores) for name, scores in columns.items()]
    items = [Item(completion="c") for _ in range(4)]
    step = StepScores(dict.fromkeys(columns, 1.0), items, served, 0.1, {"dear": [False, True, False, False]})
    assert step.missing == (1, 1)
    assert step.commonest_failure() == ("dear", "cancelled", "gone")
    both = StepScores({"cheap": 1.0}, items, [RewardScores(reward="cheap", version="1", scores=[lost] * 4)], 0.1)
    assert both.missing == (4, 4)
