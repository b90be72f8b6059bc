"""Completions of local models and endpoints: seeded, batched, kept, and refused where they cannot be."""

import asyncio
import json
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.loopback_http import Asked, Told, served

from guerdon.cli import main
from model_evaluation.answers import contestant, generation
from model_evaluation.answers.checkpoint import Checkpoint, located
from model_evaluation.answers.completion import Completion
from model_evaluation.answers.endpoint import Endpoint
from model_evaluation.answers.sampling import Sampling
from model_evaluation.evaluation_error import EvaluationError
from model_evaluation.prompts import Prompt, parsed

SAMPLING = Sampling(seed=1, temperature=1.0, top_p=0.95, max_tokens=12)
PROMPTS = [parsed(text, "") for text in ("one", "two and more words", "three?", "a fourth prompt of some length")]


def texts(completions: list[Completion]) -> list[str | None]:
    return [one.text for one in completions]


@pytest.fixture(scope="module")
def model(tiny_policy: Path) -> Iterator[Any]:
    from model_evaluation.answers.language_model import LanguageModel

    with LanguageModel("tiny", Checkpoint(str(tiny_policy))) as loaded:
        yield loaded


def test_a_prompt_is_answered_the_same_whatever_it_is_batched_with(model: Any) -> None:
    together = texts(model.answers(PROMPTS, SAMPLING))
    alone = [model.answers([prompt], SAMPLING)[0].text for prompt in PROMPTS]
    turned = texts(model.answers(PROMPTS[::-1], SAMPLING))[::-1]
    assert together == alone == turned
    assert len(set(together)) > 1


def test_another_seed_is_another_answer_and_the_same_seed_the_same(model: Any) -> None:
    other = Sampling(seed=2, temperature=1.0, max_tokens=12)
    assert texts(model.answers(PROMPTS, SAMPLING)) == texts(model.answers(PROMPTS, SAMPLING))
    assert texts(model.answers(PROMPTS, other)) != texts(model.answers(PROMPTS, SAMPLING))


def test_greedy_answers_are_those_of_transformers(model: Any) -> None:
    import torch

    greedy = Sampling(temperature=0.0, max_tokens=8, prompt_format="plain")
    ids = model.tokenizer(PROMPTS[0].shown, return_tensors="pt").input_ids
    with torch.inference_mode():
        logits, said = model.model, []
        for _ in range(8):
            ids = torch.cat([ids, logits(ids).logits[:, -1:].argmax(-1)], 1)
            said.append(int(ids[0, -1]))
    [answer] = model.answers(PROMPTS[:1], greedy)
    assert answer.text == model.tokenizer.decode(said, skip_special_tokens=True).strip()


def test_a_nucleus_of_one_token_is_greedy(model: Any) -> None:
    narrow = Sampling(temperature=1.0, top_p=1e-9, max_tokens=8)
    assert texts(model.answers(PROMPTS, narrow)) == texts(model.answers(PROMPTS, Sampling(temperature=0, max_tokens=8)))


def test_draws_follow_the_models_probabilities() -> None:
    import torch

    from model_evaluation.answers.drawing import NucleusDrawing

    shares = torch.tensor([0.5, 0.3, 0.15, 0.05])
    rows = shares.log().repeat(4000, 1)
    drawn = NucleusDrawing(1.0, 0.9, [str(n) for n in range(4000)])(torch.zeros(1), rows).argmax(1)
    found = torch.bincount(drawn, minlength=4) / 4000
    assert found[3] == 0  # 0.5 + 0.3 + 0.15 reach 0.9 without it
    assert torch.allclose(found, torch.tensor([0.5, 0.3, 0.15, 0.0]) / 0.95, atol=0.03)


def test_stop_texts_end_an_answer_and_are_not_in_it(model: Any) -> None:
    whole = model.answers(PROMPTS[:1], SAMPLING)[0].text
    stop = whole[3]
    stopped = model.answers(PROMPTS[:1], Sampling(seed=1, temperature=1.0, top_p=0.95, max_tokens=12, stop=(stop,)))[0]
    assert stopped.text == whole.split(stop)[0].strip()
    assert stopped.finish == "stop"


