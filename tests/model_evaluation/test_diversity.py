"""`guerdon diversity`: arms of several seeds, metrics equal to the reward's own, quality by a server, what differs."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from guerdon.cli import main
from guerdon.messages import (
    Range,
    RewardInfo,
    RewardList,
    RewardScores,
    Score,
    ScoreRequest,
    ScoreResponse,
    Status,
    Usage,
)
from long_work.command_error import CommandError
from model_evaluation.answers.completion import Completion
from model_evaluation.answers.completions import Draws
from model_evaluation.answers.contestant import parsed
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.prompts import parsed as prompt
from model_evaluation.variety import completion_quality, findings, run_record, set_metrics, set_table
from model_evaluation.variety.arm import arms
from reward_server.rewards import Item
from reward_server.rewards.diversity import Diversity

TEXTS = ["a red car on a hill", "a red car on a hill", "two dogs sleep in the trees", "a dog and a red hill"]


VOWELS = RewardInfo(
    name="vowels",
    kind="vowels",
    description="",
    scope="item",
    runs="inline",
    reads=["completion"],
    needs=[],
    range=Range(low=0, high=1, better="lower"),
    components={},
    version="1",
    settings={},
    settings_schema={},
)


class RewardFace(BaseHTTPRequestHandler):
    """A loopback reward server: quality is the share of vowels; it counts what it is asked."""

    asked: list[int]
    fails: Status | None = None

    def do_GET(self) -> None:
        self._answer(RewardList(rewards=[VOWELS]).model_dump_json())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        request = ScoreRequest.model_validate_json(body)
        self.asked.append(len(request.items))
        scores = [
            Score(value=vowels(str(item.completion))) if self.fails is None else Score.failed(self.fails, "no")
            for item in request.items
        ]
        found = RewardScores(reward="vowels", version="1", scores=scores)
        self._answer(ScoreResponse(rewards=[found], usage=Usage(items=len(scores))).model_dump_json())

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def vowels(text: str) -> float:
    return sum(one in "aeiou" for one in text) / max(1, len(text))


@pytest.fixture
def reward_server() -> Iterator[tuple[str, list[int]]]:
    asked: list[int] = []
    face = type("Face", (RewardFace,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), face) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"Say {word}"}) + "\n" for word in ("one", "two", "three", "four")))
    return file


def asked_for(prompts: Path, out: Path, *more: str) -> list[str]:
    few = ["--num", "4", "--samples", "3", "--max-tokens", "10", "--no-embeddings"]
    return ["diversity", "--prompts", str(prompts), "--out", str(out), *few, *more]


def test_every_metric_is_the_one_that_the_reward_trains_for() -> None:
    ours = set_metrics.lexical(TEXTS, 50_000)
    theirs = Diversity().score([Item("", text) for text in TEXTS])[0].components
    shared = set(ours) & set(theirs) - {"novelty"}  # the reward's is each member's own
    assert len(shared) == 11
    assert {name: ours[name] for name in shared} == pytest.approx({name: theirs[name] for name in shared})


def test_one_completion_has_no_diversity_and_empty_ones_have_no_ngrams() -> None:
    assert set(set_metrics.lexical(["alone"], 50_000).values()) == {None}
    assert set_metrics.lexical(["", ""], 50_000)["distinct_1"] is None


def test_a_set_of_which_a_completion_failed_has_no_diversity() -> None:
    said = [Completion("p", text) for text in TEXTS]
    draws = Draws(parsed("a"), [said, [*said[1:], Completion.failed("p", "timeout", "late")]], {})
    [[whole, broken]] = set_table.measured([draws], 50_000, embed=False)
    assert whole == set_metrics.lexical(TEXTS, 50_000)
    assert broken == dict.fromkeys(set_metrics.LEXICAL)


def test_completions_that_failed_are_told_with_the_sets_that_are_not_whole() -> None:
    counted = {"completions": 12, "failed": 2, "broken_sets": 1, "unscored": 0, "cut_off": 0, "empty": 0}
    [said] = findings.warnings([{"name": "a", "seeds": {"0": {}}, "steps": [], **counted}], {"a": []})
    assert said.startswith("2 of 12 completions of a failed; sets that lack one (1)")


def test_the_proof_calls_qualities_equal_only_where_the_wider_interval_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    polychromic = import_module("polychromic")
    narrow, wide = ({"interval": {"low": -end, "high": end}} for end in (0.01, 0.03))
    risen = {"interval": {"low": 0.1, "high": 0.2}}
    claimed = {metric: {"set": {"difference": risen, "over_seeds": risen}} for metric in polychromic.CLAIMED}

    def equal(over_seeds: Any) -> bool:
        quality = {"quality.mentions": {"set": {"difference": narrow, "over_seeds": over_seeds}}}
        held = polychromic.holds({"margin": 0.02, "from_baseline": claimed | quality})
        return bool(held["quality equal within the margin"])

    assert [equal(narrow), equal({"interval": None}), equal(wide)] == [True, True, False]


def test_seeds_of_an_arm_are_counted_or_named() -> None:
    found = arms(["base=a", "base=b", "set@0=c", "set@1=d", "start=e"])
    assert {arm.name: list(arm.models) for arm in found} == {"base": ["0", "1"], "set": ["0", "1"], "start": ["0"]}


@pytest.mark.parametrize("given", [["a@1=x", "a@1=y"], ["a@1=x", "a@2=y", "b@1=x", "b@3=y"], []])
def test_arms_whose_seeds_do_not_pair_are_refused(given: list[str]) -> None:
    with pytest.raises(EvaluationError):
        arms(given)


def test_runs_differ_in_their_settings_but_not_in_seed_and_place() -> None:
    one = dict(run_record._flat({"grpo": {"seed": 0, "beta": 0.1}, "rewards": [{"name": "q", "weight": 1.0}]}))
    two = dict(
        run_record._flat(
            {
                "grpo": {"seed": 1, "beta": 0.1, "scale_rewards": "none"},
                "rewards": [{"name": "q", "weight": 1.0}, {"name": "d", "weight": 0.3, "target_share": None}],
                "output": {"dir": "elsewhere"},
            }
        )
    )
    assert set(run_record.differences(one, two)) == {"grpo.scale_rewards", "rewards.d.weight"}


def test_a_run_is_known_by_its_manifest_and_its_ledger(tmp_path: Path) -> None:
    shares = [{"signal_share": {"q": 0.5}}, {"signal_share": {"q": None}}, {}, {"signal_share": {"q": 1.0}}]
    run = trained(tmp_path, {"config": {"grpo": {"beta": 0.1}}}, shares)
    found = run_record.of(str(run))
    assert found is not None
    assert (found.fields, found.signal_share, found.steps) == ({"grpo.beta": 0.1}, {"q": 0.75}, 4)


@pytest.mark.parametrize("manifest", [[], {}, {"config": "of another program"}])
def test_a_manifest_of_another_program_is_of_no_run(manifest: Any, tmp_path: Path) -> None:
    assert run_record.of(str(trained(tmp_path, manifest, []))) is None


@pytest.mark.parametrize(("file", "said"), [("manifest.json", "is not JSON"), ("metrics.jsonl", "line 2 is not JSON")])
def test_a_damaged_record_of_a_run_is_named_and_not_taken_for_none(file: str, said: str, tmp_path: Path) -> None:
    run = trained(tmp_path, {"config": {}}, [{}])
    with (tmp_path / file).open("a") as damaged:
        damaged.write('{"torn\n')
    with pytest.raises(CommandError, match=rf"{file}.*{said}"):
        run_record.of(str(run))


def test_a_hub_id_is_not_taken_for_the_run_that_the_command_is_given_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path, {"config": {}}, [{}])
    monkeypatch.chdir(tmp_path)
    assert run_record.of("gpt2") is None
    assert run_record.of("adapter") is not None


def trained(run: Path, manifest: Any, steps: list[Any]) -> Path:
    """Write what a run leaves; return the directory of its adapter."""
    (run / "manifest.json").write_text(json.dumps(manifest))
    (run / "metrics.jsonl").write_text("".join(f"{json.dumps(step)}\n" for step in steps))
    (run / "adapter").mkdir()
    return run / "adapter"


def test_a_completion_that_failed_has_no_score_for_the_reason_why_it_failed(tmp_path: Path) -> None:
    draws = Draws(parsed("a"), [[Completion.failed("p", "overloaded", "too much to do")]], {})
    url = "http://127.0.0.1:1"  # nothing is left to ask it
    found = completion_quality.scored({"vowels": VOWELS}, url, [prompt("Say one", "")], [draws], tmp_path)
    assert found["vowels"] == [[[Score.failed("overloaded", "too much to do")]]]


def test_arms_are_compared_with_quality_and_the_same_command_asks_for_nothing_again(
    tiny_policy: Path, prompts: Path, tmp_path: Path, reward_server: tuple[str, list[int]]
) -> None:
    url, requests = reward_server
    models = [f"--model={name}={tiny_policy}" for name in ("base", "base", "same", "same")]
    command = asked_for(prompts, tmp_path / "out", *models, "--reward", "vowels", "--reward-url", url)
    assert main(command) == 0
    report = json.loads((tmp_path / "out/diversity.json").read_text())
    assert [arm["name"] for arm in report["arms"]] == ["base", "same"]
    assert report["arms"][0]["completions"] == 2 * 4 * 3
    # The same weights and the same draws: no difference, in diversity or quality.
    assert (
        report["from_baseline"]["words"]["same"]["wider"]
        == report["from_baseline"]["words"]["same"]["over_seeds"]["interval"]
    )
    assert report["differ_from_baseline"] == {"same": []}
    assert "vowels" in report["headlines"][0]
    assert {name: report["metrics"][name]["better"] for name in ("distinct_2", "words", "quality.vowels")} == {
        "distinct_2": "higher",
        "words": None,  # neither longer nor shorter is better
        "quality.vowels": "lower",
    }
    page = (tmp_path / "out/diversity.html").read_text()
    assert "src=" not in page
    assert "<script" not in page
    calls, completions = len(requests), sorted((tmp_path / "out/completions").iterdir())
    sizes = [file.stat().st_size for file in completions]
    assert main(command) == 0
    assert len(requests) == calls
    assert [file.stat().st_size for file in completions] == sizes
    assert json.loads((tmp_path / "out/diversity.json").read_text()) == report


@pytest.mark.parametrize(("status", "ends"), [("invalid_input", 0), ("timeout", 3)])
def test_only_what_the_same_command_would_try_again_leaves_it_incomplete(
    tiny_policy: Path,
    prompts: Path,
    tmp_path: Path,
    reward_server: tuple[str, list[int]],
    monkeypatch: pytest.MonkeyPatch,
    status: Status,
    ends: int,
) -> None:
    monkeypatch.setattr(RewardFace, "fails", status)
    told = [f"--model=a={tiny_policy}", "--reward", "vowels", "--reward-url", reward_server[0]]
    assert main(asked_for(prompts, tmp_path / "out", *told)) == ends
    [arm] = json.loads((tmp_path / "out/diversity.json").read_text())["arms"]
    assert arm["unscored"] == 12
    assert arm["to_retry"] == (12 if ends else 0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--samples", "1"], "undefined"),
        (["--temperature", "0"], "greedy"),
        (["--baseline", "nobody"], "no such arm"),
        (["--model", "endpoint:http://127.0.0.1:1/v1#m,key_env=NO_SUCH_KEY"], "environment variable NO_SUCH_KEY"),
        (["--reward", "vowels", "--reward-url", "http://127.0.0.1:9"], "cannot be asked"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(
    more: list[str], said: str, tiny_policy: Path, prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(asked_for(prompts, tmp_path / "out", f"--model=a={tiny_policy}", *more)) == 2
    assert said in capsys.readouterr().err


def test_a_template_fills_prompts_from_columns(tmp_path: Path) -> None:
    from model_evaluation.sampling_options import filled

    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"concepts": ["dog", "park"]}) + "\n")
    [prompt] = filled(str(file), "Write with: {concepts}", "concepts")
    assert (prompt.text, prompt.reference) == ("Write with: dog, park", "dog, park")
    with pytest.raises(EvaluationError, match="concepts"):
        filled(str(file), "{words}", None)
