"""Whose packets a leg takes (symmetric RTP), rule by rule."""

from __future__ import annotations

from appliance.media import rtp
from appliance.media.packet_io import Address, Latch

PHONE: Address = ("192.168.7.20", 5004)
OURS = "192.168.1.2"


def packet(sequence: int, kind: int = 0, ssrc: int = 1) -> rtp.Packet:
    return rtp.Packet(kind, False, sequence & 0xFFFF, sequence * 160, ssrc, b"x" * 160)


def settle(latch: Latch, source: Address, numbers: range, kind: int = 0) -> Address | None:
    for number in numbers:
        found = latch.packet(source, packet(number, kind), 0)
        if found is not None:
            return found
    return None


def test_the_signalled_address_settles_at_once() -> None:
    assert Latch(PHONE, OURS).packet(PHONE, packet(1, kind=101), 0) == PHONE


def test_another_port_of_the_same_host_needs_two_packets_in_a_row() -> None:
    other = (PHONE[0], 40_000)
    assert settle(Latch(PHONE, OURS), other, range(1)) is None
    assert settle(Latch(PHONE, OURS), other, range(65535, 65537)) == other


def test_packets_that_do_not_follow_each_other_settle_nothing() -> None:
    latch = Latch(PHONE, OURS)
    other = (PHONE[0], 40_000)
    assert settle(latch, other, range(0, 100, 7)) is None
    for number in range(20):
        assert latch.packet(other, packet(number, ssrc=number), 0) is None


def test_another_payload_type_settles_nothing() -> None:
    assert settle(Latch(PHONE, OURS), (PHONE[0], 40_000), range(20), kind=8) is None


def test_two_senders_at_once_settle_nothing() -> None:
    latch = Latch(PHONE, OURS)
    for number in range(20):
        for port in (40_000, 50_000):
            assert latch.packet((PHONE[0], port), packet(number), 0) is None


def test_another_host_never_settles_when_the_signalled_one_can_be_reached() -> None:
    assert settle(Latch(PHONE, "192.168.7.1"), ("8.8.4.4", 5004), range(50)) is None
    assert settle(Latch(("9.9.9.9", 5004), OURS), ("8.8.4.4", 5004), range(50)) is None
    assert settle(Latch(("127.0.0.1", 5004), OURS), ("8.8.4.4", 5004), range(50)) is None


def test_a_public_host_settles_for_a_private_one_that_cannot_be_reached() -> None:
    latch = Latch(("10.3.3.3", 5004), OURS)
    public = ("8.8.4.4", 31_000)
    assert settle(latch, public, range(4)) is None
    assert settle(latch, public, range(4, 5)) == public


def test_a_private_stranger_never_settles() -> None:
    assert settle(Latch(("10.3.3.3", 5004), OURS), ("172.16.0.9", 5004), range(50)) is None
