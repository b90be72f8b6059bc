"""Labels: who gives them, what of them is kept, and that a failure is none."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.critic_trainer.replies import rows, written
from tests.loopback_http import Asked, Told, served
from tests.rule_judge import RuleJudge

from critic_trainer import reply
from critic_trainer.critic_command import main
from critic_trainer.examination.ceiling import ceiling
from critic_trainer.labeling import label
from critic_trainer.labeling.attributes import ATTRIBUTES
from critic_trainer.labeling.local_labeler import LocalLabeler
from critic_trainer.labeling.local_labeler import read as read_grade
from critic_trainer.redial import read as read_redial
from critic_trainer.reply import Reply
from guerdon.judge_messages import JudgeInfo, JudgeList


@contextmanager
def judging() -> Iterator[RuleJudge]:
    """A judge server with one judge, which grades two answers at a time, each criterion by half the answer's length."""
    rule = RuleJudge()
    one = JudgeInfo(
        name="rule", kind="rule", model="rule", version="1", prompt_version="1", default=True, concurrency=2
    )

    def answer(asked: Asked) -> Told:
        return Told(200, JudgeList(judges=[one]).model_dump_json()) if asked.path == "/v1/judges" else rule.told(asked)

    with served(answer) as rule.url:
        yield rule


def labelled(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line)["labels"] for line in (folder / "labels.jsonl").read_text().splitlines()]


def test_labels_carry_the_computed_bleu_and_missing_ones_are_null(tmp_path: Path) -> None:
    file = written(tmp_path / "dialogues.jsonl", rows(8))
    who = ["--labeler", "column:a", "--labeler", "column:b"]
    assert main(["label", str(file), *who, "--out", str(tmp_path)]) == 0
    found = labelled(tmp_path)

    assert 0 < found[1]["bleu"] <= 1
    assert found[0]["recommendation"] is None
    assert found[1]["recommendation"] == pytest.approx(0.2)


@pytest.mark.parametrize("wrong", ["high", float("nan"), 7, True])
def test_a_column_that_holds_no_labels_fails_and_leaves_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: Any
) -> None:
    some = rows(3)
    some[1]["labels"]["a"] = {"empathy": wrong}
    file = written(tmp_path / "dialogues.jsonl", some)

    assert main(["label", str(file), "--labeler", "column:a", "--out", str(tmp_path)]) == 3
    assert "failed: 1 × invalid_input" in capsys.readouterr().out
    assert [one.get("empathy") for one in labelled(tmp_path)] == [0.1, None, 0.1]


@pytest.mark.parametrize(("more", "status"), [([], 3), (["--may-fail", "0.3"], 3), (["--may-fail", "0.4"], 0)])
def test_more_failures_than_may_be_are_no_success(tmp_path: Path, more: list[str], status: int) -> None:
    some = rows(3)
    some[1]["labels"] = {}
    file = written(tmp_path / "dialogues.jsonl", some)
    who = ["--labeler", "column:a", "--labeler", "column:b"]  # both fail, on one reply
    assert main(["label", str(file), *who, "--out", str(tmp_path), *more]) == status


def test_a_judge_grades_every_attribute_and_is_asked_again_only_where_it_failed(tmp_path: Path) -> None:
    texts = ["1234", "judge_refused by the rule", "12", "123456", ""]
    file = written(tmp_path / "dialogues.jsonl", [{"conversation": "Hello?", "reply": text} for text in texts])
    command = ["label", str(file), "--labeler", "judge", "--out", str(tmp_path)]
    with judging() as judge:
        assert main([*command, "--judge-url", judge.url]) == 3
        bodies = [body for _, body in judge.asked]
        judge.asked.clear()
        assert main([*command, "--judge-url", judge.url, "--may-fail", "0.2"]) == 0
        [(path, again)] = judge.asked

    assert [[one["answer"] for one in body["answers"]] for body in bodies] == [texts[:2], texts[2:4], texts[4:]]
    assert {one["name"]: one["description"] for one in bodies[0]["criteria"]} == ATTRIBUTES
    assert (path, [one["answer"] for one in again["answers"]]) == ("/v1/grade", texts[1:2])
    assert labelled(tmp_path) == [
        {**({} if value is None else dict.fromkeys(ATTRIBUTES, value)), "bleu": None}
        for value in (0.2, None, 0.1, 0.3, 0.0)
    ]
    assert json.loads((tmp_path / "agreement.json").read_text())["failures"] == {"judge_refused": 1}


