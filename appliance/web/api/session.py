"""Signing in and out, and who one is."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from appliance.site.secrets import SecretsError
from appliance.web.errors import Problem
from appliance.web.guard import is_office_network
from appliance.web.office import (
    Anybody,
    Office,
    Somebody,
    TheOffice,
    cookie_name,
    now_ms,
)

log = logging.getLogger("centrala.web")

router = APIRouter(tags=["session"])

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=32)]


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")
    person: Name
    password: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class DemoLogin(BaseModel):
    model_config = ConfigDict(extra="forbid")
    person: Name


def describe(office: Office, person: str | None) -> dict[str, Any]:
    """Who is signed in, and what the page must know before its first live state."""
    known = office.site.people.get(person) if person else None
    return {
        "person": person,
        "name": known.name if known else None,
        "role": known.role if known else None,
        "door": known.door if known else None,
        "language": known.language if known else None,
        "office_language": office.site.office.language,
        "agent": person is not None
        and any(person in queue.agents for queue in office.site.queues.values()),
        "office": office.site.office.name,
        "timezone": office.site.office.timezone,
        "demo": office.site.demo,
    }


@router.get("/me")
async def me(who: Anybody, office: TheOffice, response: Response) -> dict[str, Any]:
    """The signed-in person, or `person: null`."""
    response.headers["Cache-Control"] = "no-store"
    return describe(office, who.id if who else None)


@router.post("/login")
async def login(
    body: Login, request: Request, response: Response, office: TheOffice
) -> dict[str, Any]:
    """Sign in with a password. Failed tries are answered later and later, never locked out."""
    person, address = body.person.lower(), client_address(request)
    wait = office.attempts.wait_ms(person, address, now_ms())
    if wait > 0:
        seconds = -(-wait // 1000)
        raise Problem(
            429,
            "too_many",
            "Too many tries.",
            f"Please wait {seconds} seconds before the next one.",
            {"Retry-After": str(seconds)},
            seconds=seconds,
        )
    # Counted before the slow part, so that tries in parallel do not slip through.
    office.attempts.failed(person, address, now_ms())
    async with office.hashing:
        try:
            right = await asyncio.to_thread(_verify, office, person, body.password)
        except SecretsError as error:
            log.error("%s", error)
            raise Problem(
                500, "secrets", "The box cannot read its passwords.", str(error)
            ) from error
    if not right or person not in office.site.people:
        raise Problem(401, "wrong_password", "The name or the password is wrong.")
    office.attempts.succeeded(person, address)
    return await _start(office, person, request, response)


@router.post("/demo/login")
async def demo_login(
    body: DemoLogin, request: Request, response: Response, office: TheOffice
) -> dict[str, Any]:
    """Practice sign-in without a password: only in a demo office, and only from the box itself or
    the private network around it."""
    if not office.site.demo:
        raise Problem(404, "not_found", "There is nothing here.")
    if not is_office_network(client_address(request)):
        raise Problem(403, "outside", "The demo office is open to its own network only.")
    if body.person not in office.site.people:
        raise Problem(404, "no_person", "The demo office has no such person.")
    return await _start(office, body.person, request, response)


@router.post("/logout")
async def logout(
    who: Anybody, request: Request, response: Response, office: TheOffice
) -> dict[str, Any]:
    """Ends this session; its pages are closed with it."""
    if who is not None:
        await office.sessions.end(who.session.key)
        office.hub.publish()
    response.delete_cookie(
        cookie_name(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return describe(office, None)


@router.get("/sessions")
async def sessions(who: Somebody, office: TheOffice) -> dict[str, Any]:
    """The person's own sessions, newest use first."""
    mine = sorted(office.sessions.of(who.id), key=lambda one: -one.seen)
    return {
        "sessions": [
            {
                "created": one.created,
                "seen": one.seen,
                "address": one.address,
                "this": one.key == who.session.key,
            }
            for one in mine
        ]
    }


def client_address(request: Request) -> str:
    return request.client.host if request.client else ""


def _verify(office: Office, person: str, password: str) -> bool:
    return bool(office.secrets().verify(person, password))


async def _start(
    office: Office, person: str, request: Request, response: Response
) -> dict[str, Any]:
    role = office.site.people[person].role
    # A session never outlives the sign-in that replaces it (session fixation).
    old = await office.signed_in(request)
    if old is not None:
        await office.sessions.end(old.session.key)
    token = await office.sessions.start(person, role, client_address(request), now_ms())
    response.set_cookie(
        cookie_name(request),
        token,
        max_age=24 * 3600,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    response.headers["Cache-Control"] = "no-store"
    return describe(office, person)
