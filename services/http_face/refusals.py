"""Say no in one form: what was wrong and what would have worked, never what was sent."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from guerdon.messages import FieldProblem, Refusal
from http_face.hang_up import Gone
from http_face.refused import OverQuota, Refused, Unavailable
from http_face.request_log import UNANSWERED

REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Refusal, "description": "No token, or not the right one"},
    413: {"model": Refusal, "description": "The body is too large"},
    422: {"model": Refusal, "description": "The request is wrong; names the field and what would have worked"},
    429: {"model": Refusal, "description": "The tenant has used up a limit of its own; Retry-After says until when"},
    503: {"model": Refusal, "description": "Cannot be admitted now; Retry-After says when to ask again"},
}
"""What the documentation of a route that scores says of its refusals."""


def install(app: FastAPI) -> None:
    """Answer every exception that says no."""
    app.add_exception_handler(RequestValidationError, _invalid)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http_error)  # type: ignore[arg-type]
    app.add_exception_handler(Refused, _refused)  # type: ignore[arg-type]
    app.add_exception_handler(OverQuota, _over_quota)  # type: ignore[arg-type]
    app.add_exception_handler(Unavailable, _unavailable)  # type: ignore[arg-type]
    app.add_exception_handler(Gone, _gone)


def _refusal(
    code: int, error: str, headers: dict[str, str] | None = None, fields: list[FieldProblem] | None = None
) -> JSONResponse:
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
    return _refusal(422, f"{first.field}: {first.problem}", fields=fields)


def _printable(problem: Any) -> str:
    detail = problem.get("ctx", {}).get("error") if problem["type"] == "json_invalid" else None
    message = f"{problem['msg']}: {detail}" if detail else str(problem["msg"])
    return message.encode("utf-8", "replace").decode()


async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    headers = dict(error.headers) if error.headers else None
    return _refusal(error.status_code, str(error.detail), headers)


async def _refused(request: Request, error: Refused) -> JSONResponse:
    return _refusal(422, str(error), fields=[FieldProblem(field=error.field, problem=str(error))])


async def _over_quota(request: Request, error: OverQuota) -> JSONResponse:
    return _refusal(429, f"{error}; ask again in {error.retry_after_s} s", {"retry-after": str(error.retry_after_s)})


async def _unavailable(request: Request, error: Unavailable) -> JSONResponse:
    return _refusal(503, f"{error}; ask again in {error.retry_after_s} s", {"retry-after": str(error.retry_after_s)})


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=UNANSWERED)  # for log and metrics; nobody reads it
