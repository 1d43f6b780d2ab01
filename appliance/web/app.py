"""The web application: guard, API and pages put together."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.types import ASGIApp

from appliance import __version__
from appliance.ipc import Refused
from appliance.live import GetHealth, Health
from appliance.web import errors
from appliance.web.api import (
    agent,
    callbacks,
    calling,
    calls,
    demo,
    live,
    messages,
    session,
    sounds,
)
from appliance.web.api import site as site_api
from appliance.web.control import ControlAway
from appliance.web.guard import Guard
from appliance.web.office import Office, TheOffice
from appliance.web.pages import Pages

HEALTH_TIMEOUT_S = 1.5

health_router = APIRouter(tags=["health"])


@health_router.get("/health")
async def health(office: TheOffice, response: Response) -> dict[str, Any]:
    """`ready` once calls can be taken. `starting` comes with status 503. Needs no sign-in."""
    response.headers["Cache-Control"] = "no-store"
    try:
        answer: Health = await office.link.ask(GetHealth(), Health, HEALTH_TIMEOUT_S)
    except (ControlAway, Refused):
        answer = Health("starting", ("The call part of the box is not running yet.",))
    if answer.status == "starting":
        response.status_code = 503
    return {"status": answer.status, "detail": list(answer.detail)}


def create_app(office: Office, pages: Pages) -> ASGIApp:
    """The ASGI application of one office."""
    app = FastAPI(
        title="Centrala",
        version=__version__,
        description="The call-centre box of this office.",
        openapi_url="/api/v1/openapi.json",
        # Their pages load scripts from a public host.
        docs_url=None,
        redoc_url=None,
    )
    app.state.office = office
    errors.install(app)
    for part in (
        health_router,
        session.router,
        live.router,
        agent.router,
        calling.router,
        calls.router,
        callbacks.router,
        messages.router,
        sounds.router,
        site_api.router,
    ):
        app.include_router(part, prefix="/api/v1")
    app.include_router(demo.router, prefix="/api/v1")

    async def page(request: Request) -> Response:
        return pages.answer(request)

    app.add_route("/{path:path}", page, methods=None, include_in_schema=False)
    return Guard(app, office.site.web.hosts, office.site.web.https_port)
