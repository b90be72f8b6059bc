import csv
import json
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_trainer import datasets
from grpo_trainer.config import run_file
from grpo_trainer.config.run_file import RunFileError
from grpo_trainer.examination import preflight
from grpo_trainer.sql_cot import car_dealership, row_file
from grpo_trainer.sql_cot.corpus import examples
from grpo_trainer.sql_cot.corruptions import KINDS
from grpo_trainer.sql_cot.database import Database, same
from grpo_trainer.sql_cot.prompt import filled, template
from grpo_trainer.sql_cot.rows import Row, build, split
from grpo_trainer.sql_cot.schema import described
from grpo_trainer.sql_cot.spelling import identifier, literal
from grpo_trainer.sql_cot.sqlcot_command import main
from grpo_trainer.sql_cot.targets import PART, embedding_targets, in_parts
from long_work import json_file

ROW = {"sql": "SELECT 1", "cot": "Say one.", "nl": "What is one?"}
SHOP = '''
CREATE TABLE "Order" (
    OrderId INTEGER PRIMARY KEY, "group" TEXT, "unit ""price""" REAL, ShippedYear INTEGER, photo BLOB, ClientId INTEGER,
    FOREIGN KEY (ClientId) REFERENCES client
);
CREATE TABLE client (id INTEGER PRIMARY KEY, "where" TEXT, points INTEGER, mentor_id INTEGER REFERENCES client (id));
CREATE TABLE empty (a, b);
CREATE VIEW endless AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n;
'''


