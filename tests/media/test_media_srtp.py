"""SRTP of a leg: against libsrtp by itself, and through the media process over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from appliance.media import g711, rtcp, rtp
from appliance.media import protocol as p
from appliance.media.srtp import MAX_ROUNDS, Srtp
from tests.media.endpoint import HOST, Box, RtpEndpoint, level_dbm0, media_box, sine

BOX, PHONE = bytes(range(30)), bytes(range(50, 80))
SUITES = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
PROFILES = (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, Policy.SRTP_PROFILE_AES128_CM_SHA1_32)


def keys(suite: str = SUITES[0], send: bytes = BOX, receive: bytes = PHONE) -> p.SrtpKeys:
    return p.SrtpKeys(suite, send, receive)  # type: ignore[arg-type]


def sender(key: bytes, profile: int = PROFILES[0]) -> Session:
    return Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))


def receiver(key: bytes, profile: int = PROFILES[0]) -> Session:
    return Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile))


def audio(sequence: int, ssrc: int = 7) -> bytes:
    return rtp.build(0, sequence, sequence * 160, ssrc, b"v" * 160)


def lead(session: Session, start: int, packets: int) -> bytes:
    """The last of so many packets, in steps that keep the count of rounds."""
    at = start
    session.protect(audio(at))
    while at < start + packets:
        at = min(at + 0x6000, start + packets)
        last = session.protect(audio(at & 0xFFFF))
    return last


@pytest.mark.parametrize(("suite", "profile"), list(zip(SUITES, PROFILES, strict=True)))
def test_both_suites_work_with_another_implementation(suite: str, profile: int) -> None:
    srtp = Srtp(keys(suite))
    assert srtp.unprotect(sender(PHONE, profile).protect(audio(5))) == audio(5)
    assert receiver(BOX, profile).unprotect(srtp.protect(audio(9))) == audio(9)
    report = rtcp.build(ssrc=7, cname="x", ntp=1, timestamp=2, packets=3, octets=4, block=None)
    assert srtp.unprotect_rtcp(sender(PHONE, profile).protect_rtcp(report)) == report
    assert receiver(BOX, profile).unprotect_rtcp(srtp.protect_rtcp(report)) == report
    assert srtp.protect(audio(10))[12:172] != audio(10)[12:]


def test_what_is_repeated_changed_or_not_encrypted_is_refused() -> None:
    srtp = Srtp(keys())
    packet = sender(PHONE).protect(audio(5))
    assert srtp.unprotect(packet)
    assert srtp.unprotect(packet) == b""
    assert srtp.unprotect(packet[:-1] + bytes((packet[-1] ^ 1,))) == b""
    assert srtp.unprotect(audio(6)) == b""
    assert srtp.unprotect(sender(BOX).protect(audio(7))) == b""
    assert (srtp.opened, srtp.refused) == (1, 4)


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    srtp = Srtp(keys())
    assert srtp.unprotect(data) == b""
    assert srtp.unprotect_rtcp(data) == b""


@pytest.mark.parametrize("start", [0, 100, 40_000, 65_500])
@pytest.mark.parametrize("rounds", [1, 2, 9])
def test_a_process_that_begins_in_mid_call_finds_the_round(start: int, rounds: int) -> None:
    phone = sender(PHONE)
    late = lead(phone, start, rounds * 0x10000 + 77)
    srtp = Srtp(keys())
    assert srtp.unprotect(late) == audio((start + 77) & 0xFFFF)
    following = (start + 78) & 0xFFFF
    assert srtp.unprotect(phone.protect(audio(following))) == audio(following)
    # And it is no door for repeated packets.
    assert srtp.unprotect(late) == b""


def test_strangers_cannot_keep_it_from_finding_the_round_nor_busy() -> None:
    srtp = Srtp(keys())
    for number in range(200):
        assert srtp.unprotect(sender(BOX).protect(audio(number))) == b""
    phone = sender(PHONE)
    lead(phone, 0, 0x20000)
    heard = [srtp.unprotect(phone.protect(audio(number))) for number in range(1, 400)]
    assert sum(map(bool, heard)) > 150


def test_a_call_longer_than_we_look_for_is_refused_for_good() -> None:
    phone = sender(PHONE)
    late = lead(phone, 0, (MAX_ROUNDS + 2) * 0x10000)
    assert Srtp(keys()).unprotect(late) == b""


def test_a_direction_whose_key_stays_goes_on_where_it_was() -> None:
    srtp, phone, ear = Srtp(keys()), sender(PHONE), receiver(BOX)
    first = phone.protect(audio(1))
    assert srtp.unprotect(first)
    assert ear.unprotect(srtp.protect(audio(1)))
    srtp.change(keys(receive=bytes(30)))
    assert srtp.unprotect(phone.protect(audio(2))) == b""
    assert srtp.unprotect(sender(bytes(30)).protect(audio(2)))
    assert srtp.protect(audio(1)) == b"", "a number is not encrypted twice with one key"
    assert ear.unprotect(srtp.protect(audio(2)))


def test_keys_are_not_shown() -> None:
    command = p.AimRtp(1, HOST, 4000, 0, srtp=keys())
    assert repr(BOX) not in repr(command)
    assert repr(PHONE) not in repr(command)


# --- through the media process ------------------------------------------------------------------


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
        import pylibsrtp

        while True:
            try:
                data = self.sock.recv(2048)
            except BlockingIOError:
                return
            try:
                packet = rtp.parse(self.rx.unprotect(data))
            except pylibsrtp.Error:
                self.clear += 1
                continue
            assert packet is not None
            self.packets.append(packet)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with media_box(tmp_path) as made:
        yield made


def open_leg(box: Box, end: RtpEndpoint, leg: int, port: int, srtp: p.SrtpKeys | None) -> None:
    end.remote = (HOST, port)
    box.endpoints.append(end)
    box.send(p.OpenRtp(leg, HOST, port), p.AimRtp(leg, HOST, end.port, 0, 101, 101, srtp=srtp))
    box.spawn(end.run())


async def heard(end: RtpEndpoint, hz: float, dbm0: float) -> None:
    """Until the end hears the tone at its level."""
    async with asyncio.timeout(15):
        while True:
            await asyncio.sleep(0.2)
            sound = end.heard()[-800:]
            if len(sound) == 800 and abs(level_dbm0(sound, hz) - dbm0) < 0.5:
                return


async def test_an_encrypted_leg_and_a_plain_one_hear_each_other(
    box: Box, free_port: Callable[[], int]
) -> None:
    secure = SecurePhone(g711.ulaw_encode(sine(500, -10, 8000)))
    open_leg(box, secure, 1, free_port(), keys())
    plain = box.phone(2, free_port(), g711.ulaw_encode(sine(1000, -20, 8000)))
    box.send(p.Bridge(7, 1, 2))
    await heard(plain, 500, -10)
    await heard(secure, 1000, -20)
    # Also when all is steady, and packets could be passed on as they are.
    async with asyncio.timeout(20):
        secure.packets.clear()
        while len(secure.packets) < 120:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await heard(plain, 500, -10)
    await heard(secure, 1000, -20)
    box.send(p.Unbridge(7), p.Listen(1, True), p.SendKeys(1, "5"))
    secure.press(7, 101)
    assert await box.wait(p.Key) == p.Key(1, "7", "rfc4733")
    async with asyncio.timeout(10):
        while not any(packet.payload_type == 101 for packet in secure.packets):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert secure.clear == 0
    box.send(p.CloseLeg(1))
    said = await box.wait(lambda e: isinstance(e, p.LegQuality) and e.closed)
    assert said.secure


async def test_nothing_in_the_clear_is_heard_on_an_encrypted_leg(
    box: Box, free_port: Callable[[], int]
) -> None:
    loud = g711.ulaw_encode(sine(500, -10, 8000))
    plain, wrong = RtpEndpoint(loud), SecurePhone(loud, key=bytes(30))
    open_leg(box, plain, 1, free_port(), keys())
    open_leg(box, wrong, 2, free_port(), keys())
    ear = box.phone(3, free_port())
    for leg in (1, 2):
        box.send(p.Bridge(leg, leg, 3))
        await asyncio.sleep(0.5)
        sound = ear.heard()
        assert len(sound) > 1600
        assert level_dbm0(sound, 500) < -60


async def test_keys_of_a_new_offer_take_the_place_of_the_old(
    box: Box, free_port: Callable[[], int]
) -> None:
    secure = SecurePhone(g711.ulaw_encode(sine(500, -10, 8000)))
    open_leg(box, secure, 1, free_port(), keys())
    plain = box.phone(2, free_port(), g711.ulaw_encode(sine(1000, -20, 8000)))
    box.send(p.Bridge(7, 1, 2))
    await heard(plain, 500, -10)
    new = bytes(range(130, 160))
    box.send(p.AimRtp(1, HOST, secure.port, 0, 101, 101, srtp=keys(receive=new)))
    secure.tx = sender(new)
    await heard(plain, 500, -10)
    await heard(secure, 1000, -20)
