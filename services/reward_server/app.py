"""The HTTP face: routes and status codes."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Query, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

import guerdon
from guerdon.messages import MAX_WAIT_S, Job, Readiness, Refusal, RewardList, ScoreRequest, ScoreResponse
from http_face import garbage, refusals, tracing
from http_face.body_limit import BodyLimit
from http_face.door import Door
from http_face.hang_up import unless_gone
from http_face.refusals import REFUSALS
from http_face.refused import Refused, Unavailable
from http_face.request_log import RequestLog, note
from http_face.strict_json import StrictJsonRoute
from reward_server import catalog
from reward_server.cohort import Cohorts
from reward_server.fleet import Fleet
from reward_server.job_queue import JobQueue
from reward_server.job_record import Limits, Record
from reward_server.jobs import Jobs, job_id_of
from reward_server.metrics import COHORTS, OWED
from reward_server.quota import Quotas
from reward_server.round_trips import RoundTrips
from reward_server.scoring import Scoring, deadline_of
from reward_server.settings import Settings
from reward_server.tenants import Tenants
from reward_server.turnstile import Turnstile
from reward_server.work_queue import PersistentQueue

NEARLY_FULL = 0.9
"""Of the most items in flight, from how many on no further requests should be sent here."""

NO_JOB: dict[int | str, dict[str, Any]] = {
    404: {"model": Refusal, "description": "There is no such job, or not any more"},
    **{code: REFUSALS[code] for code in (401, 422, 503)},
}


def create_app(settings: Settings) -> FastAPI:
    """Return the server; it connects to Redis when it starts.

    Raises:
        catalog.ConfigError: the operator's rewards.toml or tenants.toml is wrong.
    """
    app = FastAPI(
        title="Guerdon reward server",
        version=guerdon.__version__,
        description="Write a reward once, serve it to every trainer, and never let a failed reward teach the policy.",
        lifespan=_lifespan,
        redirect_slashes=False,  # a redirect would be made of the Host header; a path that is none is 404
        telemetry=tracing.FASTAPI,
    )
    state = app.state
    state.settings, state.catalog, state.draining = settings, catalog.load(settings.config), False
    state.tenants = Tenants.configured(settings)
    app.include_router(ROUTES)
    refusals.install(app)
    app.add_middleware(Turnstile)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s)
    app.add_middleware(Door, whose=state.tenants.whose)
    app.add_middleware(RequestLog)  # last: the outermost
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state, settings = app.state, app.state.settings
    queue = state.queue = JobQueue(settings)
    trips = RoundTrips(queue.redis)
    state.quotas = Quotas(trips)
    state.cohorts = Cohorts(trips, queue.reply_to, settings.max_in_flight_bytes)
    state.jobs = Jobs(
        trips,
        queue.reply_to,
        run=lambda tenant, body, deadline: _job_answered(state, tenant, body, deadline),
        ended=lambda tenant, job_id: state.quotas.release(state.tenants.named(tenant), job_id),
        draining=lambda: state.draining,
        limits=Limits(settings.max_jobs, settings.max_job_bytes, settings.job_ttl_s),
        at_once=settings.jobs_at_once,
    )
    queue.notices |= {"cohort": state.cohorts.hear, "job": state.jobs.hear}
    COHORTS.set_function(lambda: state.cohorts.waiting)
    await queue.start()
    OWED.watch(queue.owed, [one.name for one in state.catalog.on_worker()])
    state.jobs.start()
    garbage.collect_rarely()
    yield
    state.draining = True
    await state.jobs.close()
    await state.cohorts.close()
    await trips.close()
    await queue.stop()


ROUTES = APIRouter(route_class=StrictJsonRoute)


def _example(name: str) -> Any:
    return json.loads((files(guerdon) / "examples" / f"{name}.json").read_text(encoding="utf-8"))


REQUEST = {"requestBody": {"content": {"application/json": {"example": _example("score_request")}}}}


def _answer(name: str) -> dict[str, Any]:
    return {"content": {"application/json": {"example": _example(name)}}}


@ROUTES.post(
    "/v1/score",
    response_model=ScoreResponse,
    responses=REFUSALS | {200: _answer("score_response")},
    openapi_extra=REQUEST,
)
async def score(request: Request, body: ScoreRequest) -> Response:
    """Score items, or whole groups of them, under one or several named rewards, and wait for the answer.

    As many scores as items, in their order. A failed item is null with a typed status; its neighbours are scored.
    Members of one group may come in several requests: each waits until all have come.
    """
    state, tenant = request.app.state, request.state.tenant
    deadline = deadline_of(body)
    scoring = Scoring(body, state.catalog, state.queue, deadline, tenant.name, cohorts=state.cohorts)
    _check(state, scoring)
    async with state.quotas.held(tenant, len(body.items), deadline):
        answer = await unless_gone(request, scoring.answer())
    return Response(answer.model_dump_json(), media_type="application/json")


@ROUTES.post(
    "/v1/jobs",
    status_code=202,
    response_model=Job,
    responses=REFUSALS | {202: _answer("job_accepted")},
    openapi_extra=REQUEST,
)
async def submit(
    request: Request,
    body: ScoreRequest,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> Response:
    """Accept a request to be scored without waiting, after everything interactive; its deadline counts from now.

    With an Idempotency-Key the same request can be sent again, and is one job. The answer's Location is where to look.
    """
    state, tenant = request.app.state, request.state.tenant
    deadline, job_id = deadline_of(body), job_id_of(tenant.name, idempotency_key)
    _check(state, Scoring(body, state.catalog, state.queue, deadline, tenant.name))
    for name in body.rewards:
        if (closed := state.queue.admission.closed(name)) is not None:
            raise Unavailable(closed)
    await state.quotas.admit(tenant, len(body.items), job_id, deadline)
    try:
        record = await state.jobs.submit(job_id, tenant.name, body)
    except (Refused, Unavailable):
        state.quotas.release(tenant, job_id)
        raise
    if record.ended:  # sent again after its end
        state.quotas.release(tenant, job_id)
    return Response(record.json(), 202, {"location": f"/v1/jobs/{job_id}"}, "application/json")


@ROUTES.get("/v1/jobs/{job_id}", response_model=Job, responses=NO_JOB | {200: _answer("job")})
async def job(
    request: Request, job_id: str, wait_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S, allow_inf_nan=False)] = 0.0
) -> Response:
    """Look at a job; with `wait_s`, wait for its end so long."""
    state, tenant = request.app.state, request.state.tenant
    return _job(await unless_gone(request, state.jobs.look(job_id, tenant.name, wait_s)))


@ROUTES.delete("/v1/jobs/{job_id}", response_model=Job, responses=NO_JOB)
async def cancel(request: Request, job_id: str) -> Response:
    """End a job that is queued or running. One that has ended stays as it is."""
    state, tenant = request.app.state, request.state.tenant
    return _job(await state.jobs.cancel(job_id, tenant.name))


def _job(record: Record | None) -> Response:
    if record is None:
        raise HTTPException(404, "there is no such job, or not any more")
    return Response(record.json(), media_type="application/json")


def _check(state: Any, scoring: Scoring) -> None:
    """Refuse what is wrong before it counts against any limit, and note what is asked for."""
    body, most = scoring.request, state.settings.max_items
    if len(body.items) > most:
        raise Refused("items", f"{len(body.items)} items; at most {most} in one request")
    note(items=len(body.items), rewards=[name for name in body.rewards if name in state.catalog.rewards], run=body.run)
    scoring.check()


async def _job_answered(state: Any, tenant: str, body: ScoreRequest, deadline: float) -> bytes:
    queue = PersistentQueue(state.queue)
    scoring = Scoring(body, state.catalog, queue, deadline, tenant, bulk=True, cohorts=state.cohorts)
    return (await scoring.answer()).model_dump_json().encode()


@ROUTES.get("/v1/rewards", responses={401: REFUSALS[401]})
async def rewards(request: Request) -> RewardList:
    """List what is served: scope, where it runs, components with range and direction, version, settings."""
    return RewardList(rewards=[catalog.info(one) for one in request.app.state.catalog.rewards.values()])


@ROUTES.get("/healthz")
async def healthz() -> dict[str, str]:
    """Alive: the event loop turns."""
    return {"status": "alive"}


@ROUTES.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
async def readyz(request: Request) -> Response:
    """Ready: Redis answers, replies are collected, neither full nor draining. Workers are information, no condition."""
    state = request.app.state
    redis = await state.queue.ping()
    backlog = state.queue.in_flight
    full = backlog >= NEARLY_FULL * state.settings.max_in_flight
    fleet = await state.queue.workers() if redis else Fleet()
    kinds = state.catalog.on_worker()
    readiness = Readiness(
        ready=redis and state.queue.healthy and not full and not state.draining,
        redis=redis,
        replies=state.queue.healthy,
        draining=state.draining,
        backlog=backlog,
        workers={one.name: count for one in kinds if (count := fleet.serving(one))},
        workers_otherwise={one.name: count for one in kinds if (count := fleet.otherwise(one))},
    )
    return Response(readiness.model_dump_json(), 200 if readiness.ready else 503, media_type="application/json")


@ROUTES.get("/metrics", response_class=Response)
async def metrics() -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
