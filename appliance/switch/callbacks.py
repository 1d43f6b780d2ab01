"""Call-backs on live calls: what waiting callers ask for, and the calls that keep the promise.

The person is called first, while an agent is kept free for them; as soon as they answer they stand
at their kept place and that agent is rung, or connected at once if they have said on their page
that they take it. So agents never listen to phones that nobody answers, a request that comes to
nothing costs none of them a missed offer, and nobody is called without an agent who waits for them.

Facts before effects, as everywhere: the request is on disk before the caller hears that the place
is kept, the try before the line is seized. The machine is `appliance.acd.callback`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.acd import actions as act
from appliance.acd import callback as cb
from appliance.acd import events as acd
from appliance.events import MissedHandled, QLeave
from appliance.ivr import keep_place
from appliance.ivr.keep_place import KeepPlace
from appliance.media import protocol as p
from appliance.site.model import Queue
from appliance.switch import numbers, routing, wishes
from appliance.switch.actions import Hush
from appliance.switch.calls import end_call, open_call
from appliance.switch.dialling import dial, free_channel, no_leg
from appliance.switch.dialplan import Destination
from appliance.switch.legs import listen
from appliance.switch.model import Call, Desk, World
from appliance.switch.refusals import WHY_NOT, Cannot

MAX_NOTE: Final = 500
SCREEN_MS: Final = 5000
"""So long may whoever answered remain unknown; a machine has been told by its greeting by then, and
a person is not left alone for longer."""


# --- the machine's side ---------------------------------------------------------------------


def take(w: World, event: cb.Event) -> None:
    """Let the call-backs take one event."""
    carry_out(w, w.back.handle(event, w.now))


def carry_out(w: World, output: Sequence[object]) -> None:
    """Do what the call-backs want done."""
    for action in w.keep_facts(output):
        match action:
            case cb.Place():
                _place(w, action)
            case cb.Drop(call):
                found = w.calls.get(call)
                if found is not None:
                    end_call(w, found, "system", "no_answer")
            case acd.Met():
                _met(w, action)
            case acd.Book() | acd.Unbook():
                w.tell(action)


def turn(w: World, action: act.Dial) -> None:
    """It is the turn of this request and an agent is kept free for it."""
    view = w.back.view(action.booking)
    if view is None:
        w.tell(acd.Unbook(action.booking))
        return
    here = next((c for c in w.calls.values() if c.asked == view.callback and not c.ended), None)
    if here is not None:
        # Still on the phone, hearing that the place is kept: no need to call.
        _come_in_again(w, here, view)
    elif w.stopping or _closed(w, action.queue) or not _line_free(w, action.queue, view.number):
        w.wish(cb.NotNow(action.booking))
    else:
        w.wish(cb.Turn(action.booking, action.agent))


def left(w: World, fact: QLeave) -> None:
    """An entry left its queue: of a call-back, or of somebody whose request rests meanwhile."""
    w.wish(cb.Left(fact.entry, fact.reason, fact.agent))
    call = w.calls.get(fact.call)
    if call is None or call.callback is not None:
        return
    call.wish = None
    if call.asked is None or fact.reason == "callback_requested":
        return
    asked, call.asked = call.asked, None
    view = w.back.view(asked)
    if fact.reason != "answered":
        w.wish(cb.OnTheLine(asked, yes=False))
    elif view is not None:
        w.wish(cb.Reached(view.number))


# --- a caller asks --------------------------------------------------------------------------


def key(w: World, call: Call, digit: str) -> bool:
    """A key of a waiting caller; True when it was meant for this."""
    if call.wish is not None:
        steps(w, call, call.wish.key(digit, w.now))
        return True
    queue = w.site.queues.get(call.queue or "")
    if queue is None or not wishes.offered(w, call) or digit != queue.callback_key:
        return False
    own = wishes.usable(w, call.queue or "", call.caller)
    call.wish = KeepPlace(
        call.language,
        own,
        lambda typed: wishes.usable(w, call.queue or "", typed),
        w.numbering.dial,
    )
    steps(w, call, call.wish.begin(w.now))
    return True


def steps(w: World, call: Call, output: keep_place.Output) -> None:
    """Do what the caller's choice asks for."""
    for step in output:
        match step:
            case keep_place.Say(prompts):
                w.speak(call, prompts, "wish")
            case keep_place.Hush():
                w.act(Hush(call.a.id))
            case keep_place.WaitOn():
                call.wish = None
            case keep_place.Keep(number):
                call.wish = None
                _keep(w, call, number)


def _keep(w: World, call: Call, number: str) -> None:
    """The place is booked before the caller's own entry goes, or an agent who becomes free just
    now would go to the next one."""
    queue, entry = call.queue, call.entry
    if queue is None or entry is None:
        return
    known = w.back.of(queue, number)
    if call.asked is not None and call.asked != known:
        take(w, cb.Cancel(call.asked))
        call.asked = None
    if known is None:
        waits = next((one for one in w.acd.waiting() if one.entry == entry), None)
        priority = None if waits is None else waits.priority
        take(
            w,
            cb.Request(queue, number, call.came, priority, call.id, entry, language=call.language),
        )
        known = w.back.of(queue, number)
    else:
        take(w, cb.OnTheLine(known, yes=False))
    if known is None:
        w.speak(call, (keep_place.text("unusable", call.language),), "queue")
        return
    w.tell(acd.Gone(entry, "callback_requested"))
    call.asked, call.entry = known, None
    call.route = "hangup"
    w.music(call.a, None)
    listen(w, call.a, keys=False)
    w.speak(call, (keep_place.text("kept", call.language),), "farewell")


