"""Errors of the API as RFC 9457 problem documents, written for the person who meets them.

`code` is a short word that the page translates; `title` and `detail` are plain English for
everybody else. What was sent in is never repeated: it may be a password.
"""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from appliance.ipc import Refused
from appliance.ledger.errors import LedgerError
from appliance.web.control import ControlAway

log = logging.getLogger("centrala.web")


class Problem(Exception):
    """An answer other than success. `status` is an HTTP status."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str = "",
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(title)
        self.status, self.code, self.title, self.detail = status, code, title, detail
        self.headers, self.more = headers, more


def problem_body(
    status: int, code: str, title: str, detail: str = "", **more: Any
) -> dict[str, Any]:
    body: dict[str, Any] = {"type": "about:blank", "status": status, "code": code, "title": title}
    if detail:
        body["detail"] = detail
    return body | more


def problem_response(
    status: int,
    code: str,
    title: str,
    detail: str = "",
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Response:
    return JSONResponse(
        problem_body(status, code, title, detail, **more),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        media_type="application/problem+json",
    )


def install(app: FastAPI) -> None:
    """Every error of `app` leaves as a problem document."""

    @app.exception_handler(Problem)
    async def on_problem(request: Request, error: Problem) -> Response:
        return problem_response(
            error.status, error.code, error.title, error.detail, error.headers, **error.more
        )

    @app.exception_handler(Refused)
    async def on_refused(request: Request, error: Refused) -> Response:
        return problem_response(409, "refused", "That is not possible now.", str(error))

    @app.exception_handler(ControlAway)
    async def on_away(request: Request, error: ControlAway) -> Response:
        return problem_response(
            503,
            "restarting",
            "The box is restarting.",
            "Calls are taken again in a few seconds; try again then.",
            {"Retry-After": "2"},
        )

    @app.exception_handler(LedgerError)
    async def on_ledger(request: Request, error: LedgerError) -> Response:
        log.error("%s", error)
        return problem_response(
            503,
            "ledger",
            "The list of calls cannot be read now.",
            "Calls go on. Try again in a moment; if it stays, look into the box's log.",
        )

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        wrong = [
            {"field": ".".join(str(part) for part in one["loc"]), "message": str(one["msg"])}
            for one in error.errors()[:20]
        ]
        return problem_response(
            422, "invalid", "Something in the request is missing or wrong.", errors=wrong
        )

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        titles = {404: "There is nothing here.", 405: "That cannot be done here."}
        title = titles.get(error.status_code, str(error.detail))
        codes = {404: "not_found", 405: "method"}
        headers = dict(error.headers) if error.headers else None
        code = codes.get(error.status_code, "http")
        return problem_response(error.status_code, code, title, headers=headers)

    @app.exception_handler(Exception)
    async def on_fault(request: Request, error: Exception) -> Response:
        log.error("fault while serving %s", request.url.path, exc_info=error)
        return problem_response(
            500, "fault", "The box met a fault of its own.", "It was written to the box's log."
        )
