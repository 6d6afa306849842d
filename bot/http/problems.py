"""What is wrong with a request, as RFC 9457 problems: all of them at once, with the codes of docs/errors.md."""

import logging
import math
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shared.errors import LmlError, Problem, ServiceUnavailable
from shared.log.quotas import QuotaFull

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
AGAIN_IN_S = 5
"""When a client may try again after something that LML needs did not answer."""

_STATUS = {
    "token_missing": HTTPStatus.UNAUTHORIZED,
    "token_unknown": HTTPStatus.UNAUTHORIZED,
    "scope_missing": HTTPStatus.FORBIDDEN,
    "not_allowed": HTTPStatus.FORBIDDEN,
    "no_role": HTTPStatus.FORBIDDEN,
    "unknown_path": HTTPStatus.NOT_FOUND,
    "unknown_run": HTTPStatus.NOT_FOUND,
    "unknown_artifact": HTTPStatus.NOT_FOUND,
    "method_wrong": HTTPStatus.METHOD_NOT_ALLOWED,
    "body_slow": HTTPStatus.REQUEST_TIMEOUT,
    "run_ended": HTTPStatus.CONFLICT,
    "body_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "media_type_wrong": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "quota_waiting": HTTPStatus.TOO_MANY_REQUESTS,
    "quota_gpu_hours": HTTPStatus.TOO_MANY_REQUESTS,
    "internal_error": HTTPStatus.INTERNAL_SERVER_ERROR,
    "blob_missing": HTTPStatus.INTERNAL_SERVER_ERROR,
    "disk_full": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""What is not here was understood and cannot be done: 422; or something that LML needs is away: 503."""


def status_of(error: LmlError) -> HTTPStatus:
    """The HTTP status that an error means."""
    rest = HTTPStatus.SERVICE_UNAVAILABLE if isinstance(error, ServiceUnavailable) else HTTPStatus.UNPROCESSABLE_ENTITY
    return _STATUS.get(error.code, rest)


def problem_body(error: LmlError) -> dict[str, Any]:
    """The problem document of an error."""
    status = status_of(error)
    return {
        "type": f"urn:lml:problem:{error.code}",
        "title": status.phrase,
        "status": status.value,
        "detail": " ".join(problem.sentence() for problem in error.problems),
        "code": error.code,
        "problems": [
            {"code": problem.code, "message": problem.message, "hint": problem.hint} for problem in error.problems
        ],
    }


def retry_after_s(error: LmlError) -> int | None:
    """When the same request may succeed; None where nobody knows."""
    if isinstance(error, QuotaFull) and error.frees_in_s is not None:
        return max(1, math.ceil(error.frees_in_s))
    return AGAIN_IN_S if status_of(error) is HTTPStatus.SERVICE_UNAVAILABLE else None


async def on_error(_request: Request, error: Exception) -> Response:
    """The answer to what a handler raised."""
    assert isinstance(error, LmlError)  # noqa: S101 - it is registered for these only
    status, headers = status_of(error), {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="lml"'
    again_s = retry_after_s(error)
    if again_s is not None:
        headers["Retry-After"] = str(again_s)
    return JSONResponse(problem_body(error), status_code=status, headers=headers, media_type=MEDIA_TYPE)


async def on_http_error(request: Request, error: Exception) -> Response:
    """The answer to a path or a method that the server does not have."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these only
    where = f"{request.method} {request.url.path}"[:200]
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        problem = Problem("method_wrong", f"`{where}` is not served.", f"This path takes {allowed}.")
        answer = await on_error(request, LmlError(problem))
        answer.headers["Allow"] = allowed
        return answer
    problem = Problem("unknown_path", f"`{where}` is not served.", "GET /v1/openapi.json lists what is.")
    return await on_error(request, LmlError(problem))


async def on_bug(request: Request, _error: Exception) -> Response:
    """The answer to an error of ours; the server logs its trace."""
    logger.error("%s %s broke.", request.method, request.url.path)
    return await on_error(request, LmlError(broken()))


def broken() -> Problem:
    """An error of ours, as others hear of it."""
    return Problem(
        "internal_error",
        "LML itself broke on this request.",
        "Its operator finds the reason in the bot's log; the same Idempotency-Key makes it safe to send it again.",
    )
