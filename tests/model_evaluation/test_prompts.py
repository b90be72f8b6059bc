"""Prompts from files and datasets: forms, columns, samples, and what is said about those that are wrong."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_evaluation import prompts, row_file
from model_evaluation.answers.completion import visible
from model_evaluation.answers.sampling import cut
from model_evaluation.evaluation_error import EvaluationError

MT_BENCH = Path(__file__).parents[3] / "shared" / "data" / "mt_bench_questions.jsonl"
CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}, {"role": "user", "content": "so?"}]


def written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_strings_messages_and_objects_of_every_format_are_the_same_prompts(tmp_path: Path) -> None:
    rows: list[Any] = ["one", {"prompt": "two"}, CHAT]
    lines = written(tmp_path, "a.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n\n")
    listed = written(tmp_path, "a.json", json.dumps(rows))
    assert prompts.read(lines) == prompts.read(listed)
    assert [prompt.wire for prompt in prompts.read(lines)] == ["one", "two", CHAT]


def test_csv_and_parquet_are_read_by_their_columns(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with (tmp_path / "a.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["instruction", "good"], ["say, hi", "hi\nthere"], ["bye", ""]])
    pq.write_table(pa.table({"instruction": ["say, hi", "bye"], "good": ["hi\nthere", ""]}), tmp_path / "a.parquet")
    read = [prompts.read(str(tmp_path / name), reference="good") for name in ("a.csv", "a.parquet")]
    assert read[0] == read[1]
    assert read[0][0].reference == "hi\nthere"


def test_messages_in_a_csv_cell_are_messages_and_other_lists_are_text(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["messages"], [json.dumps(CHAT)], ["[1, 2] sorted?"], ['["a"]']])
    assert [prompt.wire for prompt in prompts.read(str(tmp_path / "a.csv"))] == [CHAT, "[1, 2] sorted?", '["a"]']


def test_lines_of_white_space_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'"a"\r\n\r\n  \n\t\n"b"\r\n')
    assert [prompt.text for prompt in prompts.read(str(tmp_path / "a.jsonl"))] == ["a", "b"]


def test_of_several_turns_of_a_person_the_first_is_asked(tmp_path: Path) -> None:
    row = {"question_id": 81, "category": "writing", "turns": ["Write a poem.", "Now shorten it."]}
    assert [prompt.text for prompt in prompts.read(written(tmp_path, "a.jsonl", json.dumps(row)))] == ["Write a poem."]


@pytest.mark.skipif(not MT_BENCH.exists(), reason="the questions of MT-Bench are not here")
def test_the_questions_of_mt_bench_are_read_as_they_are() -> None:
    assert len(prompts.read(str(MT_BENCH))) == 80


def test_messages_are_taken_up_to_what_the_user_said_last(tmp_path: Path) -> None:
    row = {"messages": [*CHAT, {"role": "assistant", "content": "the answer of the dataset"}], "prompt_id": "x"}
    [prompt] = prompts.read(written(tmp_path, "a.jsonl", json.dumps(row)))
    assert prompt.messages == CHAT


def test_the_same_prompt_twice_is_one(tmp_path: Path) -> None:
    assert len(prompts.read(written(tmp_path, "a.jsonl", '"a"\n"b"\n"a"\n'))) == 2


def test_the_sample_depends_on_the_seed_alone(tmp_path: Path) -> None:
    every = prompts.read(written(tmp_path, "a.json", json.dumps([f"p{number}" for number in range(100)])))
    first, again, other = (prompts.sampled(every, 10, seed, "a.json") for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len({prompt.id for prompt in first}) == 10


def test_a_dataset_is_read_by_split_and_column(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for split in ("train", "test"):
        written(tmp_path / "data", f"{split}.jsonl", json.dumps({"messages": CHAT, "prompt": f"of {split}"}))
    name = f"dataset:{tmp_path / 'data'}"
    assert prompts.read(name)[0].text == "of test"
    assert prompts.read(f"{name}:train")[0].text == "of train"
    assert prompts.read(f"{name}:train", column="messages")[0].messages == CHAT
    with pytest.raises(EvaluationError, match="has no split 'dev'; it has: train, test"):
        prompts.read(f"{name}:dev")
    with pytest.raises(EvaluationError, match="has no column 'text'; it has: messages, prompt"):
        prompts.read(name, column="text")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.jsonl", '"a"\n{"b": \n', "a.jsonl, line 2 is not JSON"),
        ("a.jsonl", "7\n", "line 1 is neither an object, nor a string, nor a list of messages"),
        ("a.json", '{"prompt": "a"}', "is no list"),
        ("a.txt", "a", "ends in .jsonl, .json, .csv or .parquet"),
        ("a.jsonl", "", "has no rows"),
        ("a.jsonl", '{"prompt": "a"}\n{"text": "b"}\n', "has no column 'prompt' in row 2; it has: prompt, text"),
        ("a.jsonl", '{"prompt": "a"}\n{"prompt": null}\n', "row 2 has no value in column 'prompt'"),
        ("a.jsonl", '{"prompt": "x\\ud800"}\n', "row 1: column 'prompt' is no valid Unicode: a lone surrogate \\ud800"),
        ("a.json", "[" * 100_000, "is nested too deeply"),
        ("a.jsonl", '{"prompt": " "}\n', "row 1: the prompt is empty"),
        ("a.jsonl", '{"prompt": 7}\n', "a prompt is a string or a list of messages"),
        ("a.jsonl", '[{"role": "system", "content": "x"}]\n', "no message of the prompt has the role user"),
        ("a.csv", "prompt,id\na,b,c\n", "row 1 has more fields"),
        ("a.parquet", "no parquet", "is no Parquet file"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(EvaluationError) as refused:
        prompts.read(written(tmp_path, name, text))
    assert said in str(refused.value)


@given(st.lists(st.dictionaries(st.sampled_from(["prompt", "x"]), st.text(), min_size=1), max_size=5))
def test_rows_come_back_from_jsonl_as_they_were_written(tmp_path_factory: Any, rows: list[dict[str, str]]) -> None:
    file = tmp_path_factory.mktemp("rows") / "a.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8", newline="")
    assert row_file.read(file) == rows


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("<think>a</think>b", "b"),
        ("a</think>b", "b"),
        ("b<THINK>a</THINK> c", "b c"),
        ("<think>never closed", ""),
        ("<think>a</think>b<think>c</think>d", "bd"),
        ("say <think> to think", "say <think> to think"),
        ("plain", "plain"),
    ],
)
def test_lengths_are_of_what_the_judge_sees(text: str, seen: str) -> None:
    assert visible(text) == seen


@given(st.text(alphabet="abc\n"), st.lists(st.text(alphabet="abc\n", min_size=1, max_size=2), max_size=3))
def test_a_cut_text_has_no_stop_in_it_and_is_how_the_text_begins(text: str, stops: list[str]) -> None:
    kept, stopped = cut(text, tuple(stops))
    assert text.startswith(kept)
    assert stopped == any(stop in text for stop in stops)
    assert not any(stop in kept for stop in stops)
