"""RTP headers and telephone events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.media import rtp


@given(
    st.integers(0, 127),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=480),
    st.booleans(),
)
def test_what_is_built_is_parsed(
    kind: int, sequence: int, timestamp: int, payload: bytes, marker: bool
) -> None:
    data = rtp.build(kind, sequence, timestamp, 77, payload, marker)
    packet = rtp.parse(data)
    if marker and 72 <= kind <= 76:
        assert packet is None
    else:
        assert packet == rtp.Packet(kind, marker, sequence, timestamp, 77, payload)


@given(st.binary(max_size=200))
def test_garbage_is_no_packet_or_a_bounded_one(data: bytes) -> None:
    packet = rtp.parse(data)
    assert packet is None or len(packet.payload) <= len(data) - rtp.HEADER_BYTES


def test_extension_csrc_and_padding_are_stripped() -> None:
    plain = rtp.build(0, 1, 2, 3, b"")
    data = (
        bytes((plain[0] | 0x31 | 0x01,))
        + plain[1:]
        + b"\0\0\0\x09"
        + b"\xbe\xde\0\x01abcd"
        + b"voice"
        + b"\0\0\x03"
    )
    packet = rtp.parse(data)
    assert packet is not None
    assert packet.payload == b"voice"


def event(code: int, duration: int, end: bool = False) -> bytes:
    return bytes((code, 0x8A if end else 10)) + duration.to_bytes(2, "big")


def test_a_press_is_reported_once_whatever_is_lost_or_repeated() -> None:
    receiver = rtp.EventReceiver()
    heard = [receiver.packet(1000, event(5, d)) for d in (320, 480)]
    heard += [receiver.packet(1000, event(5, 640, True)) for _ in range(3)]
    heard.append(receiver.packet(2600, event(5, 160)))
    heard.append(receiver.packet(1000, event(5, 640, True)))
    assert [h for h in heard if h] == ["5", "5"]


def test_a_press_of_which_only_the_end_arrives_is_heard() -> None:
    assert rtp.EventReceiver().packet(9, event(11, 800, True)) == "#"


def test_a_press_longer_than_eight_seconds_is_one_key() -> None:
    receiver = rtp.EventReceiver()
    assert receiver.packet(0, event(1, 0xFFFF)) == "1"
    assert receiver.packet(0xFFFF, event(1, 160)) is None


def test_codes_beyond_the_keypad_are_no_keys() -> None:
    assert rtp.EventReceiver().packet(0, event(16, 160)) is None
    assert rtp.EventReceiver().packet(0, b"\x01") is None


def test_a_key_is_sent_with_its_timing() -> None:
    sender = rtp.EventSender()
    sender.push("7x,8")
    sent = []
    at = 0
    while sender.busy:
        packets = sender.tick(at)
        sent += [(at, p) for p in packets or ()]
        at += 160
    first = [p for _, p in sent if p.payload[0] == 7]
    # 20, 40, 60, 80 ms, then three times the end with 100 ms, all with the start's timestamp.
    durations = [int.from_bytes(p.payload[2:], "big") for p in first]
    assert durations == [160, 320, 480, 640, 800, 800, 800]
    assert [bool(p.payload[1] & 0x80) for p in first] == [False] * 4 + [True] * 3
    assert [p.marker for p in first] == [True] + [False] * 6
    assert {p.timestamp for p in first} == {0}
    eight = next(at for at, p in sent if p.payload[0] == 8)
    assert eight >= 800 + 800 + 8000


def test_the_sender_is_understood_by_the_receiver() -> None:
    sender, receiver = rtp.EventSender(), rtp.EventReceiver()
    sender.push("00123ABCD*#")
    heard = ""
    at = 4_294_960_000
    while sender.busy:
        for packet in sender.tick(at & 0xFFFFFFFF) or ():
            heard += receiver.packet(packet.timestamp, packet.payload) or ""
        at += 160
    assert heard == "00123ABCD*#"