def _come_in_again(w: World, call: Call, view: cb.CallbackView) -> None:
    for token, (owner, _, _) in list(w.tokens.items()):
        if owner == call.id:
            del w.tokens[token]
    w.act(Hush(call.a.id))
    w.wish(cb.OnTheLine(view.callback, yes=True))
    routing.enter(w, call, view.queue, since=view.since)


# --- the box calls --------------------------------------------------------------------------


def _closed(w: World, queue_id: str) -> bool:
    queue = w.site.queues.get(queue_id)
    return queue is None or (queue.hours is not None and not w.is_open(queue.hours, w.now))


def _line_free(w: World, queue_id: str, number: str) -> bool:
    """One of the lines for this number can be had, and the day's ceiling is not reached."""
    way = numbers.way(w.site, w.plan, w.numbering.dial(number))
    payer = f"queue:{queue_id}"
    if w.spending.exceeded(w.site.numbering.ceiling, payer, way.kind, w.now):
        return False
    return any(_can_be_had(w, line) for line, _ in way.lines)


def _can_be_had(w: World, line: str) -> bool:
    settings = w.site.lines[line]
    if settings.kind == "modem":
        return w.lines[line].state == "idle" and w.lines[line].call is None
    up, _ = w.trunks.get(line, (not settings.registration, ""))
    return up and free_channel(w, line)


def _place(w: World, place: cb.Place) -> None:
    number = w.numbering.dial(place.number)
    call = open_call(w, "out", f"queue:{place.queue}", called=number, call_id=place.call)
    queue = w.site.queues.get(place.queue)
    call.callback, call.queue = place.callback, place.queue
    call.language = place.language or call.language
    no_leg(w, call)
    dial(
        w,
        call,
        Destination("outside", number),
        payer=f"queue:{place.queue}",
        slot="a",
        caller_id=None if queue is None else queue.caller_id,
    )
    if call.attempt is not None:
        # The request has its own patience.
        call.attempt.until = None


def answered(w: World, call: Call) -> None:
    """Somebody or something has answered. An analog line does not tell when: what is heard first
    there is ringing."""
    queue = w.site.queues.get(call.queue or "")
    if queue is None or not queue.callback_machine or call.a.kind == "line":
        w.wish(cb.PickedUp(call.id))
    elif call.screened_until is None and call.met is None and call.entry is None:
        call.screened_until = w.now + SCREEN_MS
        w.wish(cb.Answered(call.id, call.screened_until))
        w.media(p.Listen(call.a.id, keys=False, machine=True))


def screened(w: World, call: Call, *, machine: bool = False) -> None:
    """It is known who answered, or time is up: who is not surely a machine is a person."""
    if call.screened_until is None:
        return
    call.screened_until = None
    if machine:
        end_call(w, call, "system", "machine")
        return
    listen(w, call.a, keys=False)
    w.wish(cb.PickedUp(call.id))


def _met(w: World, met: acd.Met) -> None:
    """The person answered; the notice that the law asks for comes before anybody else does."""
    call = w.calls.get(met.call)
    if call is None or call.ended:
        w.tell(acd.Unbook(met.booking))
        w.wish(cb.Left(met.entry, "abandoned"))
        return
    call.caller = met.caller
    call.met = met
    if routing.consent(w, call):
        stand_in_line(w, call)


def stand_in_line(w: World, call: Call) -> None:
    """The person takes the kept place, and the agent is rung."""
    met, call.met = call.met, None
    if met is None:
        return
    call.entry, call.entered_at, call.came = met.entry, w.now, w.now
    w.tell(met)
    queue = w.site.queues.get(call.queue or "")
    w.music(call.a, (queue.music if queue is not None else None) or "")
    listen(w, call.a, keys=False)
    w.speak(call, (keep_place.text("calling", call.language),), "queue")


# --- what pages and programs ask for --------------------------------------------------------


def book(w: World, queue_id: str, number: str, by: str) -> str:
    """A request by a page or a program; returns its id. Raises `Cannot`."""
    queue = _queue(w, queue_id)
    known = w.numbering.callable(number)
    if known is None:
        raise Cannot("That is no telephone number that can be called from here.")
    way = numbers.way(w.site, w.plan, w.numbering.dial(known))
    why = numbers.refusal(w.site, f"queue:{queue_id}", way)
    if why is not None:
        raise Cannot(f"{queue.name} does not call such numbers back. {WHY_NOT[why]}")
    if w.back.of(queue_id, known) is None:
        take(w, cb.Request(queue_id, known, by=by))
    found = w.back.of(queue_id, known)
    if found is None:
        raise Cannot("Too many people wait for a call-back already.")
    return found


def cancel(w: World, callback: str, by: str) -> None:
    """Raises `Cannot`."""
    view = w.back.view(callback)
    if view is None:
        raise Cannot("That call-back is not waiting any more.")
    if view.picked_up:
        raise Cannot("The person is on the phone already.")
    take(w, cb.Cancel(callback, by))


def accept(w: World, desk: Desk) -> bool:
    """The agent takes the call-back that is being dialled, as soon as it is answered; False when
    there is none for them."""
    booking = w.acd.agent(desk.id).booking
    if booking is None or desk.call is not None:
        return False
    if desk.door == "browser" and desk.peer != "connected":
        raise Cannot("Your microphone is not connected yet.")
    desk.accepts = booking
    return True


def handled(w: World, agent: str, number: str, note: str) -> None:
    """Somebody took care of a missed caller otherwise."""
    key = w.numbering.key(number)
    if key is None:
        raise Cannot("That is no telephone number.")
    w.fact(MissedHandled(at=w.now, number=key, agent=agent, note=note[:MAX_NOTE]))


def _queue(w: World, queue_id: str) -> Queue:
    queue = w.site.queues.get(queue_id)
    if queue is None:
        raise Cannot("There is no such queue.")
    return queue
