"""The HTTP face: routes, status codes, health and metrics."""

import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

import guerdon
from guerdon.messages import FieldProblem, Readiness, Refusal, RewardList, ScoreRequest, ScoreResponse
from reward_server import auth, catalog, garbage
from reward_server.body_limit import BodyLimit
from reward_server.job_queue import JobQueue, Unavailable
from reward_server.metrics import REQUEST_SECONDS, REQUESTS
from reward_server.scoring import Refused, Scoring, deadline_of
from reward_server.settings import Settings

log = logging.getLogger("guerdon.api")

UNAUTHORIZED = "send the server's token: Authorization: Bearer …"
REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Refusal, "description": "No token, or not the right one"},
    413: {"model": Refusal, "description": "The body is too large"},
    422: {"model": Refusal, "description": "The request is wrong; names the field and what would have worked"},
    503: {"model": Refusal, "description": "Cannot be admitted now; Retry-After says when to ask again"},
}


class StrictJsonRoute(APIRoute):
    """Parse bodies with orjson: json lets NaN, lone surrogates and endless nesting through to fail later as a 500."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictJsonRequest(request.scope, request.receive))

        return strict


class StrictJsonRequest(Request):
    async def json(self) -> Any:
        return orjson.loads(await self.body())


def create_app(settings: Settings) -> FastAPI:
    """Return the server; it connects to Redis when it starts.

    Raises:
        catalog.ConfigError: the operator's rewards.toml is wrong.
    """
    served = catalog.load(settings.config)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.queue = JobQueue(settings)
        app.state.draining = False
        await app.state.queue.start()
        garbage.collect_rarely()
        yield
        app.state.draining = True
        await app.state.queue.stop()

    app = FastAPI(
        title="Guerdon reward server",
        version=guerdon.__version__,
        description="Write a reward once, serve it to every trainer, and never let a failed reward teach the policy.",
        lifespan=lifespan,
    )
    app.state.settings, app.state.catalog = settings, served
    app.include_router(ROUTES)
    app.add_exception_handler(RequestValidationError, _invalid)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http_error)  # type: ignore[arg-type]
    app.add_exception_handler(Refused, _refused)  # type: ignore[arg-type]
    app.add_exception_handler(Unavailable, _unavailable)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _bug)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s)
    return app


ROUTES = APIRouter(route_class=StrictJsonRoute)


def _example(name: str) -> Any:
    return json.loads((files(guerdon) / "examples" / f"{name}.json").read_text(encoding="utf-8"))


@ROUTES.post(
    "/v1/score",
    response_model=ScoreResponse,
    responses=REFUSALS | {200: {"content": {"application/json": {"example": _example("score_response")}}}},
    openapi_extra={"requestBody": {"content": {"application/json": {"example": _example("score_request")}}}},
)
async def score(request: Request, body: ScoreRequest) -> Response:
    """Score items, or whole groups of them, under one or several named rewards, and wait for the answer.

    As many scores as items, in their order. A failed item is null with a typed status; its neighbours are scored.
    """
    started = time.perf_counter()
    state = request.app.state
    if not auth.allowed(request, state.settings.bearer):
        raise HTTPException(401, UNAUTHORIZED, {"www-authenticate": "Bearer"})
    if len(body.items) > state.settings.max_items:
        raise Refused("items", f"{len(body.items)} items; at most {state.settings.max_items} in one request")
    answer = await Scoring(body, state.catalog, state.queue, deadline_of(body)).answer()
    REQUESTS.labels("score", 200).inc()
    REQUEST_SECONDS.labels("score").observe(time.perf_counter() - started)
    return Response(answer.model_dump_json(), media_type="application/json")


@ROUTES.get("/v1/rewards", responses={401: REFUSALS[401]})
async def rewards(request: Request) -> RewardList:
    """List what is served: scope, where it runs, components with range and direction, version, settings."""
    state = request.app.state
    if not auth.allowed(request, state.settings.bearer):
        raise HTTPException(401, UNAUTHORIZED, {"www-authenticate": "Bearer"})
    return RewardList(rewards=[catalog.info(one) for one in state.catalog.rewards.values()])


@ROUTES.get("/healthz")
async def healthz() -> dict[str, str]:
    """Alive: the event loop turns."""
    return {"status": "alive"}


@ROUTES.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
async def readyz(request: Request) -> Response:
    """Ready: Redis answers, replies are collected, not draining. Workers are information, not a condition."""
    state = request.app.state
    redis = await state.queue.ping()
    readiness = Readiness(
        ready=redis and state.queue.healthy and not state.draining,
        redis=redis,
        replies=state.queue.healthy,
        draining=state.draining,
        workers=await state.queue.workers() if redis else {},
    )
    return Response(readiness.model_dump_json(), 200 if readiness.ready else 503, media_type="application/json")


@ROUTES.get("/metrics", response_class=Response)
async def metrics() -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _refusal(
    route: str, code: int, error: str, headers: dict[str, str] | None = None, fields: list[FieldProblem] | None = None
) -> JSONResponse:
    REQUESTS.labels(route, code).inc()
    return JSONResponse(Refusal(error=error, fields=fields or []).model_dump(), code, headers=headers)


async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """Answer 422 without echoing the input: it may be huge, secret, or impossible to write as JSON."""
    fields = [
        FieldProblem(
            field=".".join(str(part) for part in problem["loc"][1:])[:200] or "body", problem=_printable(problem)
        )
        for problem in error.errors()[:20]
    ]
    first = fields[0]
    return _refusal(request.url.path, 422, f"{first.field}: {first.problem}", fields=fields)


def _printable(problem: Any) -> str:
    detail = problem.get("ctx", {}).get("error") if problem["type"] == "json_invalid" else None
    message = f"{problem['msg']}: {detail}" if detail else str(problem["msg"])
    return message.encode("utf-8", "replace").decode()


async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    headers = dict(error.headers) if error.headers else None
    return _refusal("other", error.status_code, str(error.detail), headers)


async def _refused(request: Request, error: Refused) -> JSONResponse:
    return _refusal("score", 422, str(error), fields=[FieldProblem(field=error.field, problem=str(error))])


async def _bug(request: Request, error: Exception) -> JSONResponse:
    return _refusal(request.url.path, 500, f"a mistake of the server's own: {type(error).__name__}; its log has more")


async def _unavailable(request: Request, error: Unavailable) -> JSONResponse:
    return _refusal("score", 503, f"{error}; ask again in a second", {"retry-after": "1"})