def test_an_answer_that_reaches_max_tokens_is_marked_as_cut_off(model: Any) -> None:
    finishes = {one.finish for one in model.answers(PROMPTS, Sampling(temperature=0, max_tokens=3))}
    assert finishes == {"length"}


def test_a_prompt_that_is_too_long_fails_alone(model: Any) -> None:
    long = parsed("word " * 3000, "")
    answers = model.answers([PROMPTS[0], long], SAMPLING)
    assert [one.status for one in answers] == ["ok", "invalid_input"]
    assert "tokens; the model reads" in (answers[1].error or "")


def test_answers_are_kept_and_a_changed_setting_makes_new_ones(tiny_policy: Path, tmp_path: Path) -> None:
    who = contestant.parsed(f"tiny={tiny_policy}")
    first = generation.answers(who, PROMPTS, SAMPLING, tmp_path, batch=2)
    [file] = (tmp_path / "completions").iterdir()
    lines = file.read_bytes().splitlines()
    assert len(lines) == len(PROMPTS)
    file.write_bytes(b"\n".join(lines[:2]) + b"\n" + lines[2][:30])  # killed within the third line
    again = generation.answers(who, PROMPTS, SAMPLING, tmp_path, batch=2)
    assert texts(again.completions) == texts(first.completions)
    assert again.facts == first.facts
    assert len(file.read_bytes().splitlines()) == len(PROMPTS)
    generation.answers(who, PROMPTS, Sampling(seed=9, max_tokens=12), tmp_path, batch=2)
    assert len(file.read_bytes().splitlines()) == 2 * len(PROMPTS)


def test_two_models_of_one_source_say_the_same_and_tie_without_a_call(
    judge: Any, tiny_policy: Path, tmp_path: Path
) -> None:
    (tmp_path / "p.jsonl").write_text("".join(f"{json.dumps(prompt.text)}\n" for prompt in PROMPTS))
    arguments = ["--model", f"a={tiny_policy}", "--model", f"b={tiny_policy}", "--prompts", str(tmp_path / "p.jsonl")]
    command = ["compare", *arguments, "--num", "4", "--max-tokens", "8", "--judge-url", judge.url]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["pairs"][0]["win_rate"]["ties"] == 4
    assert judge.paid == []
    assert report["headlines"][0].startswith("no difference shown")
    assert sum("has no chat template" in warning for warning in report["warnings"]) == 2


