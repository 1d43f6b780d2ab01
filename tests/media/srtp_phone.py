"""A phone whose RTP is encrypted by libsrtp, with keys for both ends."""

from __future__ import annotations

from pylibsrtp import Error, Policy, Session

from appliance.media import g711, rtp
from appliance.media import protocol as p
from tests.media.endpoint import RtpEndpoint

BOX, PHONE = bytes(range(30)), bytes(range(50, 80))
SUITES = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
PROFILES = (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, Policy.SRTP_PROFILE_AES128_CM_SHA1_32)


def keys(suite: str = SUITES[0], send: bytes = BOX, receive: bytes = PHONE) -> p.SrtpKeys:
    return p.SrtpKeys(suite, send, receive)  # type: ignore[arg-type]


def sender(key: bytes, profile: int = PROFILES[0]) -> Session:
    return Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))


def receiver(key: bytes, profile: int = PROFILES[0]) -> Session:
    return Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile))


class SecurePhone(RtpEndpoint):
    """A phone that encrypts everything and hears nothing else."""

    def __init__(self, sound: g711.Bytes, key: bytes = PHONE, ear: bytes = BOX) -> None:
        super().__init__(sound)
        self.tx, self.rx = sender(key), receiver(ear)
        self.clear = 0
        """Packets that were not encrypted for us."""

    def send(self, payload_type: int, payload: bytes, timestamp: int, marker: bool = False) -> None:
        data = rtp.build(
            payload_type, self.sequence & 0xFFFF, timestamp, self.ssrc, payload, marker
        )
        self.sequence += 1
        self.sock.sendto(self.tx.protect(data), self.remote)

    def collect(self) -> None:
        while True:
            try:
                data = self.sock.recv(2048)
            except BlockingIOError:
                return
            try:
                packet = rtp.parse(self.rx.unprotect(data))
            except Error:
                self.clear += 1
                continue
            assert packet is not None
            self.packets.append(packet)
