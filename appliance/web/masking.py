"""Numbers hidden by role: what a page is sent has only the last digits, so nothing on the page or
in a browser's tools shows the rest. Extensions of the office are no secret."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from appliance.live import Live, LiveAgent
from appliance.site.model import Site

SHORTEST: Final = 6
"""Numbers with fewer digits are extensions and short codes."""
HIDDEN: Final = "•"
_NUMBER: Final = re.compile(rf"\+?\d{{{SHORTEST},}}")


class Mask:
    """What one role may see. `supervises` False also hides who is in whose call."""

    def __init__(self, shown: int | None, *, supervises: bool = True) -> None:
        self._shown = shown
        self._supervises = supervises

    @property
    def hides(self) -> bool:
        return self._shown is not None

    def text(self, text: str | None) -> str | None:
        """Each number in the text with its first digits hidden."""
        if text is None or self._shown is None:
            return text
        return _NUMBER.sub(lambda found: self._hide(found.group()), text)

    def _hide(self, number: str) -> str:
        shown = self._shown or 0
        return HIDDEN * (len(number) - shown) + number[len(number) - shown :]

    def live(self, live: Live | None) -> Live | None:
        """The live state as this role sees it."""
        if live is None or (self._shown is None and self._supervises):
            return live
        calls = live.calls
        if not self._supervises:
            calls = tuple(msgspec.structs.replace(one, watched=()) for one in calls)
        if self._shown is None:
            return msgspec.structs.replace(live, calls=calls)
        return msgspec.structs.replace(
            live,
            waiting=tuple(self._caller(one) for one in live.waiting),
            parked=tuple(self._caller(one) for one in live.parked),
            callbacks=tuple(
                msgspec.structs.replace(one, number=self.text(one.number)) for one in live.callbacks
            ),
            agents=tuple(self._agent(one) for one in live.agents),
            calls=tuple(
                self._caller(
                    one,
                    called=self.text(one.called),
                    people=tuple(self.text(name) for name in one.people),
                )
                for one in calls
            ),
        )

    def _caller(self, one: Any, **more: Any) -> Any:
        return msgspec.structs.replace(
            one, caller=self.text(one.caller), caller_name=self.text(one.caller_name), **more
        )

    def _agent(self, agent: LiveAgent) -> LiveAgent:
        call = agent.call
        if call is not None:
            consult = call.consult
            if consult is not None:
                consult = msgspec.structs.replace(consult, to=self.text(consult.to))
            others = tuple(self.text(name) for name in call.others)
            call = self._caller(call, consult=consult, others=others)
        forward = {when: self.text(number) or "" for when, number in agent.forward.items()}
        return msgspec.structs.replace(agent, call=call, forward=forward)


def mask_for(site: Site, role: str | None) -> Mask:
    """Nobody signed in (the demo's board) sees what agents see."""
    known = site.privacy.shown_digits
    shown = known.get(role or "agent")  # type: ignore[call-overload]
    return Mask(shown, supervises=role in ("supervisor", "admin"))
