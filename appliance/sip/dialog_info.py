"""What somebody's telephone does, as the lamps of other phones show it (RFC 4235)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

Direction = Literal["initiator", "recipient"]
State = Literal["early", "confirmed"]


@dataclass(frozen=True, slots=True)
class Dialog:
    """One call at an extension: `early` rings there, `confirmed` is going on. Who dials counts as
    confirmed at once: lamps blink for `early` as if somebody could pick the call up. `remote` is
    the other party's number, None where it is nobody's business."""

    id: str
    direction: Direction
    state: State
    remote: str | None = None
    held: bool = False
    """By the extension itself: no audio is rendered there (RFC 4235 section 4.1.6.2)."""


@dataclass(frozen=True, slots=True)
class DialogInfo:
    """All calls of one extension or parking place; none: it is free."""

    dialogs: tuple[Dialog, ...] = ()

    def body(self, version: int, entity: str) -> str:
        """Always the full state: a phone that missed one is right with the next."""
        host = entity.partition("@")[2]
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\r\n'
            '<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info"'
            f' version="{version}" state="full" entity={quoteattr(entity)}>'
            + "".join(_dialog(one, entity, host) for one in self.dialogs)
            + "</dialog-info>\r\n"
        )


def _dialog(one: Dialog, entity: str, host: str) -> str:
    remote = "sip:anonymous@anonymous.invalid"
    if one.remote is not None:
        remote = f"sip:{quote(one.remote, safe='+*')}@{host}"
    rendering = '<param pname="+sip.rendering" pvalue="no"/>' if one.held else ""
    return (
        f'<dialog id={quoteattr(one.id)} direction="{one.direction}">'
        f"<state>{one.state}</state>"
        f"<local><identity>{escape(entity)}</identity>"
        f"<target uri={quoteattr(entity)}>{rendering}</target></local>"
        f"<remote><identity>{escape(remote)}</identity><target uri={quoteattr(remote)}/></remote>"
        "</dialog>"
    )
