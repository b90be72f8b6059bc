"""The judge server's HTTP face: routes and status codes."""

import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

import guerdon
from guerdon.judge_messages import (
    BudgetList,
    CompareRequest,
    CompareResponse,
    GradeRequest,
    GradeResponse,
    JudgeInfo,
    JudgeList,
    JudgeReadiness,
    Run,
)
from http_face import garbage, refusals, tracing
from http_face.body_limit import BodyLimit
from http_face.door import Door
from http_face.hang_up import unless_gone
from http_face.refusals import REFUSALS
from http_face.refused import Refused, Unavailable
from http_face.request_log import RequestLog, note
from http_face.strict_json import StrictJsonRoute
from judge_server import responses
from judge_server.admission import Admission
from judge_server.bearer import Bearer
from judge_server.calls.calls import Calls
from judge_server.judges import Judge, Judges
from judge_server.judgment.rendering import prompt_version
from judge_server.ledger.thread import LedgerUnavailable
from judge_server.llm import Asker, CallFailed
from judge_server.metrics import show_budgets
from judge_server.settings import Settings

log = logging.getLogger("guerdon.judge")


def create_app(settings: Settings, judges: Judges, calls: Calls) -> FastAPI:
    """Return the server; whoever opened `calls` closes them after it."""
    app = FastAPI(
        title="Guerdon judge server",
        version=guerdon.__version__,
        description="Compare and grade answers by language models, and never let a failed call become a verdict.",
        lifespan=_lifespan,
        redirect_slashes=False,  # a redirect would be made of the Host header; a path that is none is 404
        telemetry=tracing.FASTAPI,
    )
    state = app.state
    state.settings, state.judges, state.calls, state.draining = settings, judges, calls, False
    state.admission = Admission(settings.max_calls)
    app.include_router(ROUTES)
    refusals.install(app)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s)
    app.add_middleware(Door, whose=Bearer(settings.bearer).whose)
    app.add_middleware(RequestLog)  # last: the outermost
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    garbage.collect_rarely()
    yield
    app.state.draining = True


ROUTES = APIRouter(route_class=StrictJsonRoute)


def _example(name: str) -> Any:
    return json.loads((files(guerdon) / "examples" / f"{name}.json").read_text(encoding="utf-8"))


def _asked(name: str) -> dict[str, Any]:
    return {"requestBody": {"content": {"application/json": {"example": _example(name)}}}}


def _answer(name: str) -> dict[str, Any]:
    return {"content": {"application/json": {"example": _example(name)}}}


NO_QUOTA = {code: told for code, told in REFUSALS.items() if code != 429}


@ROUTES.post(
    "/v1/compare",
    response_model=CompareResponse,
    responses=NO_QUOTA | {200: _answer("compare_response")},
    openapi_extra=_asked("compare_request"),
)
async def compare(request: Request, body: CompareRequest) -> Response:
    """Say which of two answers is better, for a list of comparisons; both orders of each pair unless told otherwise.

    As many verdicts as comparisons, in their order. A comparison of which a call failed is null with a typed status,
    never a tie; its neighbours have their verdicts. What has no verdict by the deadline is judge_timeout.
    """
    state, judge = request.app.state, _judge(request.app.state.judges, body.judge)
    note(items=len(body.comparisons), judge=judge.name, run=body.run)
    with state.admission.promised(len(body.comparisons) * responses.calls_each(body)) as promise:
        answer = await unless_gone(request, responses.compared(_asker(state, judge, body), judge, body, promise))
    return Response(answer.model_dump_json(), media_type="application/json")


@ROUTES.post(
    "/v1/grade",
    response_model=GradeResponse,
    responses=NO_QUOTA | {200: _answer("grade_response")},
    openapi_extra=_asked("grade_request"),
)
async def grade(request: Request, body: GradeRequest) -> Response:
    """Score answers from 0 to 10 by criteria.

    As many grades as answers, in their order. A grade of which a call failed is null with a typed status, never a
    zero. What has no grade by the deadline is judge_timeout.
    """
    state, judge = request.app.state, _judge(request.app.state.judges, body.judge)
    note(items=len(body.answers), judge=judge.name, run=body.run)
    with state.admission.promised(len(body.answers) * responses.calls_each(body)) as promise:
        answer = await unless_gone(request, responses.graded(_asker(state, judge, body), judge, body, promise))
    return Response(answer.model_dump_json(), media_type="application/json")


