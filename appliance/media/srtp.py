"""SRTP of one leg (RFC 3711) by libsrtp: packets in and out of their encryption.

A leg's keys are the same for as long as its call has them. A media process that begins with a call
that is on (after a restart) sends with a new SSRC, so that no key stream is used twice, and finds
out how often the other side's sequence numbers have wrapped: libsrtp begins at the first round, and
packets of a later one do not authenticate there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pylibsrtp
from pylibsrtp import Policy, Session

from appliance.media.protocol import SrtpKeys

_PROFILES: Final = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
MAX_ROUNDS: Final = 26
"""Of 65536 packets: nine hours of talk. Looking through all of them takes about a millisecond."""
_STRIDE: Final = 0x7000
"""Steps in which a context is led around: less than half the numbers."""
_BEHIND: Final = 0x100
"""It stops so far behind a packet that it cannot be taken for a repeated one."""
_FIRST_REST: Final = 50
"""Packets after a search that found nothing before the next one, a second of audio; then twice as
many, so that strangers cannot keep us searching."""
_HEADER_BYTES: Final = 12


class Srtp:
    """Encryption of one leg, both ways."""

    __slots__ = ("_rest", "_rx", "_search_at", "_tx", "keys", "opened", "refused")

    def __init__(self, keys: SrtpKeys) -> None:
        self.keys = keys
        self._tx = _session(keys, keys.send, Policy.SSRC_ANY_OUTBOUND)
        self._rx = _session(keys, keys.receive, Policy.SSRC_ANY_INBOUND)
        self.opened = 0
        """Packets that were opened."""
        self.refused = 0
        """Packets that are not what they should be: strangers', repeated or broken."""
        self._search_at = 0
        self._rest = _FIRST_REST

    def change(self, keys: SrtpKeys) -> None:
        """Keys of a new offer or answer; a direction whose key stays goes on as it was."""
        if keys.suite != self.keys.suite or keys.send != self.keys.send:
            self._tx = _session(keys, keys.send, Policy.SSRC_ANY_OUTBOUND)
        if keys.suite != self.keys.suite or keys.receive != self.keys.receive:
            self._rx = _session(keys, keys.receive, Policy.SSRC_ANY_INBOUND)
            self.opened, self._search_at, self._rest = 0, self.refused, _FIRST_REST
        self.keys = keys

    def unprotect(self, packet: bytes) -> bytes:
        """The RTP packet; empty when it is none of ours."""
        plain = self._tried(self._rx.unprotect, packet)
        searching = not self.opened and self.refused >= self._search_at
        if not plain and searching and len(packet) > _HEADER_BYTES:
            plain = self._find_round(packet)
            self._search_at, self._rest = self.refused + self._rest, 2 * self._rest
        if plain:
            self.opened += 1
        else:
            self.refused += 1
        return plain

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The RTCP packet; empty when it is none of ours."""
        return self._tried(self._rx.unprotect_rtcp, packet)

    def protect(self, packet: bytes) -> bytes:
        return self._tried(self._tx.protect, packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        return self._tried(self._tx.protect_rtcp, packet)

    @staticmethod
    def _tried(work: Callable[[bytes], Any], packet: bytes) -> bytes:
        try:
            return bytes(work(packet))
        except (pylibsrtp.Error, ValueError):
            return b""

    def _find_round(self, packet: bytes) -> bytes:
        """Lead a fresh context round by round to where this packet authenticates.

        The key is ours, so packets that lead it there can be made here.
        """
        guide = _session(self.keys, self.keys.receive, Policy.SSRC_ANY_OUTBOUND)
        rx = _session(self.keys, self.keys.receive, Policy.SSRC_ANY_INBOUND)
        sequence, ssrc = int.from_bytes(packet[2:4], "big"), packet[8:12]

        def lead(index: int) -> None:
            made = b"\x80\x00" + (index & 0xFFFF).to_bytes(2, "big") + bytes(4) + ssrc
            self._tried(rx.unprotect, self._tried(guide.protect, made))

        at = 0
        lead(at)
        for number in range(1, MAX_ROUNDS + 1):
            there = 0x10000 * number + sequence - _BEHIND
            while at < there:
                at = min(at + _STRIDE, there)
                lead(at)
            plain = self._tried(rx.unprotect, packet)
            if plain:
                self._rx = rx
                return plain
        return b""


def _session(keys: SrtpKeys, key: bytes, direction: int) -> Session:
    return Session(Policy(key=key, ssrc_type=direction, srtp_profile=_PROFILES[keys.suite]))