@pytest.fixture(scope="module")
def dealership(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("database") / "cars ? # %.sqlite"
    car_dealership.write(path)
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose names need quotes, with nulls, blobs, a key to no named column and one to its own table."""
    path = tmp_path_factory.mktemp("database") / "shop.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SHOP)
        for i in range(90):
            order = (i, ("O'Hara", "north; --", "söuth")[i % 3], i * 1.25, 2000 + i % 7, b"\xff\x00" * 100_000, i % 20)
            connection.execute('INSERT INTO "Order" VALUES (?, ?, ?, ?, ?, ?)', order)
        for i in range(20):
            client = (i, "{sql}" if i % 2 else None, i * i, max(i - 1, 0))
            connection.execute("INSERT INTO client VALUES (?, ?, ?, ?)", client)
    return path


@pytest.fixture(scope="module")
def rows(dealership: Path) -> list[Row]:
    return build(dealership, 480, 0)


@pytest.fixture(scope="module")
def shop_rows(shop: Path) -> list[Row]:
    return build(shop, 200, 3)


def test_half_of_the_rows_are_corrupted_in_all_ways_about_equally(rows: list[Row]) -> None:
    counts = Counter(row["corruption"] for row in rows)
    assert counts.pop(None) == 240
    assert set(counts) == set(KINDS)
    assert min(counts.values()) >= 25


@pytest.mark.parametrize("source", ["rows", "shop_rows"])
def test_every_sql_runs_and_a_corrupted_one_gives_another_result(source: str, request: pytest.FixtureRequest) -> None:
    found: list[Row] = request.getfixturevalue(source)
    clean = {row["query_id"]: row for row in found if row["corruption"] is None}
    with Database(request.getfixturevalue("dealership" if source == "rows" else "shop")) as database:
        for row in found:
            own, right = database.rows(row["sql"]), database.rows(clean[row["query_id"]]["sql"])
            assert own is not None
            assert right is not None
            assert row["execution_match"] == (row["corruption"] is None)
            assert same(own, right, ordered="ORDER BY" in row["sql"]) == row["execution_match"]


@pytest.mark.parametrize("source", ["rows", "shop_rows"])
def test_a_corrupted_row_differs_from_its_query_in_the_sql_alone(source: str, request: pytest.FixtureRequest) -> None:
    found: list[Row] = request.getfixturevalue(source)
    assert len({(row["sql"], row["cot"]) for row in found}) == len(found)
    pairs: dict[str, list[Row]] = {}
    for row in found:
        pairs.setdefault(row["query_id"], []).append(row)
    for one, other in pairs.values():
        assert (one["cot"], one["nl"]) == (other["cot"], other["nl"])
        assert one["sql"] != other["sql"]


def test_texts_are_short(rows: list[Row]) -> None:
    lengths = [len(row["sql"] + row["cot"]) for row in rows]
    assert median(lengths) < 150
    assert max(lengths) < 260


def test_a_seed_decides_the_rows_and_fewer_are_among_more(dealership: Path, tmp_path: Path, rows: list[Row]) -> None:
    again = tmp_path / "again.sqlite"
    car_dealership.write(again)
    assert build(again, 480, 0) == rows
    assert all(row in rows for row in build(dealership, 60, 0))
    assert build(dealership, 60, 1) != build(dealership, 60, 0)


def test_another_database_gives_all_corruptions_and_joins(shop_rows: list[Row]) -> None:
    assert {row["corruption"] for row in shop_rows} >= set(KINDS) - {"other_table"}
    assert any(" JOIN " in row["sql"] for row in shop_rows)
    assert any("O''Hara" in row["sql"] and "O'Hara" in row["cot"] for row in shop_rows)


def test_a_database_with_nothing_to_ask_about_is_refused_with_what_it_gives(tmp_path: Path) -> None:
    path = tmp_path / "small.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE one (a)")
    with pytest.raises(ValueError, match="gives only 0 distinct rows, not 2"):
        build(path, 2, 0)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at as one" * 20)
    with pytest.raises(ValueError, match="cannot be read as a SQLite database"):
        build(tmp_path / "text.db", 2, 0)
    with pytest.raises(ValueError, match="there is no database"):
        build(tmp_path / "missing.db", 2, 0)
    assert not (tmp_path / "missing.db").exists()


def test_a_statement_without_end_is_given_up_and_nothing_can_be_written(shop: Path) -> None:
    began = time.monotonic()
    with Database(shop) as database:
        assert database.rows("SELECT COUNT(*) FROM endless") is None
        assert database.rows("SELECT i FROM endless") is None
        assert database.rows("DELETE FROM client") is None
        assert database.rows("SELECT COUNT(*) FROM client") == [(20,)]
    assert time.monotonic() - began < 30


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary(), max_size=9))
def test_any_values_can_be_described(values: list[Any]) -> None:
    column = described("a", values)
    assert all(isinstance(value, int | float | str) for value in column.values)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_any_name_and_any_text_survive_in_sql(text: str) -> None:
    name, value = identifier(text), literal(text)
    with closing(sqlite3.connect(":memory:")) as connection:
        assert connection.execute(f"SELECT {name} FROM (SELECT {value} AS {name})").fetchone() == (text,)


@given(st.lists(st.integers(0, 12), min_size=1), st.floats(0, 0.99), st.integers(0, 99))
def test_a_split_keeps_each_query_on_one_side(queries: list[int], share: float, seed: int) -> None:
    numbered = [{"query_id": str(query), "n": n} for n, query in enumerate(queries)]
    train, validation = split(numbered, share, seed)
    assert sorted(row["n"] for row in train + validation) == list(range(len(queries)))
    assert not {row["query_id"] for row in train} & {row["query_id"] for row in validation}
    assert train
    assert bool(validation) == (share > 0 and len(set(queries)) > 1)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_a_file_is_read_as_it_was_written(name: str, tmp_path: Path, shop_rows: list[Row]) -> None:
    path = tmp_path / name
    if path.suffix == ".jsonl":
        json_file.write_rows(path, shop_rows)
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(shop_rows[0]))
            writer.writeheader()
            writer.writerows(shop_rows)
    assert row_file.read(path) == shop_rows


def file(tmp_path: Path, *lines: Any, suffix: str = "jsonl") -> Path:
    path = tmp_path / f"mine.{suffix}"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("suffix", "lines", "said"),
    [
        ("jsonl", [ROW, "", "{oops"], "line 3: not JSON"),
        ("jsonl", [ROW, "[1]"], "line 2: a list, not an object"),
        ("jsonl", [{"sql": "a", "cot": "b", "question": "c"}], "no column 'nl'; columns found: sql, cot, question"),
        ("jsonl", [ROW, ROW | {"cot": 3}], r"row 2 \(line 2\): cot is no text: 3"),
        ("jsonl", [ROW, "", ROW | {"target": float("nan")}], r"row 2 \(line 3\): target is .* in \[0, 1\], not nan"),
        ("jsonl", [ROW | {"target": 1.5}], "row 1 .*not 1.5"),
        ("jsonl", [ROW | {"sql": "\ud800"}], "sql is no text"),
        ("jsonl", [ROW | {"target": True}], "row 1 .*not True"),
        ("jsonl", [ROW | {"execution_match": "maybe"}], "execution_match is true or false, not 'maybe'"),
        ("jsonl", [""], "has no rows"),
        ("csv", ["sql,cot"], "no column 'nl'; columns found: sql, cot"),
        ("csv", ["sql,cot,nl", "a,b,c", "a,b"], "line 3: 2 cells, but the header has 3"),
        ("csv", ["sql,cot,nl,target", '"a\nb",b,c,0.5', "a,b,c,high"], r"row 2 \(line 4\): target .*not 'high'"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(suffix: str, lines: list[Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(row_file.BadRow, match=said):
        row_file.read(file(tmp_path, *lines, suffix=suffix))


def test_rows_of_a_file_that_share_sql_or_question_are_of_one_query(tmp_path: Path) -> None:
    texts = [("a", "1"), ("b", "2"), ("A ", "2"), ("c", "3")]
    found = row_file.read(file(tmp_path, *({"sql": sql, "cot": "x", "nl": nl} for sql, nl in texts)))
    ids = [row["query_id"] for row in found]
    assert ids[0] == ids[1] == ids[2] != ids[3]


def test_embedding_targets_are_those_of_the_served_reward() -> None:
    from reward_server.rewards import Item
    from reward_server.rewards.sql_cot import SqlCot

    rng = np.random.default_rng(0)
    vectors = {text: vector / np.linalg.norm(vector) for text in "abcdef" for vector in [rng.normal(size=3)]}
    found = [dict(zip(("sql", "cot", "nl"), texts, strict=True)) for texts in ("abc", "def", "aaa", "fbd")]
    targets = embedding_targets(found, lambda texts: np.array([vectors[text] for text in texts]))
    for row, target in zip(found, targets, strict=True):
        item = Item("", "", context=row, vectors=[vectors[row[name]] for name in ("cot", "sql", "nl")])
        assert target == pytest.approx(SqlCot().target(item), abs=1e-9)
    assert targets[2] == pytest.approx(1.0)
    assert embedding_targets([], lambda texts: np.zeros((0, 3))) == []


def test_the_few_shot_prompt_is_as_measured_and_braces_in_a_row_stay() -> None:
    row = {"sql": "SELECT '{cot} {x}'", "cot": "Say {nl}.", "nl": "?"}
    assert filled(template("few_shot"), row) == (
        "SQL: SELECT COUNT(*) FROM dogs\nReasoning: Count the dogs.\n"
        "Match: <think>same table</think> <score>0.8</score>\n"
        "SQL: SELECT '{cot} {x}'\nReasoning: Say {nl}.\nMatch:"
    )


def test_the_dataset_gives_prompts_with_the_rows_and_without_leaks() -> None:
    train, validation = datasets.load("sql_cot", rows=100, validation_share=0.2)
    assert len(train) + len(validation) == 100
    assert 20 <= len(validation) <= 21
    assert set(train[0]) == {"prompt", "sql", "cot", "nl", "reference", "corruption", "query_id"}
    assert all(row["reference"] is None and row["prompt"].endswith("\nMatch:") for row in train)
    assert not {row["query_id"] for row in train} & {row["query_id"] for row in validation}


def test_each_target_has_its_reference(tmp_path: Path, shop: Path) -> None:
    train, _ = datasets.load("sql_cot", database=str(shop), rows=40, target="execution")
    assert {(row["corruption"] is None, row["reference"]) for row in train} == {(True, 1.0), (False, 0.0)}
    path = str(file(tmp_path, ROW | {"target": 0.25}, ROW | {"nl": "Another?", "sql": "SELECT 2", "target": 1}))
    train, validation = datasets.load("sql_cot", path=path, target="column", validation_share=0.5)
    assert sorted(row["reference"] for row in train + validation) == [0.25, 1.0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rowz": 3}, "unknown setting 'rowz'; did you mean 'rows'"),
        ({"rows": "480"}, "rows: input should be a valid integer, not '480'"),
        ({"rows": 1}, "rows: input should be greater than or equal to 2"),
        ({"validation_share": 1.0}, "validation_share: input should be less than 1"),
        ({"target": "similarity"}, "target: input should be 'embedding', 'execution' or 'column'"),
        ({"path": "a", "database": "b"}, "two sources"),
        ({"prompt": "few"}, "there is no prompt 'few'.*few_shot, instruct"),
        ({"target": "column"}, 'row 1 has no target, which target = "column" needs'),
        ({"path": "missing.jsonl"}, "missing.jsonl"),
    ],
)
def test_wrong_settings_are_refused_before_the_run(settings: dict[str, Any], said: str) -> None:
    config = run_file.read("demo", [(("dataset", name), value) for name, value in settings.items()]).config()
    with pytest.raises(RunFileError, match=said):
        preflight.load_rows(config)


def test_an_unknown_dataset_names_those_there_are() -> None:
    assert "sql_cot" in datasets.names()
    with pytest.raises(ValueError, match="did you mean 'sql_cot'"):
        datasets.load("sqlcot")


def test_a_prompt_without_a_place_for_the_sql_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("{cot}")
    with pytest.raises(ValueError, match=r"has no place \{sql\}"):
        template(str(tmp_path / "mine.txt"))


def test_the_runs_that_ship_have_prompts_of_their_policy_s_kind() -> None:
    chat, _ = preflight.load_rows(run_file.read("sql_cot").config())
    [message] = chat[0]["prompt"]
    assert message["role"] == "user"
    assert all(chat[0][name] in message["content"] for name in ("sql", "cot", "nl"))
    plain, validation = preflight.load_rows(run_file.read("demo").config())
    assert all(isinstance(row["prompt"], str) for row in plain + validation)


def test_the_command_counts_the_corruptions_and_says_where_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "rows.jsonl"
    assert main(["build", "--car-dealership", "--rows", "40", "--seed", "2", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"wrote 40 rows of 20 queries to {out}" in said
    assert all(kind in said for kind in ("clean", *KINDS))
    assert len(row_file.read(out)) == 40
    assert main(["build", "--database", str(out), "--out", str(tmp_path / "x.jsonl")]) == 2
    assert "cannot be read as a SQLite database" in capsys.readouterr().err


def test_rows_can_be_held_out_and_built_without_the_queries_of_other_files(tmp_path: Path) -> None:
    out, held_out, more = (tmp_path / f"{name}.jsonl" for name in ("out", "held_out", "more"))
    assert main(["build", "--rows", "60", "--held-out", str(held_out), "--out", str(out)]) == 0
    assert main(["build", "--rows", "60", "--without", str(out), "--without", str(held_out), "--out", str(more)]) == 0
    train, validation = datasets.load("sql_cot", path=str(out), validation_path=str(held_out))
    assert (len(train) + len(validation), bool(validation)) == (60, True)
    ids = [{row["query_id"] for row in row_file.read(path)} for path in (out, held_out, more)]
    assert not ids[0] & ids[1]
    assert not (ids[0] | ids[1]) & ids[2]


def test_a_validation_file_that_shares_a_query_with_the_training_file_is_refused(tmp_path: Path) -> None:
    path = str(file(tmp_path, ROW))
    with pytest.raises(ValueError, match="share 1 queries"):
        datasets.load("sql_cot", path=path, validation_path=path)
    with pytest.raises(ValueError, match="validation_path goes with path"):
        datasets.load("sql_cot", validation_path=path)


def test_a_corpus_has_the_reward_s_form_and_shuffled_scores() -> None:
    from reward_server.rewards.sql_cot import parse

    found = [ROW | {"sql": "SELECT MAX(a) FROM t WHERE b = 1 AND c > 2", "target": n / 100} for n in range(100)]
    shuffled = [parse(one["completion"]) for one in examples(found, "{sql} {cot}", 0.0, 0)]
    assert all(form == 1.0 and score != row["target"] for (form, score), row in zip(shuffled, found, strict=True))
    own = examples(found, "{sql} {cot}", 1.0, 0)
    assert [parse(one["completion"])[1] for one in own] == [row["target"] for row in found]
    assert own[7]["completion"] == "<think>max(a) of t by b c</think><score>0.07</score>"
    with pytest.raises(ValueError, match=r"share in \[0, 1\], not 2"):
        examples(found, "{sql}", 2, 0)


def test_texts_embedded_in_parts_keep_their_order_and_say_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    sizes: list[int] = []

    def embed(texts: list[str]) -> Any:
        sizes.append(len(texts))
        return np.array([[float(text)] for text in texts])

    texts = [str(number) for number in range(2 * PART + 1)]
    assert in_parts(embed)(texts)[:, 0].tolist() == [float(text) for text in texts]
    assert sizes == [PART, PART, 1]
    assert "targets: texts embedded: 1025/1025, done" in capsys.readouterr().err


def test_an_unknown_subcommand_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["buidl"]) == 2
    assert "there are: build, corpus, evaluate, filter" in capsys.readouterr().err
    assert main([]) == 0