def _asker(state: Any, judge: Judge, body: CompareRequest | GradeRequest) -> Asker:
    deadline = time.monotonic() + body.deadline_s
    asker: Asker = state.calls.asker(
        judge, run=body.run, allowance=body.allowance, prompt_version=prompt_version(), deadline=deadline
    )
    return asker


def _judge(judges: Judges, name: str | None) -> Judge:
    """Return the judge that is asked for, or the default one.

    Raises:
        Refused: there is none of that name, or something is missing before it can be asked.
    """
    known = judges.by_name
    if name is not None and name not in known:
        raise Refused("judge", f"there is no such judge; there are: {', '.join(known)}")
    judge = known[name or judges.default]
    if (problem := judges.problem(judge)) is not None:
        usable = [other for other, one in known.items() if judges.problem(one) is None]
        others = f"; judges that can be asked: {', '.join(usable)}" if usable else ""
        raise Refused("judge", f"the judge {judge.name} cannot be asked: {problem}{others}")
    return judge


@ROUTES.get("/v1/judges", response_model=JudgeList, responses={401: REFUSALS[401], 200: _answer("judge_list")})
async def list_judges(request: Request) -> Response:
    """List the configured judges: whether they can be asked, what they cost, and which are not to be believed."""
    judges: Judges = request.app.state.judges
    calls: Calls = request.app.state.calls
    every = judges.by_name.values()
    return _json(JudgeList(judges=[_info(judges, judge, calls.without(judge)) for judge in every]))


def _info(judges: Judges, judge: Judge, without: frozenset[str]) -> JudgeInfo:
    problem = judges.problem(judge)
    refused = f"its server refuses {', '.join(sorted(without))}, and is asked without" if without else None
    return JudgeInfo(
        name=judge.name,
        kind=judge.kind,
        model=judge.model,
        version=judge.version,
        default=judge.name == judges.default,
        available=problem is None,
        problem=problem,
        warning="; ".join(filter(None, (judge.warning, refused))) or None,
        structured=judge.structured and "response_format" not in without,
        logprobs=judge.logprobs and "logprobs" not in without,
        currency=judge.currency,
        prompt_price=judge.prices.prompt,
        completion_price=judge.prices.completion,
        rpm=judge.rpm,
        tpm=judge.tpm,
        concurrency=judge.concurrency,
        prompt_version=prompt_version(),
    )


@ROUTES.get(
    "/v1/budget",
    response_model=BudgetList,
    responses={401: REFUSALS[401], 503: REFUSALS[503], 200: _answer("budget_list")},
)
async def budget(request: Request, run: Annotated[Run | None, Query()] = None) -> Response:
    """Say what every judge, or one run with each of them, has spent, and what is left."""
    try:
        return _json(BudgetList(budgets=await request.app.state.calls.budgets(run)))
    except (CallFailed, LedgerUnavailable) as error:
        raise Unavailable(f"the budgets are not known now: {error}") from error


@ROUTES.get("/healthz")
async def healthz() -> dict[str, str]:
    """Alive: the event loop turns."""
    return {"status": "alive"}


@ROUTES.get(
    "/readyz",
    response_model=JudgeReadiness,
    responses={200: _answer("judge_readiness"), 503: {"model": JudgeReadiness}},
)
async def readyz(request: Request) -> Response:
    """Ready: ledger and Redis answer, neither full nor draining. Whether a provider answers is no condition."""
    state = request.app.state
    ledger, redis = await state.calls.healthy()
    readiness = JudgeReadiness(
        ready=ledger and redis is not False and not state.admission.nearly_full and not state.draining,
        ledger=ledger,
        redis=redis,
        draining=state.draining,
        calls=state.admission.owed + state.calls.left_behind,
    )
    return _json(readiness, 200 if readiness.ready else 503)


@ROUTES.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Return the metrics in Prometheus' text format."""
    try:
        show_budgets(await request.app.state.calls.budgets(None))
    except (CallFailed, LedgerUnavailable) as error:  # the other metrics say more about it
        log.warning("the budgets are not known now: %s", error)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _json(message: BudgetList | JudgeList | JudgeReadiness, code: int = 200) -> Response:
    return Response(message.model_dump_json(), code, media_type="application/json")