def test_an_adapter_is_applied_to_its_base(tiny_policy: Path, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_policy)
    tuned = get_peft_model(base, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            weight.add_(0.5 if "lora_B" in name else 0.0)
    tuned.save_pretrained(tmp_path / "run" / "adapter")
    found = located(str(tmp_path / "run" / "adapter"))
    assert found.weights == str(tiny_policy)
    plain = generation.answers(contestant.parsed(f"a={tiny_policy}"), PROMPTS, SAMPLING, tmp_path / "out", 4)
    adapted = generation.answers(contestant.parsed(f"b={found.adapter}"), PROMPTS, SAMPLING, tmp_path / "out", 4)
    assert texts(plain.completions) != texts(adapted.completions)
    assert adapted.facts["identity"]["weights"] == plain.facts["identity"]["weights"]


def test_a_run_of_the_trainer_names_its_adapter_and_what_it_was_trained_from(tmp_path: Path) -> None:
    adapter = tmp_path / "run" / "adapter"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "/no/such/cache"}')
    policy = {"model": "package:numpy", "prompt": "plain", "end_of_turn": "\n"}
    (tmp_path / "run" / "manifest.json").write_text(json.dumps({"config": {"policy": policy}}))
    found = located(str(tmp_path / "run"))
    assert (found.weights, found.adapter, found.policy) == ("package:numpy", adapter, policy)


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(
    judge: Any, tiny_policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    huge = tmp_path / "huge"
    huge.mkdir()
    (huge / "config.json").write_text((tiny_policy / "config.json").read_text())
    tensor = {"dtype": "F32", "shape": [1 << 20, 1 << 20], "data_offsets": [0, 1 << 42]}
    header = json.dumps({"lm_head.weight": tensor}).encode()
    (huge / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (tmp_path / "p.jsonl").write_text('"a"\n"b"\n')
    arguments = ["--model", str(huge), "--model", str(tiny_policy), "--prompts", str(tmp_path / "p.jsonl")]
    command = ["compare", *arguments, "--num", "2", "--judge-url", judge.url, "--out", str(tmp_path / "out")]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "does not fit: 1099.51 billion weights" in said
    assert "GB of memory are free" in said


@dataclass
class ChatServer:
    """An OpenAI-compatible endpoint that answers with the prompt, turned around."""

    url: str = ""
    answers: list[tuple[int, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any], str | None]] = field(default_factory=list)
    refuses: str = ""
    """A field of a request that is answered with 400."""


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    state = ChatServer()

    def answer(asked: Asked) -> Told:
        body = json.loads(asked.body)
        state.asked.append((asked.path, body, asked.headers.get("authorization")))
        text = body["messages"][-1]["content"][::-1] if "messages" in body else body["prompt"][::-1]
        told = {"message": {"content": text}} if "messages" in body else {"text": text}
        code, said, headers = 200, {"choices": [{**told, "finish_reason": "stop"}]}, dict[str, str]()
        if state.answers:
            code, said, headers = state.answers.pop(0)
        elif state.refuses in body:
            code, said = 400, {"error": {"message": "use max_completion_tokens instead"}}
        return Told(code, json.dumps(said), headers)

    with served(answer) as url:
        state.url = f"{url}/v1"
        yield state


def ask(chat: ChatServer, prompts: list[Prompt], sampling: Sampling = SAMPLING, key: str = "") -> list[Completion]:
    async def every() -> list[Completion]:
        async with Endpoint(contestant.parsed(f"endpoint:{chat.url}#m{key}")) as endpoint:
            found = [one async for one in endpoint.answers(prompts, sampling)]
        return sorted(found, key=lambda one: [prompt.id for prompt in prompts].index(one.prompt_id))

    return asyncio.run(every())


def test_an_endpoint_gets_messages_sampling_and_the_key_that_was_named(
    chat: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "k3y")
    assert texts(ask(chat, PROMPTS, key=",key_env=SOME_KEY")) == [(prompt.text or "")[::-1] for prompt in PROMPTS]
    path, body, authorization = chat.asked[0]
    assert (path, authorization) == ("/v1/chat/completions", "Bearer k3y")
    assert {name: body[name] for name in ("model", "temperature", "top_p", "max_tokens", "seed")} == {
        "model": "m",
        "temperature": 1.0,
        "top_p": 0.95,
        "max_tokens": 12,
        "seed": 1,
    }


def test_an_endpoint_continues_text_where_prompts_are_plain(chat: ChatServer) -> None:
    ask(chat, PROMPTS[:1], Sampling(prompt_format="plain", stop=("\n",)))
    path, body, authorization = chat.asked[0]
    assert (path, body["prompt"], body["stop"], authorization) == ("/v1/completions", "one", ["\n"], None)


def test_an_endpoint_that_has_too_much_to_do_is_asked_again(chat: ChatServer) -> None:
    chat.answers = [(429, {}, {"retry-after": "0.01"}), (500, {}, {})]
    assert texts(ask(chat, PROMPTS[:1])) == ["eno"]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"message": {"content": None}, "finish_reason": "tool_calls"}, "content is null; finish_reason: tool_calls"),
        ({"message": {"content": "half an"}, "finish_reason": "content_filter"}, "content filter withheld"),
        ({"message": {"content": 7}, "finish_reason": "stop"}, "content is no text"),
    ],
)
def test_an_answer_that_an_endpoint_withholds_is_no_empty_answer(
    chat: ChatServer, choice: dict[str, Any], said: str
) -> None:
    chat.answers = [(200, {"choices": [choice]}, {})]
    [answer] = ask(chat, PROMPTS[:1])
    assert (answer.text, answer.status) == (None, "model_error")
    assert said in (answer.error or "")


