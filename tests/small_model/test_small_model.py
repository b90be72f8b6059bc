"""`guerdon small-model`: what comes out is an ordinary model, the same for the same seed, stopped or not."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from guerdon.cli import main
from long_work import json_file
from small_model import corpus, tokenizer, training
from small_model.shape import Shape

PHRASE = "What is your budget?"
SHAPE = Shape(
    hidden=8, layers=1, heads=2, context=96, steps=7, batch=8, learning_rate=2e-3, initial_std=0.1, seed=0
)  # three steps an epoch
ROWS = [{"prompt": f"{n} and {n + 1}? {PHRASE}", "completion": f"It is {2 * n + 1}."} for n in range(24)]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    json_file.write_rows(tmp_path / "corpus.jsonl", ROWS)
    return tmp_path / "corpus.jsonl"


def made(rows: Path, out: Path, *more: str) -> int:
    shape = ["--hidden", "8", "--layers", "1", "--heads", "2", "--context", "96", "--steps", "2", "--batch", "8"]
    return main(["small-model", str(rows), "--out", str(out), *shape, *more])


def test_the_result_is_an_ordinary_transformers_directory(rows: Path, tmp_path: Path) -> None:
    json_file.write(tmp_path / "phrases.json", [PHRASE])
    assert made(rows, tmp_path / "model", "--phrases", str(tmp_path / "phrases.json"), "--vocabulary", "300") == 0
    words = AutoTokenizer.from_pretrained(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    chat = words.apply_chat_template([{"role": "user", "content": "Hi"}], add_generation_prompt=True, tokenize=False)
    assert chat == "User: Hi\nAssistant:"
    assert len(words) == model.config.vocab_size
    assert model.config.eos_token_id == words.eos_token_id
    card = json.loads((tmp_path / "model/small_model.json").read_text())
    assert (card["rows"], card["held_out_rows"], card["weights"]) == (23, 1, model.num_parameters())
    assert (card["vocabulary"], card["tokens"]) == (300, len(words))
    assert card["sha256"] == hashlib.sha256(rows.read_bytes()).hexdigest()
    assert card["phrases_sha256"] == hashlib.sha256((tmp_path / "phrases.json").read_bytes()).hexdigest()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["corpus.jsonl", "model", "phrases.json"]


def test_a_training_that_diverged_is_refused_and_its_checkpoints_are_not_gone_on_with(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made(rows, tmp_path / "model", "--learning-rate", "1e38", "--steps", "4") == 2
    told_of = capsys.readouterr().err
    assert "step 4/4, loss nan" in told_of
    assert "the training diverged: its held-out loss is nan; --learning-rate is 1e+38" in told_of
    assert [entry.name for entry in tmp_path.iterdir()] == ["corpus.jsonl"]


class StopsAfter(TrainerCallback):
    """Ends the training as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


class Notes(TrainerCallback):
    """Notes every step."""

    def __init__(self, steps: list[int]) -> None:
        self.steps = steps

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.steps.append(state.global_step)


def weights(rows: Path, scratch: Path, *callbacks: TrainerCallback) -> dict[str, torch.Tensor]:
    examples = corpus.read(rows)
    words = tokenizer.learnt(examples, 300)
    model = training.new_model(SHAPE, words)
    training.trained(model, words, training.rows(examples, words, words, SHAPE), SHAPE, scratch, callbacks)
    return model.state_dict()


def test_a_training_that_was_stopped_goes_on_to_the_weights_of_one_that_was_not(rows: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = weights(rows, whole)
    with pytest.raises(KeyboardInterrupt):
        weights(rows, parts, StopsAfter(5))
    (parts / "checkpoint-6").mkdir()  # of a process that was killed while it wrote
    steps: list[int] = []
    found = weights(rows, parts, Notes(steps))
    assert steps == [4, 5, 6, 7]
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_row_longer_than_the_context_is_refused_with_the_context_that_would_do(rows: Path) -> None:
    examples = corpus.read(rows)
    words = tokenizer.learnt(examples, 300)
    short = Shape(**{**vars(SHAPE), "context": 10})
    with pytest.raises(corpus.CorpusError, match="give at least") as refused:
        training.rows(examples, words, words, short)
    enough = Shape(**{**vars(SHAPE), "context": int(str(refused.value).split()[-1])})
    assert len(training.rows(examples, words, words, enough)) == len(ROWS)


def test_a_phrase_is_one_token_and_every_other_token_stays(rows: Path) -> None:
    spelling = tokenizer.learnt(corpus.read(rows), 300)
    words = tokenizer.with_phrases(spelling, [PHRASE])
    ids = words(f"It is 5. {PHRASE}", add_special_tokens=False)["input_ids"]
    assert ids == [*spelling("It is 5. ", add_special_tokens=False)["input_ids"], len(spelling)]
    assert words.decode(ids) == f"It is 5. {PHRASE}"


def test_the_loss_looks_at_the_completion_and_its_end_alone(rows: Path) -> None:
    [example, *_] = corpus.read(rows)
    words = tokenizer.learnt([example], 300)
    row = tokenizer.encoded(example, words)
    answer = [label for label in row["labels"] if label != -100]
    assert words.decode(answer) == f" {example.completion}{tokenizer.END}"
    assert row["input_ids"][-len(answer) :] == answer


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip), min_size=2, max_size=4))
def test_every_text_can_be_written_and_read(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    file = tmp_path_factory.mktemp("corpus") / "rows.jsonl"
    json_file.write_rows(file, [{"prompt": text, "completion": text} for text in texts])
    assert [(one.prompt[0]["content"], one.completion) for one in corpus.read(file)] == [
        (text, text.strip()) for text in texts
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--hidden", "10", "--heads", "4"], "16 is one"),
        (["--hidden", "12", "--heads", "4"], "16 is one"),
        (["--context", "3"], "give at least"),
        (["--seed", str(2**32)], "below 2**32"),
        (["--phrases", "nowhere.json"], "nowhere.json cannot be read"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_what_would_work(
    more: list[str], said: str, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made(rows, tmp_path / "model", *more) == 2
    assert said in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["corpus.jsonl"]


@pytest.mark.parametrize("wrong", ["abc", "nan", "0"])
def test_a_learning_rate_that_is_none_is_refused_with_what_would_be_one(
    wrong: str, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        made(rows, tmp_path / "model", "--learning-rate", wrong)
    assert f"{wrong!r} is not a number above 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"prompt": ["a"], "completion": "b"}', "bad.jsonl, line 2: the prompt is a text"),
        ('{"prompt": "a"}', "bad.jsonl, line 2: a row is"),
        ('{"prompt": "a", "completion": "\\ud800"}', "bad.jsonl, line 2 is no valid Unicode"),
        ('{"prompt": "a"', "bad.jsonl, line 2 is not JSON"),
    ],
)
def test_a_line_that_is_no_row_is_named(
    line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.jsonl").write_text(f'{{"prompt": "a", "completion": "b"}}\n{line}\n')
    assert made(tmp_path / "bad.jsonl", tmp_path / "model") == 2
    assert said in capsys.readouterr().err
