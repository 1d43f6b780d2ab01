"""Another site document for a switch that is at work: who waits keeps their place, who talks goes
on talking.

Callers in a menu stay in the menus as they were when they came in; callers of a queue that is gone
are served out by its old rules. People who are gone finish their call and are signed out.
"""

from __future__ import annotations

from appliance.acd import events as acd
from appliance.numbering import numbering
from appliance.site.model import Site
from appliance.switch import callbacks, loudness, personal
from appliance.switch.countries import plans
from appliance.switch.dialling import reachable
from appliance.switch.model import Desk, World


def reform(w: World, site: Site) -> None:
    """From here on this document holds. Lines on modems are those that it had at the start, see
    `appliance.site.effect`."""
    old, w.site = w.site, site
    loudness.lines_changed(w, old)
    w.plan, w.spending.zone = plans()[site.office.country], site.office.zone
    for name, person in site.people.items():
        desk = w.desks.get(name)
        if desk is None:
            w.desks[name] = Desk(name, person)
            continue
        before, desk.person = desk.door, person
        if desk.door != before:
            w.tell(acd.Reachable(name, reachable(w, desk)))
    personal.phones_changed(w)
    w.lamps_stale = True
    for name in [one for one in w.trunks if one not in site.lines]:
        del w.trunks[name]
        w.clear(f"trunk:{name}")
    for extension in [one for one in w.registered if one not in site.phones]:
        del w.registered[extension]
    w.tell(acd.QueuesChanged(site.queues, site.people))
    w.numbering = numbering(site.office.country, site.office.area)
    callbacks.carry_out(w, w.back.rules(site.queues, w.now))