def test_a_judge_that_is_not_there_is_refused_with_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "dialogues.jsonl", rows(2))
    with judging() as judge:
        told = ["--labeler", "judge:rula", "--judge-url", judge.url]
        assert main(["label", str(file), *told, "--out", str(tmp_path / "out")]) == 2
    assert "has no judge 'rula'; it has: rule" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_a_model_in_this_process_writes_at_random_is_no_label(
    tmp_path: Path, tiny_chatter: Callable[[bool], Path]
) -> None:
    file = written(tmp_path / "dialogues.jsonl", rows(2))
    told = ["--labeler", f"local:{tiny_chatter(True)}", "--out", str(tmp_path)]

    assert main(["label", str(file), *told]) == 3
    assert json.loads((tmp_path / "agreement.json").read_text())["failures"] == {"judge_unparseable": 2}
    assert [set(one) for one in labelled(tmp_path)] == [{"bleu"}] * 2


@pytest.mark.parametrize("chats", [True, False])
def test_a_local_labeler_reads_one_bos_with_a_chat_template_that_writes_it_and_without_a_template(
    tiny_chatter: Callable[[bool], Path], chats: bool
) -> None:
    labeler = LocalLabeler(str(tiny_chatter(chats)), four_bit=False)
    read: list[torch.Tensor] = []
    labeler._model.get_input_embeddings().register_forward_hook(lambda _, given, __: read.append(given[0]))
    labeler.label([Reply(conversation="Hello?", reply="Hi.")])
    bos = labeler._tokenizer.bos_token_id

    assert read[0][0].tolist().count(bos) == 1
    assert read[0][0, 0] == bos


@pytest.mark.parametrize("text", ["", "I think 7", '{"empathy": 11}', '{"empathy": 5}', "{broken"])
def test_what_a_local_labeler_cannot_be_read_from_is_a_failure_and_no_label(text: str) -> None:
    assert read_grade(text) | {"error": ""} == {"status": "judge_unparseable", "labels": {}, "error": ""}


def test_a_local_labeler_is_read_from_its_last_object() -> None:
    grades = {"empathy": 5, "informativeness": 10, "recommendation": 0, "engagement": 2.5, "overall": 4}
    found = read_grade(f'Example {{"empathy": 1}}. Here: {json.dumps(grades)}')

    assert found["labels"] == {name: value / 10 for name, value in grades.items()}


def test_levels_do_not_stay_beside_labels_that_they_are_not_the_truth_of(tmp_path: Path) -> None:
    some = [Reply(id="r", conversation="", reply="", levels={"empathy": 0.5})]
    for declared, top in ((True, "declared levels"), (False, "unknown: neither levels nor two labelers")):
        written(tmp_path / "labels.jsonl", label.rows(some, [{"empathy": 0.4}], declared=declared) * 2)
        [one, other] = reply.read(tmp_path / "labels.jsonl")
        apart = other.model_copy(update={"labels": {"empathy": 0.8}, "levels": dict.fromkeys(other.levels, 0.7)})
        assert ceiling("empathy", [one, apart], {}).source == top


def test_a_labeler_of_a_file_s_own_labels_leaves_its_levels(tmp_path: Path) -> None:
    file = written(tmp_path / "dialogues.jsonl", [row | {"levels": {"empathy": 0.5}} for row in rows(2)])
    assert main(["label", str(file), "--labeler", "column:a", "--out", str(tmp_path)]) == 0
    assert [one.levels for one in reply.read(tmp_path / "labels.jsonl")] == [{"empathy": 0.5}] * 2


def test_a_hub_id_without_its_commit_labels_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "dialogues.jsonl", rows(2))
    assert main(["label", str(file), "--labeler", "local:some/model", "--out", str(tmp_path)]) == 2
    assert "ID@COMMIT" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--alpha", "nan"], ["--gap", "abc"]])
def test_an_option_that_is_no_number_is_refused_before_anything_is_labelled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: list[str]
) -> None:
    file = written(tmp_path / "dialogues.jsonl", rows(2))
    with pytest.raises(SystemExit):
        main(["label", str(file), "--labeler", "column:a", "--out", str(tmp_path / "out"), *wrong])
    assert f"{wrong[1]!r} is not a " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_redial_dialogues_become_replies_with_the_films_named(tmp_path: Path) -> None:
    messages = [
        {"senderWorkerId": 1, "text": "Hi, I like comedies."},
        {"senderWorkerId": 2, "text": "Have you seen @111776?"},
        {"senderWorkerId": 2, "text": "It is fun."},
        {"senderWorkerId": 1, "text": "No!"},
    ]
    row = {
        "conversationId": 7,
        "initiatorWorkerId": 1,
        "respondentWorkerId": 2,
        "movieMentions": {"111776": "Super Troopers (2001)"},
        "messages": messages,
    }
    [found] = read_redial(written(tmp_path / "redial.jsonl", [row]))

    assert found.reply == "Have you seen Super Troopers (2001)?\nIt is fun."
    assert found.conversation == [{"role": "user", "content": "Hi, I like comedies."}]
    assert found.dialogue == "7"
