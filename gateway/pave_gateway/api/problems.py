"""What went wrong, as problem details (RFC 9457): what, the value, and the next step."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class ProblemDetails(BaseModel):
    """RFC 9457, 3.1, with two members of our own: `value` and `next_step`."""

    type: str = "about:blank"
    title: str = Field(description="The HTTP status in words")
    status: int
    detail: str = Field(description="What went wrong")
    value: str = Field("", description="What it went wrong with, empty where it is no single value")
    next_step: str = Field("", description="What to do about it")


class Problem(Exception):  # noqa: N818 - what the answer says, RFC 9457's word
    """Ends a request with problem details."""

    def __init__(self, status: int, detail: str, value: str = "", next_step: str = "") -> None:
        super().__init__(detail)
        title = HTTPStatus(status).phrase
        self.details = ProblemDetails(title=title, status=status, detail=detail, value=value, next_step=next_step)


RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "Problem details (RFC 9457)",
        "content": {MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}},
    }
}  # of every operation


def problem(status: int, message: str, value: str = "") -> Problem:
    """Return the problem of a core's message, which says what, then a semicolon and the next step."""
    detail, _, next_step = message.rpartition("; ")
    return Problem(status, detail, value, next_step) if detail else Problem(status, message, value)


def add_problems(app: FastAPI) -> None:
    """Let every error of `app` be answered with problem details."""
    app.add_exception_handler(Problem, _of_problem)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_defect)


def _answer(found: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(found.details.model_dump(), found.details.status, headers, MEDIA_TYPE)


async def _of_problem(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return _answer(error)


async def _of_validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
    value = first.get("input")
    shown = value if isinstance(value, str) else "" if value is None else repr(value)
    return _answer(Problem(422, f"{where}: {first['msg']}", shown[:120], "see /openapi.json for what is allowed"))


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    details = Problem(error.status_code, error.detail, request.url.path, "see /openapi.json for what there is")
    return _answer(details, error.headers)


async def _of_defect(_request: Request, error: Exception) -> JSONResponse:
    return _answer(Problem(500, f"a defect of the gateway: {error!r}", "", "see its log, and report it"))