def test_an_answer_that_the_model_ended_empty_is_empty(chat: ChatServer) -> None:
    chat.answers = [(200, {"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}, {})]
    assert [(one.text, one.status) for one in ask(chat, PROMPTS[:1])] == [("", "ok")]


def test_half_a_surrogate_pair_in_an_answer_becomes_a_question_mark(chat: ChatServer) -> None:
    chat.answers = [(200, {"choices": [{"message": {"content": "so \ud83d"}, "finish_reason": "stop"}]}, {})]
    assert texts(ask(chat, PROMPTS[:1])) == ["so ?"]


def test_an_endpoint_that_takes_no_connection_is_told_from_a_slow_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_evaluation.answers.endpoint.CONNECT_S", 0.3)
    with socket.socket() as listening, socket.socket() as first:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        first.connect(listening.getsockname())  # the backlog is full: further ones get no answer at all
        with pytest.raises(EvaluationError, match=r"no connection in 0\.3 s"):
            ask(ChatServer(url=f"http://127.0.0.1:{listening.getsockname()[1]}/v1"), PROMPTS[:1])


def test_all_calls_under_way_learn_the_newer_name_of_the_token_limit(chat: ChatServer) -> None:
    chat.refuses = "max_tokens"
    assert [one.status for one in ask(chat, PROMPTS)] == ["ok"] * len(PROMPTS)


def test_a_dry_run_counts_only_completions_of_the_same_setting(tiny_policy: Path, tmp_path: Path) -> None:
    who = contestant.parsed(f"tiny={tiny_policy}")
    made = generation.answers(who, PROMPTS[:3], SAMPLING, tmp_path, batch=4)
    kept = generation.kept(who, PROMPTS, SAMPLING, tmp_path)
    assert kept == [*made.completions, None]
    assert generation.kept(who, PROMPTS, Sampling(seed=2, max_tokens=12), tmp_path) == [None] * 4
    assert generation.kept(who, PROMPTS, SAMPLING, tmp_path / "new") == [None] * 4
    assert not (tmp_path / "new").exists()


def test_an_interrupt_while_answers_are_made_keeps_them_and_says_how_to_go_on(
    judge: Any, tiny_policy: Path, tmp_path: Path, start: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.jsonl").write_text("".join(f"{json.dumps(f'prompt {number}')}\n" for number in range(60)))
    models = ["--model", f"a={tiny_policy}", "--model", f"b={tiny_policy}", "--prompts", str(tmp_path / "p.jsonl")]
    command = ["compare", *models, "--num", "60", "--max-tokens", "200", "--batch-size", "1"]
    command += ["--judge-url", judge.url, "--out", str(tmp_path / "out")]
    running = start(*command)
    while not (files := list((tmp_path / "out").glob("completions/*"))) or not files[0].stat().st_size:
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert f"To go on: guerdon {' '.join(command)}" in said
    assert "Traceback" not in said
    made = len(files[0].read_text().splitlines())
    assert 0 < made < 60
    assert main([*command, "--dry-run"]) == 0
    assert f"{120 - made} completions to make" in capsys.readouterr().out


def test_newer_models_get_their_own_name_of_the_token_limit(chat: ChatServer) -> None:
    chat.answers = [(400, {"error": {"message": "use max_completion_tokens instead"}}, {})]
    assert texts(ask(chat, PROMPTS[:1])) == ["eno"]
    assert chat.asked[1][1]["max_completion_tokens"] == 12


def test_one_answer_that_is_none_fails_alone(chat: ChatServer) -> None:
    chat.answers = [(200, {"choices": []}, {})]
    assert sorted(one.status for one in ask(chat, PROMPTS)) == ["model_error", "ok", "ok", "ok"]


@pytest.mark.parametrize(("code", "said"), [(401, "key_env=VARIABLE"), (404, "no such model")])
def test_an_endpoint_that_refuses_key_or_model_ends_the_comparison(chat: ChatServer, code: int, said: str) -> None:
    chat.answers = [(code, {}, {})] * 9
    with pytest.raises(EvaluationError, match=said):
        ask(chat, PROMPTS)


def test_an_endpoint_where_nothing_listens_is_named() -> None:
    with pytest.raises(EvaluationError, match=r"nothing answers at http://127\.0\.0\.1:1/v1"):
        ask(ChatServer(url="http://127.0.0.1:1/v1"), PROMPTS)
