"""What the page of the demo office needs; there is nothing of it in a real office."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request

from appliance.site.secrets import SecretsError
from appliance.web.api.session import client_address
from appliance.web.errors import Problem
from appliance.web.guard import host_name, is_office_network
from appliance.web.office import TheOffice

router = APIRouter(tags=["demo"])


@router.get("/demo")
async def demo(request: Request, office: TheOffice) -> dict[str, Any]:
    """Agents to sign in as, and how to call with a SIP phone of one's own. The phones' passwords
    are shown: they open nothing but the rehearsal."""
    site = office.site
    if not site.demo:
        raise Problem(404, "not_found", "This is not a demo office.")
    if not is_office_network(client_address(request)):
        raise Problem(403, "outside", "The demo office is open to its own network only.")
    try:
        secrets = await asyncio.to_thread(office.secrets)
    except SecretsError:
        secrets = None
    called = [(one.extension, one.name) for one in site.queues.values()]
    called += [(one.extension, one.name) for one in site.people.values()]
    agents = dict.fromkeys(one for queue in site.queues.values() for one in queue.agents)
    return {
        "agents": [
            {
                "person": one,
                "name": site.people[one].name,
                "extension": site.people[one].extension,
                "door": site.people[one].door,
                "queues": [queue.name for queue in site.queues.values() if one in queue.agents],
            }
            for one in agents
            if one in site.people
        ],
        "sip": {
            "host": host_name(request.headers.get("host", "")),
            "port": site.sip.port,
            "udp": site.sip.udp,
            "tcp": site.sip.tcp,
        },
        "phones": [
            {
                "extension": extension,
                "name": phone.name,
                "secret": secrets.phone(extension) if secrets else None,
            }
            for extension, phone in site.phones.items()
        ],
        "dial": [{"extension": number, "name": name} for number, name in called if number],
    }
