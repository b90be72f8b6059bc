"""A judge server on loopback with books and a ledger of its own, and what the commands' tests ask it with."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from guerdon.judge_messages import (
    Budget,
    BudgetList,
    CompareRequest,
    CompareResponse,
    Comparison,
    Grade,
    GradeRequest,
    GradeResponse,
    GradeSample,
    JudgeInfo,
    JudgeList,
    OrderVerdict,
    Side,
    Verdict,
    Winner,
)

VERSION = "loopback-1"
TOKENS = (120, 30)
"""Of a call: prompt, completion."""
PRICE = 1e-5
"""Of a token."""


def info(name: str = "loopback", **changed: Any) -> JudgeInfo:
    told = {"kind": "replay", "model": "loopback-7b", "version": "1", "concurrency": 8, "prompt_version": VERSION}
    prices = {"prompt_price": 1e6 * PRICE, "completion_price": 1e6 * PRICE}
    return JudgeInfo.model_validate({"name": name, **told, **prices, **changed})


def prefers_more_e(answer_a: str, answer_b: str, first: Side) -> Winner:
    """A judge with a taste for the letter e."""
    a, b = answer_a.count("e"), answer_b.count("e")
    return "a" if a > b else "b" if b > a else "tie"


@dataclass
class JudgeServer:
    """Answers the v1 contract of judge servers; every call that is not in its ledger is paid.

    Attributes:
        taste: who wins, given both answers and which is shown first.
        fails: (status, error) for comparisons that are to fail.
        refuses_with: an HTTP status that every request is answered with.
        reached: called before each comparison is answered.
        paid: keys of the calls that were paid, in their order.
    """

    url: str = ""
    judges: list[JudgeInfo] = field(default_factory=lambda: [info(default=True)])
    taste: Callable[[str, str, Side], Winner] = prefers_more_e
    fails: Callable[[Comparison], str | None] = lambda comparison: None
    reached: Callable[[], None] = lambda: None
    token: str | None = None
    refuses_with: int | None = None
    requests: list[CompareRequest | GradeRequest] = field(default_factory=list)
    paid: list[str] = field(default_factory=list)
    books: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def compared(self, request: CompareRequest) -> CompareResponse:
        self.requests.append(request)
        verdicts = [self._verdict(one, request) for one in request.comparisons]
        return CompareResponse(judge="loopback", model="loopback-7b", prompt_version=VERSION, verdicts=verdicts)

    def graded(self, request: GradeRequest) -> GradeResponse:
        self.requests.append(request)
        names = [one.name for one in request.criteria] or ["quality"]
        grades = []
        for one in request.answers:
            if "unjudgeable" in one.answer:
                grades.append(Grade(status="judge_refused", error="it will not"))
                continue
            score = float(min(10, one.answer.count("e")))
            samples = [
                GradeSample(score=score, criteria=dict.fromkeys(names, score), explanation=f"{score:g} times e")
                for _ in range(request.samples)
            ]
            self._pay(f"{one.model_dump_json()}", request.run)
            grades.append(
                Grade(score=score, criteria=dict.fromkeys(names, score), explanation="counted", samples=samples)
            )
        return GradeResponse(judge="loopback", model="loopback-7b", prompt_version=VERSION, grades=grades)

    def _verdict(self, one: Comparison, request: CompareRequest) -> Verdict:
        self.reached()
        if one.answer_a == one.answer_b:
            return Verdict(winner="tie", mode="identical")
        if status := self.fails(one):
            return Verdict.model_validate({"status": status, "error": f"{status} as the test wants it"})
        orders = [self._order(one, first, sample, request) for first in ("a", "b") for sample in range(request.samples)]
        winners = {order.winner for order in orders}
        return Verdict(
            winner=winners.pop() if len(winners) == 1 else "tie",
            score_a=min(10.0, one.answer_a.count("e")),
            score_b=min(10.0, one.answer_b.count("e")),
            explanation=orders[0].explanation,
            orders=orders,
        )

    def _order(self, one: Comparison, first: Side, sample: int, request: CompareRequest) -> OrderVerdict:
        cached = not self._pay(f"{first}{sample}{one.model_dump_json()}", request.run)
        return OrderVerdict(
            first=first,
            sample=sample,
            winner=self.taste(one.answer_a, one.answer_b, first),
            score_a=min(10.0, one.answer_a.count("e")),
            score_b=min(10.0, one.answer_b.count("e")),
            explanation=f"counted the letter e with {first} first <script>alert(1)</script>",
            prompt_tokens=0 if cached else TOKENS[0],
            completion_tokens=0 if cached else TOKENS[1],
            cost=0.0 if cached else sum(TOKENS) * PRICE,
            cached=cached,
        )

    def _pay(self, call: str, run: str | None) -> bool:
        key = blake2b(call.encode(), digest_size=8).hexdigest()
        with self.lock:
            if key in self.paid:
                return False
            self.paid.append(key)
            self.books[run or ""] = self.books.get(run or "", 0) + 1
            return True

    def budget(self, run: str) -> BudgetList:
        calls = self.books.get(run, 0)
        spent = Budget(
            judge="loopback",
            run=run,
            spent_cost=round(calls * sum(TOKENS) * PRICE, 6),
            spent_tokens=calls * sum(TOKENS),
        )
        return BudgetList(budgets=[spent])


@contextmanager
def judge_server() -> Iterator[JudgeServer]:
    state = JudgeServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/v1/judges":
                self._say(JudgeList(judges=state.judges).model_dump_json())
            else:
                self._say(state.budget(self.path.partition("run=")[2]).model_dump_json())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/compare":
                answer: Any = state.compared(CompareRequest.model_validate_json(body))
            else:
                answer = state.graded(GradeRequest.model_validate_json(body))
            self._say(answer.model_dump_json())

        def _say(self, text: str) -> None:
            refused = state.token is not None and self.headers.get("authorization") != f"Bearer {state.token}"
            body = json.dumps({"error": "no token"}).encode() if refused else text.encode()
            self.send_response(state.refuses_with or (401 if refused else 200))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def judges() -> Callable[[], AbstractContextManager[JudgeServer]]:
    return judge_server


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    with judge_server() as judge:
        yield judge


def outputs(path: Path, name: str, answers: dict[str, str]) -> Path:
    """Write a model's answers in AlpacaEval's form."""
    rows = [{"instruction": prompt, "output": answer, "generator": name} for prompt, answer in answers.items()]
    path.write_text(json.dumps(rows))
    return path


@pytest.fixture
def two_outputs(tmp_path: Path) -> list[str]:
    """`good` has more of the letter e than `bad` on two prompts in three; the rest are ties."""
    questions = [f"question {number}" for number in range(30)]
    good = {q: "e" * (3 + i % 4) + " good" for i, q in enumerate(questions)}
    bad = {q: ("e" * (3 + i % 4) if i % 3 == 0 else "e") + " bad" for i, q in enumerate(questions)}
    return [
        "--outputs",
        str(outputs(tmp_path / "good.json", "good", good)),
        "--outputs",
        str(outputs(tmp_path / "bad.json", "bad", bad)),
    ]


def started(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a command of guerdon in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "guerdon.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "COLUMNS": "160"} | environment,
    )


@pytest.fixture
def start() -> Callable[..., "subprocess.Popen[str]"]:
    return started


@pytest.fixture(scope="session")
def write() -> Callable[[Path, str, dict[str, str]], Path]:
    return outputs


@pytest.fixture
def described() -> Callable[..., JudgeInfo]:
    return info
