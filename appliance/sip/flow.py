"""Where messages come from and go to."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.sip.events import Transport
from appliance.sip.uri import bracketed


@dataclass(frozen=True, slots=True)
class Flow:
    """Our end. `connection` numbers a TCP or TLS connection; 0 is the UDP socket, or else "the
    connection we have or make to that address". `local_host` is our address as the peer sees
    it."""

    transport: Transport
    connection: int
    local_host: str
    local_port: int


@dataclass(frozen=True, slots=True)
class Hop:
    """A flow and the peer's address on it."""

    flow: Flow
    host: str
    port: int

    @property
    def reliable(self) -> bool:
        return self.flow.transport != "udp"

    @property
    def address(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"

    def via(self, branch: str) -> str:
        """Our Via value (RFC 3261 section 18.1.1, RFC 3581)."""
        flow = self.flow
        sent_by = f"{bracketed(flow.local_host)}:{flow.local_port}"
        return f"SIP/2.0/{flow.transport.upper()} {sent_by};branch={branch};rport"

    def contact(self, user: str) -> str:
        """Our Contact value: it names the flow's transport, else phones change to UDP."""
        flow = self.flow
        transport = "" if flow.transport == "udp" else f";transport={flow.transport}"
        return f"<sip:{user}@{bracketed(flow.local_host)}:{flow.local_port}{transport}>"
