"""The jitter buffer of all legs: one ring of mu-law samples per leg, read by the tick.

A ring holds 128 frames of 160 samples. Positions are sample counts since the leg was opened; the
reader of a leg stands at `read`, always on a frame border, and moves on by one frame a tick. A
packet is placed by its timestamp relative to the newest packet, in the order of its sequence
number: what is late but not yet due still lands in its place, what was there before is dropped.

The delay of a leg is how far packets land ahead of the reader (its margin). It starts at one frame,
grows when a packet comes too late to be played, and is given back frame by frame when the margin
never ran low for some seconds, so that one stall does not cost delay for the rest of the call.
A timestamp that jumps while sequence numbers go on (a phone that changes its clock at transfer)
does not interrupt the sound; a new SSRC starts anew after two packets in a row.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from appliance.media import g711, rtp

FRAME: Final = 160
FRAMES: Final = 128
RING: Final = FRAME * FRAMES
MAX_PAYLOAD: Final = 480
"""60 ms: the longest packet of telephony, RFC 3551 receivers need 200 ms at most."""
FIRST_DEPTH: Final = 1
MAX_DEPTH: Final = 10
"""Frames that a late packet may push the delay out by; a later one is lost."""
MAX_STRAGGLE: Final = 4
"""The same for one that newer packets have overtaken: 80 ms."""
_MAX_AHEAD: Final = 60 * FRAME
_MAX_JUMP: Final = 8000
_LOW_FRAMES: Final = 2
"""A margin that never was below this gives a frame back."""
_WINDOW_TICKS: Final = 50
_PATIENCE: Final = 4
"""Windows of `_WINDOW_TICKS` with margin to spare before one frame is given back."""
_HASTY_FRAMES: Final = 5
"""With this much to spare half of it goes at the end of a single window."""
_CONCEAL_TICKS: Final = 3
_NO_MARGIN: Final = 1 << 40
_MAX_MISSING: Final = 3000
"""A minute of loss; a larger step in the numbers is a new numbering (RFC 3550 appendix A.1)."""
_RENUMBERED: Final = 1 << 40

_Int = npt.NDArray[np.int64]


def _ramps() -> npt.NDArray[np.float32]:
    """Gain per sample of the first, second and third concealed frame in a row, each relative to
    the frame before it: together they fall from 1 over 0.8 and 0.4 to nothing."""
    edges = ((1.0, 0.8), (0.8, 0.5), (0.5, 0.0))
    return np.stack([np.linspace(a, b, FRAME) for a, b in edges]).astype(np.float32)


def _none() -> _Int:
    return np.empty(0, np.int64)


class Jitter:
    """State of `capacity` legs; a leg is a slot number. Times are ticks of 20 ms."""

    def __init__(self, capacity: int) -> None:
        self.capacity = 0
        self.data: g711.Bytes = np.empty((0, RING), np.uint8)
        self._fill: npt.NDArray[np.int32] = np.empty((0, FRAMES), np.int32)
        self._seen: _Int = np.empty((0, FRAMES), np.int64)
        self._read: _Int = _none()
        self._newest: _Int = _none()
        """Position of the first sample of the newest packet."""
        self._sequence: _Int = _none()
        """Its sequence number, extended beyond 16 bits."""
        self._timestamp: _Int = _none()
        self._margin: _Int = _none()
        """Smallest margin in this window, samples."""
        self._spare: _Int = _none()
        """Windows in a row whose smallest margin had frames to spare."""
        self._worst: _Int = _none()
        """Smallest margin over those windows."""
        self._conceal: _Int = _none()
        """Frames in a row that were not there."""
        self._next_ssrc: _Int = _none()
        self._late_tick: _Int = _none()
        self._transit: _Int = _none()
        self._first_sequence: _Int = _none()
        self.ssrc: _Int = _none()
        """Of the stream that is played, -1 before the first packet."""
        self.heard: _Int = _none()
        """Tick of the last audio packet, -1 before the first."""
        self.received: _Int = _none()
        self.concealed: _Int = _none()
        """Frames that had to be made up while the stream was on."""
        self.jitter: npt.NDArray[np.float64] = np.empty(0, np.float64)
        """Interarrival jitter of RFC 3550 section 6.4.1 in samples, as coarse as the tick."""
        self._pcm: npt.NDArray[np.float32] = np.empty((0, FRAME), np.float32)
        self._ulaw: g711.Bytes = np.empty((0, FRAME), np.uint8)
        self._ramps = _ramps()
        self._tick = 0
        self._grow(capacity)

    def _grow(self, capacity: int) -> None:
        def wider(old: npt.NDArray[np.generic], value: int) -> npt.NDArray[np.generic]:
            new = np.full((capacity, *old.shape[1:]), value, old.dtype)
            new[: len(old)] = old
            return new

        first = self.capacity
        for name, value in list(vars(self).items()):
            if isinstance(value, np.ndarray) and name != "_ramps":
                setattr(self, name, wider(value, 0xFF if value.dtype == np.uint8 else 0))
        self.capacity = capacity
        for slot in range(first, capacity):
            self.reset(slot)

    def reserve(self, capacity: int) -> None:
        """Make room for at least `capacity` slots; those in use keep their state."""
        if capacity > self.capacity:
            self._grow(max(capacity, 2 * self.capacity))

    def reset(self, slot: int) -> None:
        """A new leg in this slot."""
        self._fill[slot] = 0
        self._read[slot] = 0
        self._conceal[slot] = _CONCEAL_TICKS
        self._late_tick[slot] = -1
        self.ssrc[slot] = self._next_ssrc[slot] = self.heard[slot] = -1
        self.received[slot] = self.concealed[slot] = 0
        self.jitter[slot] = 0.0
        self._begin(slot, 0, 0)

    def _begin(self, slot: int, sequence: int, timestamp: int) -> None:
        """The stream starts (again): its first packet is to be played `FIRST_DEPTH` from now."""
        self._seen[slot] = -1
        # Extended numbers start high enough for packets from before the first to stay positive.
        self._sequence[slot] = sequence + 0x10000
        self._first_sequence[slot] = sequence + 0x10000
        self._timestamp[slot] = timestamp
        self._newest[slot] = self._read[slot] + FIRST_DEPTH * FRAME
        self._margin[slot] = _NO_MARGIN
        self._worst[slot] = _NO_MARGIN
        self._spare[slot] = 0
        self._transit[slot] = self._tick * FRAME - timestamp

    # --- writing --------------------------------------------------------------------------

    def put_batch(
        self, slots: _Int, packets: g711.Bytes, sizes: _Int, payload_types: _Int
    ) -> npt.NDArray[np.bool_]:
        """Place one packet each of different slots; `packets` is (n, >= 172) raw RTP.

        Only the common case is handled: the next packet in order, 20 ms of the leg's own
        G.711 `payload_types`, no header extras. Returns which rows were placed; the rest is for
        `put`.
        """
        count = len(slots)
        head = packets[:count, : rtp.HEADER_BYTES]
        words = head[:, 4:12].copy().view(">u4").astype(np.int64)
        sequence = head[:, 2:4].copy().view(">u2")[:, 0].astype(np.int64)
        timestamp, ssrc = words[:, 0], words[:, 1]
        position = self._newest[slots] + FRAME
        read = self._read[slots]
        margin = position - read
        fits: npt.NDArray[np.bool_] = (
            (sizes == rtp.HEADER_BYTES + FRAME)
            & (head[:, 0] == 0x80)
            & ((head[:, 1] & 0x7F) == payload_types)
            & (ssrc == self.ssrc[slots])
            & (sequence == ((self._sequence[slots] + 1) & 0xFFFF))
            & (timestamp == ((self._timestamp[slots] + FRAME) & 0xFFFFFFFF))
            & (position % FRAME == 0)
            & (margin >= 0)
            & (margin < _MAX_AHEAD)
        )
        if not fits.all():
            slots, position, timestamp = slots[fits], position[fits], timestamp[fits]
            margin, payload_types = margin[fits], payload_types[fits]
            payload = packets[:count][fits, rtp.HEADER_BYTES : rtp.HEADER_BYTES + FRAME]
        else:
            payload = packets[:count, rtp.HEADER_BYTES : rtp.HEADER_BYTES + FRAME]
        if not len(slots):
            return fits
        if payload_types.any():
            payload = np.where(
                (payload_types == g711.PCMA)[:, None], g711.ALAW_TO_ULAW[payload], payload
            )
        frame = position // FRAME % FRAMES
        self.data.reshape(self.capacity, FRAMES, FRAME)[slots, frame] = payload
        self._fill[slots, frame] = FRAME
        extended = self._sequence[slots] + 1
        self._sequence[slots] = extended
        self._seen[slots, extended % FRAMES] = extended
        self._timestamp[slots] = timestamp
        self._newest[slots] = position
        self._margin[slots] = np.minimum(self._margin[slots], margin)
        self._next_ssrc[slots] = -1
        self.heard[slots] = self._tick
        self.received[slots] += 1
        transit = self._tick * FRAME - timestamp
        moved = np.abs(transit - self._transit[slots])
        self._transit[slots] = transit
        jitter = self.jitter[slots]
        self.jitter[slots] = jitter + (np.minimum(moved, _MAX_JUMP) - jitter) / 16
        return fits

    def put(self, slot: int, packet: rtp.Packet) -> bool:
        """Place any audio packet; its payload is G.711 of its payload type. False if dropped."""
        payload = packet.payload[:MAX_PAYLOAD]
        size = len(payload)
        if not size:
            return False
        if packet.ssrc != self.ssrc[slot] and not self._new_source(slot, packet):
            return False
        step = ((packet.sequence - int(self._sequence[slot]) + 0x8000) & 0xFFFF) - 0x8000
        started = self.received[slot] > 0
        extended = int(self._sequence[slot]) + step
        jump = (
            (packet.timestamp - int(self._timestamp[slot]) + 0x80000000) & 0xFFFFFFFF
        ) - 0x80000000
        position = int(self._newest[slot]) + jump
        if started and not -FRAMES < step < _MAX_MISSING:
            # The numbering started anew if the next packet goes on from here.
            if self._next_ssrc[slot] != _RENUMBERED + packet.sequence:
                self._next_ssrc[slot] = _RENUMBERED + ((packet.sequence + 1) & 0xFFFF)
                return False
            self.received[slot] = 0
            self._begin(slot, packet.sequence, packet.timestamp)
            return self.put(slot, packet)
        if started and self._seen[slot, extended % FRAMES] == extended:
            return False
        if started and step < 0 and not -_MAX_JUMP <= jump < 0:
            return False
        newest = not started or step > 0
        if started and step > 0 and not 0 < jump <= _MAX_JUMP:
            # The clock of the stream jumped: go on where its last packet ends.
            position = int(self._newest[slot]) + size * min(step, FRAMES // 2)
            position = max(position, int(self._read[slot]) + FIRST_DEPTH * FRAME)
        self._next_ssrc[slot] = -1
        self.received[slot] += 1
        self.heard[slot] = self._tick
        self._seen[slot, extended % FRAMES] = extended
        if newest:
            self._sequence[slot] = extended
            self._timestamp[slot] = packet.timestamp
        if packet.payload_type == g711.PCMA:
            payload = payload.translate(g711.ALAW_TO_ULAW_BYTES)
        return self._place(slot, position, payload, newest)

    def _new_source(self, slot: int, packet: rtp.Packet) -> bool:
        """Whether to change to this packet's SSRC: at once at first, then when it comes twice."""
        if self.ssrc[slot] >= 0 and self._next_ssrc[slot] != packet.ssrc:
            self._next_ssrc[slot] = packet.ssrc
            return False
        self.ssrc[slot] = packet.ssrc
        self.received[slot] = 0
        self._begin(slot, packet.sequence, packet.timestamp)
        return True

    def saw_other(self, slot: int) -> None:
        """A packet of the stream that is no audio (an event, comfort noise) arrived."""
        self.received[slot] += 1
        self.heard[slot] = self._tick

    def put_stream(self, slot: int, payload: bytes) -> None:
        """Append mu-law samples, any number, of a source without packets (a line)."""
        size = 0
        for start in range(0, len(payload), MAX_PAYLOAD):
            piece = payload[start : start + MAX_PAYLOAD]
            if self.ssrc[slot] < 0:
                self.ssrc[slot] = 0
                self._begin(slot, 0, 0)
                position = int(self._newest[slot])
            else:
                # `_timestamp` holds the length of the last piece: where it ends is where we go on.
                position = int(self._newest[slot] + self._timestamp[slot])
            size = len(piece)
            self._timestamp[slot] = size
            self.received[slot] += 1
            self.heard[slot] = self._tick
            self._place(slot, position, piece, True)

    def _place(self, slot: int, position: int, payload: bytes, newest: bool) -> bool:
        read = int(self._read[slot])
        margin = position - read
        if newest:
            if margin >= _MAX_AHEAD:
                position = read + MAX_DEPTH * FRAME
            elif margin < 0:
                late = (-margin + FRAME - 1) // FRAME
                if late > MAX_DEPTH and self._late_tick[slot] in (-1, self._tick):
                    # A burst after a stall: its old part is lost. If the next tick brings late
                    # packets too, the sender's clock stood still and we follow it.
                    self._late_tick[slot] = self._tick
                    self._newest[slot] = position
                    return False
                position += (late if late <= MAX_DEPTH else late + FIRST_DEPTH) * FRAME
                self._spare[slot] = 0
            self._late_tick[slot] = -1
            margin = position - read
            self._newest[slot] = position
            self._margin[slot] = min(int(self._margin[slot]), margin)
        elif margin < 0:
            late = (-margin + FRAME - 1) // FRAME
            if late > MAX_STRAGGLE or int(self._newest[slot]) - read > MAX_DEPTH * FRAME:
                return False
            # Overtaken and too late: wait for its like from now on by stepping back.
            self._read[slot] -= late * FRAME
            self._spare[slot] = 0
            self._margin[slot] = min(int(self._margin[slot]), 0)
        self._copy(slot, position, payload)
        return True

    def _copy(self, slot: int, position: int, payload: bytes) -> None:
        samples = np.frombuffer(payload, np.uint8)
        ring, fill = self.data[slot], self._fill[slot]
        at = 0
        while at < len(samples):
            frame, offset = (position + at) // FRAME % FRAMES, (position + at) % FRAME
            count = min(FRAME - offset, len(samples) - at)
            start = frame * FRAME
            if not fill[frame] and count < FRAME:
                ring[start : start + FRAME] = g711.ULAW_SILENCE
            ring[start + offset : start + offset + count] = samples[at : at + count]
            fill[frame] += count
            at += count

    # --- reading --------------------------------------------------------------------------

    def begin_tick(self, tick: int) -> None:
        """What is put from now on arrives in this tick."""
        self._tick = tick

    def read(self, count: int) -> tuple[g711.Bytes, npt.NDArray[np.float32]]:
        """The next frame of slots 0 to `count` as mu-law (count, 160) and samples on the
        16-bit scale, same shape.

        Both arrays are ours and valid until the next call. Gaps are concealed: the last frame
        again, fading out within 60 ms.
        """
        index = np.arange(count)
        frame = self._read[:count] // FRAME % FRAMES
        ulaw = self._ulaw[:count]
        ulaw[:] = self.data.reshape(self.capacity, FRAMES, FRAME)[index, frame]
        missing = np.flatnonzero(self._fill[index, frame] <= 0)
        self._fill[index, frame] = 0
        self._conceal[:count] += 1
        pcm = self._pcm[:count]
        if len(missing):
            age = self._conceal[missing]
            fresh = age <= _CONCEAL_TICKS
            rows = missing[fresh]
            made = (pcm[rows] * self._ramps[age[fresh] - 1]).astype(np.int16)
            ulaw[missing] = g711.ULAW_SILENCE
            self._conceal[:count][np.delete(index, missing)] = 0
            np.take(g711.ULAW_FLOAT, ulaw, out=pcm, mode="clip")
            if len(rows):
                pcm[rows] = made
                ulaw[rows] = g711.ulaw_encode(made)
                self.concealed[rows] += 1
        else:
            self._conceal[:count] = 0
            np.take(g711.ULAW_FLOAT, ulaw, out=pcm, mode="clip")
        self._read[:count] += FRAME
        if self._tick % _WINDOW_TICKS == 0:
            self._give_back(count)
        return ulaw, pcm

    def missing(self, count: int) -> npt.NDArray[np.bool_]:
        """Which of slots 0 to `count` had nothing for the frame that was just read."""
        missing: npt.NDArray[np.bool_] = self._conceal[:count] > 0
        return missing

    def skip(self, frames: int, count: int) -> None:
        """The clock moved on without us: what was due then is not played."""
        step = min(frames, FRAMES)
        index = np.arange(count)
        for offset in range(step):
            self._fill[index, (self._read[:count] // FRAME + offset) % FRAMES] = 0
        self._read[:count] += frames * FRAME

    def _give_back(self, count: int) -> None:
        """At the end of a window: shrink the delay of legs whose margin never ran low."""
        margin = self._margin[:count] // FRAME
        heard = self._margin[:count] < _NO_MARGIN
        rich = heard & (margin >= _LOW_FRAMES)
        self._worst[:count] = np.where(rich, np.minimum(self._worst[:count], margin), _NO_MARGIN)
        self._spare[:count] = np.where(rich, self._spare[:count] + 1, 0)
        self._margin[:count] = _NO_MARGIN
        for slot in np.flatnonzero(rich):
            spare = int(margin[slot]) - FIRST_DEPTH
            if spare >= _HASTY_FRAMES:
                frames = spare // 2
            elif self._spare[slot] >= _PATIENCE:
                frames = 1
            else:
                continue
            start = int(self._read[slot]) // FRAME
            for offset in range(frames):
                self._fill[slot, (start + offset) % FRAMES] = 0
            self._read[slot] += frames * FRAME

    # --- figures --------------------------------------------------------------------------

    def highest_sequence(self, slot: int) -> int:
        """Extended highest sequence number received (RFC 3550 section 6.4.1)."""
        return int(self._sequence[slot]) & 0xFFFFFFFF

    def lost(self, slot: int) -> int:
        """Packets expected minus received since the stream began."""
        if self.ssrc[slot] < 0:
            return 0
        expected = int(self._sequence[slot] - self._first_sequence[slot]) + 1
        return expected - int(self.received[slot])

    def delay_ms(self, slot: int) -> float:
        """How far ahead of the reader the newest packet of this leg landed."""
        return (int(self._newest[slot]) - int(self._read[slot])) / 8
