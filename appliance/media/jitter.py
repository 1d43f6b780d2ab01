"""The jitter buffer of all legs: one ring of mu-law samples per leg, read by the tick.

A ring holds 32 frames of 160 samples. Positions are sample counts; the reader of a leg moves on by
one frame a tick, and most readers are at the same place, so that a tick reads one column of all
rings. A packet is placed by its timestamp relative to the newest packet, in the order of its
sequence number: what is late but not yet due still lands in its place, what was there before is
dropped. A timestamp that jumps while sequence numbers go on (a phone that changes its clock at
transfer) does not interrupt the sound; a new SSRC starts anew after two packets in a row.

What is missing when it is due is made up in its place in the ring: by concealment
(`appliance.media.plc`) for 60 ms, then by noise (`appliance.media.comfort`). So what was heard last
always stands before the reader, and a leg that loses nothing costs nothing.

The delay of a leg is how far packets land ahead of the reader (its margin). It starts at one frame,
of the newest packet where several come at once, and is held between that and two: it grows when
packets come too late or nearly so, and is given back when they no longer do, so that neither a
stall nor a far clock that runs fast costs delay for the rest of the call. The reader gains or loses
a pitch period at a time where it is not heard (`appliance.media.stretch`), at once after a stall,
in a quiet place when there is time. Only then does it leave the border of frames; bytes between two
such places are never touched. A clock that is 100 ppm off asks for this every three minutes;
resampling would cost each frame, and its exact bytes.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from appliance.media import g711, plc, rtp, stretch
from appliance.media.comfort import LISTEN_TICKS, ComfortNoise
from appliance.media.depth import LOOK_TICKS, MUCH, NO_MARGIN, TARGET, Depth
from appliance.media.drift import DriftMeter
from appliance.media.slots import room_for, together, widen, windows

FRAME: Final = 160
FRAMES: Final = 32
RING: Final = FRAME * FRAMES
MAX_PAYLOAD: Final = 480
"""60 ms: the longest packet of telephony, RFC 3551 receivers need 200 ms at most."""
FIRST_DEPTH: Final = 1
MAX_DEPTH: Final = 10
"""Frames that a late packet may push the delay out by; a later one is lost."""
MAX_STRAGGLE: Final = 4
"""The same for one that newer packets have overtaken: 80 ms."""
_MAX_AHEAD: Final = 26 * FRAME
_MAX_JUMP: Final = 8000
_MAX_PAUSE_AHEAD: Final = (MAX_DEPTH + 2) * FRAME
"""A pause in the timestamps that would put the next packet further ahead has not passed: a clock
that jumped."""
_LOOKING: Final = 8
"""Legs that look for a fair place in one tick, more or less: with many each looks less often."""
_LOOK_EVERY: Final = 8
"""Ticks between two looks of a leg that is in no hurry; few legs look at the same tick, since a
look at one costs nearly what one at eight does."""
_HURRYING: Final = 32
"""Legs in a hurry that look in one tick: after a stall all are, and a tick that all of them made
long would be the next stall."""
_FORCED_TICKS: Final = 25
"""What is due waits so long for a place that is fair, then takes any."""
_QUIET_POWER: Final = 30.0**2
"""About -55 dBm0: a seam in this is not heard."""
_SMOOTH: Final = 0.85
_FAIR: Final = 0.5
"""How alike two periods are to be for a seam, with time and without."""
_NOISE_SAMPLES: Final = 30 * 8000
"""A far end that stopped without a word is noise for so long, then silence."""
_COMFORT_TICKS: Final = 60 * 50
"""One that sent comfort noise need not send it again before."""
_MAX_MISSING: Final = 3000
"""A minute of loss; a larger step in the numbers is a new numbering (RFC 3550 appendix A.1)."""
_RENUMBERED: Final = 1 << 40
_ALL_SEEN: Final = (1 << FRAMES) - 1
_NO_ROWS: Final = np.empty(0, np.int64)
NO_AUDIO: Final = 255
"""Payload type of a slot from which no packets are taken."""
_SIZE: Final = rtp.HEADER_BYTES + FRAME
_VERSION: Final = 0x8000
_MARKER: Final = 0x80
"""In the first two bytes of a header."""

# Columns of what is due: what the next packet has if all goes well, its header, its size, and that
# the last one came in the tick before. Whose packet has them needs no other look: it lands as far
# ahead of the reader as the last one did. `_KIND` is 0 where this is not so.
_KIND, _NUMBER, _STAMP, _SOURCE, _BYTES, _HEARD = range(6)
_DUE_STEP: Final = np.array([0, 1, FRAME, 0, 0, 1])
"""What one more packet changes in it."""

# Columns of where the stream is. `_PLACE` is the frame of the newest packet, known like `_KIND`.
_PLACE: Final = 0
_FLOW: Final = ("_newest", "_sequence", "_timestamp", "received")
_FLOW_STEP: Final = np.array([1, FRAME, 1, FRAME, 1])

_BE16: Final = np.dtype(">u2")
_BE32: Final = np.dtype(">u4")
_DECODED_ROWS: Final = 64
"""Rows that are decoded at a time: with more, what is worked with leaves the cache."""

_Int = npt.NDArray[np.int64]


def _none() -> _Int:
    return np.empty(0, np.int64)


class Jitter:
    """State of `capacity` legs; a leg is a slot number. Times are ticks of 20 ms."""

    def __init__(self, capacity: int) -> None:
        self.capacity = 0
        self.data: g711.Bytes = np.empty((0, RING), np.uint8)
        self._filled: npt.NDArray[np.int32] = np.empty((FRAMES, 0), np.int32)
        """Samples that came, by frame and slot: those of one tick lie together."""
        self._fill = self._filled.T
        self._position = 0
        """Where all readers are that did not leave the common pace."""
        self._stray: _Int = _none()
        """How far each reader is from there."""
        self._straying = False
        """Whether any is."""
        # In two pieces, so that one comparison and two additions do for the usual packet.
        self._due: _Int = np.empty((0, len(_DUE_STEP)), np.int64)
        self._flow: _Int = np.empty((0, len(_FLOW_STEP)), np.int64)
        self._newest: _Int
        """Position of the first sample of the newest packet."""
        self._sequence: _Int
        """Its sequence number, extended beyond 16 bits."""
        self._timestamp: _Int
        self._seen: _Int = _none()
        """Which of the last packets up to `_seen_to` came, a bit each; all after those did."""
        self._seen_to: _Int = _none()
        self._margin: _Int = _none()
        """Smallest margin in this window, samples."""
        self._lost: _Int = _none()
        """Samples since what came last ended; 0 while the stream is on."""
        self._losing = True
        """Whether any stream may not be on."""
        self._comfort: _Int = _none()
        """Extended sequence number of the last comfort noise packet."""
        self._comfort_tick: _Int = _none()
        self._streamed: _Int = _none()
        """Samples that came without packets."""
        self._next_ssrc: _Int = _none()
        self._began: _Int = _none()
        """Tick in which the stream began, and the last one in which any did."""
        self._last_began = -1
        self._late_tick: _Int = _none()
        self._kinds: _Int = _none()
        """Payload type of the audio that is taken by the batch, `NO_AUDIO` for none."""
        self._alaw = False
        """Whether it is A-law for any."""
        self._first_sequence: _Int = _none()
        self.ssrc: _Int = _none()
        """Of the stream that is played, -1 before the first packet."""
        self.heard: _Int
        """Tick of the last audio packet, -1 before the first."""
        self.received: _Int
        self.concealed: _Int = _none()
        """Frames that had to be made up while the stream was on."""
        self.late: _Int = _none()
        """Packets that came too late to be played."""
        self.gaps: _Int = _none()
        """How often one or more numbers in a row were left out."""
        self.jitter: npt.NDArray[np.float64] = np.empty(0, np.float64)
        """Interarrival jitter of RFC 3550 section 6.4.1 in samples, as coarse as the tick."""
        self._pcm: npt.NDArray[np.float32] = np.empty((0, FRAME), np.float32)
        self._ulaw: g711.Bytes = np.empty((0, FRAME), np.uint8)
        self._plc = plc.Concealer(0)
        self._noise = ComfortNoise(0)
        self._drift = DriftMeter(0)
        self._depth = Depth(0)
        self._tick = 0
        self._was_read = False
        """Whether the readers have moved on in this tick, by one frame."""
        self._together: tuple[_Int, slice | _Int] = (_none(), _none())
        """Slots of the last batch, and where they are."""
        self._grow(capacity)
        self.data[:] = g711.ULAW_SILENCE

    def _grow(self, capacity: int) -> None:
        first = self.capacity
        # Memory that is not written to is not taken: slots may never be used.
        data = np.empty((capacity, RING), np.uint8)
        data[:first] = self.data
        self.data = data
        kept = {"data", "heard", "_fill", "_filled", *_FLOW}
        for name, value in list(vars(self).items()):
            if isinstance(value, np.ndarray) and name not in kept:
                setattr(self, name, widen(value, capacity))
        filled = np.zeros((FRAMES, capacity), np.int32)
        filled[:, :first] = self._filled
        self._filled, self._fill = filled, filled.T
        for column, name in enumerate(_FLOW, _PLACE + 1):
            setattr(self, name, self._flow[:, column])
        self.heard = self._due[:, _HEARD]
        for part in (self._plc, self._noise, self._drift, self._depth):
            part.reserve(capacity)
        # In a tuple: it is no state.
        self._windows = (windows(self.data, FRAME),)
        self._steps = np.arange(capacity)
        self._came = np.empty((capacity, len(_DUE_STEP)), np.int64)
        self._full = np.full(capacity, FRAME, np.int32).tobytes()
        self.capacity = capacity
        for slot in range(first, capacity):
            self._clear(slot)

    def reserve(self, capacity: int) -> None:
        """Make room for at least `capacity` slots; those in use keep their state."""
        if capacity > self.capacity:
            self._grow(room_for(capacity))

    def reset(self, slot: int, link: bool = False) -> None:
        """A new leg in this slot, or the end of a link."""
        # What was said in this slot before must not be heard in a concealed frame.
        self.data[slot] = g711.ULAW_SILENCE
        self._clear(slot, link)

    def _clear(self, slot: int, link: bool = False) -> None:
        self._fill[slot] = 0
        self._stray[slot] = 0
        self._lost[slot] = _NOISE_SAMPLES
        self._losing = True
        self._kinds[slot] = NO_AUDIO
        self._due[slot, _BYTES] = _SIZE
        self._late_tick[slot] = -1
        self._sequence[slot] = self._streamed[slot] = 0
        self._comfort[slot] = self._comfort_tick[slot] = -1
        self._depth.reset(slot, link)
        self._noise.reset(slot)
        self.ssrc[slot] = self._next_ssrc[slot] = self.heard[slot] = -1
        self.received[slot] = self.concealed[slot] = 0
        self.late[slot] = self.gaps[slot] = 0
        self.jitter[slot] = 0.0
        self._begin(slot, 0, 0)

    def _begin(self, slot: int, sequence: int, timestamp: int, size: int = FRAME) -> None:
        """The stream starts (again): its first packet is to be played `FIRST_DEPTH` from now, or
        a little later if its `size` is such that the next may come less far ahead."""
        self._seen[slot] = 0
        self._seen_to[slot] = sequence + 0x10000
        self._due[slot, _KIND] = 0
        self._began[slot] = self._last_began = self._tick
        # Extended numbers start high enough for packets from before the first to stay positive.
        self._sequence[slot] = sequence + 0x10000
        self._first_sequence[slot] = sequence + 0x10000
        self._timestamp[slot] = timestamp
        depth = FIRST_DEPTH * FRAME + int(self._depth.more[slot])
        self._newest[slot] = self._border(slot) + depth + -size % FRAME
        self._margin[slot] = NO_MARGIN
        self._depth.begin(slot)
        self._comfort[slot] = -1
        self._drift.reset(slot)

    def _border(self, slot: int) -> int:
        """First sample of the first frame that nothing was read of yet."""
        return -(-self._reader(slot) // FRAME) * FRAME

    def _reader(self, slot: int) -> int:
        """The next sample that is read of this slot."""
        return self._position + int(self._stray[slot])

    def _readers(self, slots: slice | _Int) -> _Int:
        readers: _Int = self._stray[slots] + self._position
        return readers

    def _move(self, slots: _Int | int, samples: _Int | int) -> None:
        """These readers leave the common pace, and what comes next for them is looked at anew."""
        self._stray[slots] += samples
        self._due[slots, _KIND] = 0
        self._straying = True

    def _target(self, slot: int) -> int:
        return TARGET + int(self._depth.more[slot])

    # --- writing --------------------------------------------------------------------------

    def expect(self, kinds: _Int) -> None:
        """Payload types of the audio that `put_batch` takes, by slot; `NO_AUDIO` for none."""
        known = self._kinds[: len(kinds)]
        self._due[: len(kinds), _KIND][known != kinds] = 0
        known[:] = kinds
        self._alaw = bool((kinds == g711.PCMA).any())

    def put_batch(self, slots: _Int, packets: g711.Bytes, sizes: _Int) -> _Int:
        """Place one packet each of different slots; `packets` is (n, >= 172) raw RTP.

        Only the common case is handled: the next packet in order, 20 ms of the leg's own
        G.711 (see `expect`), no header extras. Returns the rows that were not placed: they are for
        `put`.
        """
        count = len(slots)
        if slots is not self._together[0]:
            self._together = slots, together(slots)
        where = self._together[1]
        packets = packets[:count]
        came = self._came[:count]
        came[:, :_STAMP] = packets.view(_BE16)[:, :2]
        came[:, _STAMP:_BYTES] = packets.view(_BE32)[:, 1:3]
        came[:, _BYTES] = sizes
        came[:, _HEARD] = self._tick - 1
        payload = packets[:, rtp.HEADER_BYTES : rtp.HEADER_BYTES + FRAME]
        due = self._due[where]
        left = _NO_ROWS
        if came.tobytes() != due.tobytes():
            fits = self._look_closer(slots, came, np.all(came == due, axis=1))
            left = np.flatnonzero(~fits)
            if len(left):
                slots, payload = slots[fits], payload[fits]
                where = slots
                if not len(slots):
                    return left
            due = self._due[where]
        flow, jitter = self._flow[where], self.jitter[where]
        due += _DUE_STEP
        flow += _FLOW_STEP
        jitter *= 15 / 16
        if not isinstance(where, slice):
            self._due[slots], self._flow[slots], self.jitter[slots] = due, flow, jitter
        frame = flow[:, _PLACE] & (FRAMES - 1)
        frames = self.data.reshape(self.capacity, FRAMES, FRAME)
        frames[slots, frame] = payload
        if self._alaw:
            alaw = np.flatnonzero(self._kinds[where] == g711.PCMA)
            frames[slots[alaw], frame[alaw]] = g711.ALAW_TO_ULAW[payload[alaw]]
        self._filled[frame, slots] = FRAME
        return left

    def _look_closer(
        self, slots: _Int, came: _Int, fits: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """Which of these headers are those of the packet that comes next, whenever that is;
        those that are what is due `fits` tells already."""
        rows = np.flatnonzero(~fits)
        slots, came = slots[rows], came[rows]
        due, kinds = self._due[slots], self._kinds[slots]
        # The marker may be anything. That of a slot that gives no audio is never found.
        due[:, _KIND] = _VERSION | kinds
        due[:, _NUMBER] = self._sequence[slots] + 1 & 0xFFFF
        due[:, _STAMP] = self._timestamp[slots] + FRAME & 0xFFFFFFFF
        due[:, _SOURCE] = self.ssrc[slots]
        came[:, _KIND] &= ~_MARKER
        position = self._newest[slots] + FRAME
        margin = position - self._readers(slots)
        found: npt.NDArray[np.bool_] = (
            np.all(came[:, :_HEARD] == due[:, :_HEARD], axis=1)
            & (self._began[slots] != self._tick)
            & (position % FRAME == 0)
            & (margin >= 0)
            & (margin < _MAX_AHEAD)
        )
        fits[rows] = found
        if not found.all():
            slots, due = slots[found], due[found]
            position, margin = position[found], margin[found]
        # With numbers in order, what arrival is away from its time is away from the next tick.
        moved = np.abs(self._tick - 1 - due[:, _HEARD]) * FRAME
        self.jitter[slots] += np.minimum(moved, _MAX_JUMP) / 15
        due[:, _HEARD] = self._tick - 1
        self._due[slots] = due
        self._flow[slots, _PLACE] = position // FRAME - 1
        self._margin[slots] = np.minimum(self._margin[slots], margin)
        self._next_ssrc[slots] = -1
        return fits

    def put(self, slot: int, packet: rtp.Packet) -> bool:
        """Place any audio packet; its payload is G.711 of its payload type. False if dropped."""
        self._due[slot, _KIND] = 0
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
            self._begin(slot, packet.sequence, packet.timestamp, len(packet.payload))
            return self.put(slot, packet)
        if started and self._has_seen(slot, extended):
            return False
        if started and step < 0 and not -_MAX_JUMP <= jump < 0:
            return False
        newest = not started or step > 0
        if started and step > 0:
            border = self._border(slot)
            paused = jump > step * MAX_PAYLOAD
            if jump <= 0 or (paused and position - border > _MAX_PAUSE_AHEAD):
                # The clock of the stream jumped: go on where its last packet ends.
                position = int(self._newest[slot]) + size * min(step, FRAMES // 2)
                position = max(position, border + self._target(slot))
            elif position < border and (packet.marker or paused):
                # A talkspurt begins: whatever the clock did in the pause, this is now.
                position = border + self._target(slot)
            elif self._began[slot] == self._tick and jump <= MAX_PAYLOAD:
                # It waited for us together with the stream's first: what came before it is not
                # waited for, or all of the stream would be late by that much.
                self._drop(slot, jump // FRAME)
        self._next_ssrc[slot] = -1
        self.received[slot] += 1
        self.heard[slot] = self._tick
        self._see(slot, extended)
        if newest:
            self.gaps[slot] += started and step > 1
            self._sequence[slot] = extended
            self._timestamp[slot] = packet.timestamp
        if packet.payload_type == g711.PCMA:
            payload = payload.translate(g711.ALAW_TO_ULAW_BYTES)
        placed = self._place(slot, position, payload, newest)
        self.late[slot] += not placed
        return placed

    def _history(self, slot: int) -> int:
        """Which of the last `FRAMES` packets came, the newest as bit 0."""
        since = int(self._sequence[slot] - self._seen_to[slot])
        if since >= FRAMES:
            return _ALL_SEEN
        return (int(self._seen[slot]) << since | (1 << since) - 1) & _ALL_SEEN

    def _has_seen(self, slot: int, extended: int) -> bool:
        back = int(self._sequence[slot]) - extended
        return back >= 0 and bool(self._history(slot) >> back & 1)

    def _see(self, slot: int, extended: int) -> None:
        """A packet came; called before `_sequence` moves on to it."""
        history, newest = self._history(slot), int(self._sequence[slot])
        if extended > newest:
            history, newest = history << min(extended - newest, FRAMES), extended
        self._seen[slot] = (history | 1 << newest - extended) & _ALL_SEEN
        self._seen_to[slot] = newest

    def _new_source(self, slot: int, packet: rtp.Packet) -> bool:
        """Whether to change to this packet's SSRC: at once at first, then when it comes twice."""
        if self.ssrc[slot] >= 0 and self._next_ssrc[slot] != packet.ssrc:
            self._next_ssrc[slot] = packet.ssrc
            return False
        self.ssrc[slot] = packet.ssrc
        self.received[slot] = 0
        self._begin(slot, packet.sequence, packet.timestamp, len(packet.payload))
        return True

    def comfort(self, slot: int, packet: rtp.Packet) -> None:
        """A comfort noise packet (RFC 3389): what follows the audio before it is its noise."""
        self.saw_other(slot)
        if self.ssrc[slot] not in (-1, packet.ssrc):
            return
        if self._noise.announce(slot, packet.payload):
            number = int(self._sequence[slot])
            step = ((packet.sequence - number + 0x8000) & 0xFFFF) - 0x8000
            if self.ssrc[slot] < 0:
                step = 1
            self._comfort[slot] = max(int(self._comfort[slot]), number + step)
            self._comfort_tick[slot] = self._tick

    def comforted(self, count: int) -> npt.NDArray[np.bool_]:
        """Which of slots 0 to `count` said that they would be silent, and may still be."""
        return (self._comfort[:count] > self._sequence[:count]) & (
            self._tick - self._comfort_tick[:count] < _COMFORT_TICKS
        )

    def saw_other(self, slot: int) -> None:
        """A packet of the stream that is no audio (an event, comfort noise) arrived."""
        self.received[slot] += 1
        self.heard[slot] = self._tick
        self._due[slot, _KIND] = 0

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
            self._streamed[slot] += size
            self.received[slot] += 1
            self.heard[slot] = self._tick
            self._place(slot, position, piece, True)

    def _place(self, slot: int, position: int, payload: bytes, newest: bool) -> bool:
        border = self._border(slot)
        late = (border - position + FRAME - 1) // FRAME
        if not newest:
            if late <= 0:
                return self._copy(slot, position, payload)
            if late <= MAX_STRAGGLE and int(self._newest[slot]) - border <= MAX_DEPTH * FRAME:
                # Overtaken and too late: wait for its like from now on.
                self._depth.overtaken(slot, late * FRAME, self._tick)
            return False
        if position - border >= _MAX_AHEAD:
            position = border + MAX_DEPTH * FRAME
        elif late > 0:
            if late > MAX_DEPTH and self._late_tick[slot] in (-1, self._tick):
                # A burst after a stall: its old part is lost. If the next tick brings late
                # packets too, the sender's clock stood still and we follow it.
                self._late_tick[slot] = self._tick
                self._newest[slot] = position
                return False
            position += (late if late <= MAX_DEPTH else late + FIRST_DEPTH) * FRAME
            self._depth.late(slot, self._tick)
        self._late_tick[slot] = -1
        self._newest[slot] = position
        margin = position - self._reader(slot)
        self._margin[slot] = min(int(self._margin[slot]), margin)
        return self._copy(slot, position, payload)

    def _drop(self, slot: int, frames: int) -> None:
        """The next frames are not played."""
        first = self._border(slot) // FRAME
        self._fill[slot, np.arange(first, first + frames) % FRAMES] = 0
        self._move(slot, frames * FRAME)

    def _copy(self, slot: int, position: int, payload: bytes) -> bool:
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
        return True

    # --- reading --------------------------------------------------------------------------

    def begin_tick(self, tick: int, late_s: float = 0.0) -> None:
        """What is put from now on arrives in this tick, which is so late itself."""
        if not self._was_read or tick != self._tick + 1:
            self._due[:, _KIND] = 0
        self._tick, self._was_read = tick, False
        self._depth.tick_was_late(late_s, tick)

    def read(self, count: int) -> tuple[g711.Bytes, npt.NDArray[np.float32]]:
        """The next frame of slots 0 to `count` as mu-law (count, 160) and samples on the
        16-bit scale, same shape.

        Both arrays are ours and valid until the next call. What is missing is made up.
        """
        ulaw, pcm = self._ulaw[:count], self._pcm[:count]
        frame = self._position // FRAME % FRAMES
        fill = self._filled[frame, :count]
        if (
            self._straying
            or self._losing
            or self._depth.owing
            or fill.tobytes() != self._full[: count * fill.itemsize]
        ):
            self._read_closely(count, ulaw)
        else:
            fill[:] = 0
            ulaw[:] = self.data[:count, frame * FRAME : (frame + 1) * FRAME]
            self._position += FRAME
        for first in range(0, count, _DECODED_ROWS):
            part = slice(first, first + _DECODED_ROWS)
            g711.ULAW_FLOAT.take(ulaw[part], out=pcm[part], mode="clip")
        if self._tick % LISTEN_TICKS == 0:
            self._noise.listen(pcm, self._lost[:count] == 0)
        if self._tick % LOOK_TICKS == 0:
            self._look_back(count)
        if self._was_read:
            # Twice in a tick: what comes next is nearer than it was.
            self._due[:, _KIND] = 0
        self._was_read = True
        return ulaw, pcm

    def _read_closely(self, count: int, ulaw: g711.Bytes) -> None:
        """The same where something is missing, or somebody reads elsewhere."""
        index = self._steps[:count]
        frames = self.data.reshape(self.capacity, FRAMES, FRAME)
        read = self._readers(slice(0, count))
        last = (read + (FRAME - 1)) // FRAME
        where = last % FRAMES
        fill = self._filled[where, index]
        ill = np.flatnonzero((fill < FRAME) | (self._lost[:count] > 0))
        if len(ill):
            self._mend(ill, last[ill] * FRAME, fill[ill])
        self._losing = bool(self._lost[:count].any())
        self._filled[where, index] = 0
        ulaw[:] = frames[index, where]
        crooked = np.flatnonzero(read != last * FRAME)
        if len(crooked):
            ulaw[crooked] = self._between(crooked, read[crooked])
            self._straighten(crooked)
        self._position += FRAME
        if self._depth.owing:
            self._settle(count, fill)

    def ahead(self, slot: int) -> int:
        """Whole frames from the reader to the end of the newest packet."""
        return max(0, (int(self._newest[slot]) - self._reader(slot)) // FRAME + 1)

    def coming(self, slot: int, frames: int) -> list[bytes | None]:
        """The last so many frames that came, None for those that are not there."""
        newest = int(self._newest[slot]) // FRAME
        places = [(newest + offset) % FRAMES for offset in range(1 - frames, 1)]
        ring = self.data[slot].reshape(FRAMES, FRAME)
        return [ring[p].tobytes() if self._fill[slot, p] >= FRAME else None for p in places]

    def seamless(self, slot: int) -> bool:
        """Whether whoever hears this reader may go on at the next border of frames unnoticed."""
        read = self._reader(slot)
        if read % FRAME == 0:
            return True
        last = self.data[slot][np.arange(read - FRAME, read) % RING]
        return float(np.mean(g711.ULAW_FLOAT[last] ** 2)) < _QUIET_POWER

    def newest_numbers(self, slot: int) -> tuple[int, int]:
        """Sequence number and timestamp of the newest packet."""
        return int(self._sequence[slot]) & 0xFFFF, int(self._timestamp[slot])

    def missing(self, count: int) -> npt.NDArray[np.bool_]:
        """Which of slots 0 to `count` had nothing for the frame that was just read."""
        missing: npt.NDArray[np.bool_] = self._lost[:count] > 0
        return missing

    def skip(self, frames: int, count: int) -> None:
        """The clock moved on without us: what was due then is not played."""
        step = min(frames, FRAMES)
        index = np.arange(count)
        first = (self._readers(slice(0, count)) + (FRAME - 1)) // FRAME
        for offset in range(step):
            self._fill[index, (first + offset) % FRAMES] = 0
        self._position += frames * FRAME
        self._due[:, _KIND] = 0

    # --- making up what is missing ------------------------------------------------------------

    def _where(self, slots: _Int, start: _Int, count: int) -> _Int:
        """Of `count` samples from each `start` on: where they are in `data`, flat."""
        return slots[:, None] * RING + (start[:, None] + np.arange(count)) % RING

    def _gather(self, slots: _Int, start: _Int, count: int) -> g711.Bytes:
        return self.data.reshape(-1)[self._where(slots, start, count)]

    def _between(self, slots: _Int, start: _Int) -> g711.Bytes:
        """One frame from anywhere; much cheaper than `_gather` where the ring does not end."""
        at = start % RING
        within = np.minimum(at, RING - FRAME)
        found: g711.Bytes = self._windows[0][slots, within]
        around = np.flatnonzero(at != within)
        if len(around):
            found[around] = self._gather(slots[around], start[around], FRAME)
        return found

    def _sound(self, slots: _Int, start: _Int, count: int) -> npt.NDArray[np.float32]:
        return g711.ULAW_FLOAT[self._gather(slots, start, count)]

    def _mend(self, slots: _Int, start: _Int, fill: npt.NDArray[np.int32]) -> None:
        """Make the frames at `start` whole, of which `fill` samples have come."""
        gone = fill <= 0
        if gone.all():
            self._fill_in(slots, start)
            return
        whole = fill >= FRAME
        part = ~gone & ~whole
        if gone.any():
            self._fill_in(slots[gone], start[gone])
        if whole.any():
            self._join(slots[whole], start[whole])
        if part.any():
            self._mend_part(slots[part], start[part], fill[part].astype(np.int64))

    def _mend_part(self, slots: _Int, start: _Int, fill: _Int) -> None:
        """Frames of which one half came: another packet than that of the rest was lost, or a line
        has run dry."""
        silent = self._gather(slots, start, FRAME) == g711.ULAW_SILENCE
        time = np.arange(FRAME)
        tail = (silent | (time < fill[:, None])).all(axis=1)
        head = ~tail & (silent | (time >= FRAME - fill[:, None])).all(axis=1)
        begun = self._lost[slots] > 0
        self._join(slots[begun & ~head], start[begun & ~head])
        if tail.any():
            rows, ends = slots[tail], (start + fill)[tail]
            self._begin_loss(rows, ends)
            self._write_part(rows, ends, (FRAME - fill)[tail])
            self.concealed[rows] += 1
        if head.any():
            rows, holes = slots[head], (FRAME - fill)[head]
            fresh = self._lost[rows] == 0
            self._begin_loss(rows[fresh], start[head][fresh])
            on = self._lost[rows] < plc.LENGTH
            self._write_part(rows[on], start[head][on], holes[on])
            self.concealed[rows[on]] += 1
            self._join(rows, start[head] + holes)

    def _write_part(self, slots: _Int, start: _Int, length: _Int) -> None:
        made = _encode(self._instead(slots, start, self._lost[slots], FRAME))
        mask = np.arange(FRAME) < length[:, None]
        self.data.reshape(-1)[self._where(slots, start, FRAME)[mask]] = made[mask]
        self._lost[slots] += length

    def _begin_loss(self, slots: _Int, start: _Int, brief: bool = False) -> None:
        """What comes from `start` on is missing: prepare what is heard instead; of a `brief` loss
        the end is there already."""
        if not len(slots):
            return
        told = self._told(slots)
        self._noise.start(slots, self._noise.wanted(slots, told))
        # The far end said that it would be silent: there is nothing to conceal.
        self._lost[slots[told]] = plc.LENGTH
        slots, start = slots[~told], start[~told]
        if len(slots):
            self._plc.begin(slots, self._sound(slots, start - plc.HISTORY, plc.HISTORY), brief)

    def _told(self, slots: _Int) -> npt.NDArray[np.bool_]:
        return self._comfort[slots] > self._sequence[slots]

    def _fill_in(self, slots: _Int, start: _Int) -> None:
        """Whole frames that are missing."""
        fresh = self._lost[slots] == 0
        next_frame = (start // FRAME + 1) % FRAMES
        brief = bool((self._fill[slots[fresh], next_frame[fresh]] >= FRAME).all())
        self._begin_loss(slots[fresh], start[fresh], brief)
        lost = self._lost[slots]
        self._lost[slots] = lost + FRAME
        voice = lost < plc.LENGTH
        if voice.any():
            self._conceal(slots[voice], start[voice], lost[voice])
        if not voice.all():
            self._hush(slots[~voice], start[~voice], lost[~voice])

    def _conceal(self, slots: _Int, start: _Int, lost: _Int) -> None:
        frames = self.data.reshape(self.capacity, FRAMES, FRAME)
        where = start // FRAME % FRAMES
        made = self._instead(slots, start, lost, FRAME)
        after = (where + 1) % FRAMES
        seen = self._fill[slots, after] >= FRAME
        if seen.any():
            # The next frame is here already: make one that leads to it, and nothing is to join.
            rows = slots[seen]
            made[seen] = self._plc.bridge(
                rows, lost[seen], g711.ULAW_FLOAT[frames[rows, after[seen]]]
            )
            self._lost[rows] = 0
        frames[slots, where] = _encode(made)
        self.concealed[slots] += 1

    def _hush(self, slots: _Int, start: _Int, lost: _Int) -> None:
        """Frames of noise, or silence if that is what the far end is like."""
        told = self._told(slots)
        frames = self.data.reshape(self.capacity, FRAMES, FRAME)
        where = start // FRAME % FRAMES
        frames[slots, where] = g711.ULAW_SILENCE
        if not ((lost < _NOISE_SAMPLES) | told | (self._noise.level(slots) > 0)).any():
            return
        wanted = self._noise.wanted(slots, told)
        tired = np.where(
            told,
            self._tick - self._comfort_tick[slots] > _COMFORT_TICKS,
            lost >= _NOISE_SAMPLES,
        )
        wanted[tired] = 0
        loud = (wanted > 0) | (self._noise.level(slots) > 0)
        if loud.any():
            rows = slots[loud]
            noise = self._noise.make(rows, start[loud], FRAME, told[loud])
            noise *= self._noise.follow(rows, wanted[loud])
            frames[rows, where[loud]] = _encode(noise)

    def _instead(self, slots: _Int, start: _Int, lost: _Int, count: int) -> npt.NDArray[np.float32]:
        """What is heard of `count` samples from `start` on, `lost` after the loss began, if they
        are missing."""
        made, gain = self._plc.take(slots, lost, count)
        level = self._noise.level(slots)
        loud = np.flatnonzero((level > 0) & (gain[:, -1] < 1))
        if len(loud):
            rows = slots[loud]
            noise = self._noise.make(rows, start[loud], count, self._told(rows))
            made[loud] += noise * level[loud, None] * (1 - gain[loud])
        return made

    def _join(self, slots: _Int, start: _Int) -> None:
        """From `start` on there is sound again: what was made up turns into it."""
        lost = self._lost[slots]
        self._join_on(slots, start, lost)
        self._lost[slots] = 0

    def _join_on(self, slots: _Int, start: _Int, lost: _Int) -> None:
        audible = (lost < plc.LENGTH) | (self._noise.level(slots) > 0)
        if not audible.all():
            slots, start, lost = slots[audible], start[audible], lost[audible]
        if not len(slots):
            return
        overlap = self._plc.overlap(slots, lost)
        old = self._instead(slots, start, lost, plc.MAX_OVERLAP)
        where = self._where(slots, start, plc.MAX_OVERLAP)
        codes = self.data.reshape(-1)[where]
        time = np.arange(1, plc.MAX_OVERLAP + 1)
        weight = (time / (overlap + 1)[:, None]).astype(np.float32)
        mixed = old + weight * (g711.ULAW_FLOAT[codes] - old)
        self.data.reshape(-1)[where] = np.where(weight < 1, _encode(mixed), codes)

    # --- the delay ----------------------------------------------------------------------------

    def _straighten(self, slots: _Int) -> None:
        """A reader that left the border of frames goes back to it where nothing is heard."""
        rows = slots[self._lost[slots] >= plc.LENGTH]
        if len(rows):
            off = self._readers(rows) % FRAME
            self._move(rows, np.where(off >= FRAME // 2, FRAME - off, -off))

    def _settle(self, count: int, fill: npt.NDArray[np.int32]) -> None:
        """After a frame was read: readers that owe something gain or fall back, where this is not
        heard; `fill` is what that frame was made of."""
        debt = self._depth.debt[:count]
        rows = np.flatnonzero(debt)
        if not len(rows):
            self._depth.owing = False
            return
        self._settle_unheard(rows, fill)
        # Large debts are paid every tick, small ones may look for a good place more cheaply.
        urgent = (np.abs(debt[rows]) >= MUCH) | (self._depth.due[rows] <= self._tick)
        turns = _LOOK_EVERY * (1 + len(rows) // (_LOOKING * _LOOK_EVERY))
        rows = rows[urgent | ((rows // _LOOKING + self._tick) % turns == 0)]
        rows = rows[(self._lost[rows] == 0) & (fill[rows] >= FRAME)]
        if not len(rows):
            return
        start = self._readers(rows) - FRAME
        ahead = (start + (2 * FRAME - 1)) // FRAME % FRAMES
        gain = (debt[rows] > 0) & (self._fill[rows, ahead] >= FRAME)
        if gain.any():
            samples = self._sound(rows[gain], start[gain], stretch.AHEAD)
            made = stretch.shorter(samples, debt[rows[gain]])
            self._seam(rows[gain], samples[:, : stretch.SEAM], *made, 1)
        fall = debt[rows] < 0
        if fall.any():
            before = start[fall] - stretch.LONGEST
            samples = self._sound(rows[fall], before, stretch.AHEAD)
            made = stretch.longer(samples, -debt[rows[fall]])
            here = samples[:, stretch.LONGEST : stretch.LONGEST + stretch.SEAM]
            self._seam(rows[fall], here, *made, -1)

    def _settle_unheard(self, rows: _Int, fill: npt.NDArray[np.int32]) -> None:
        """While the far end is silent a reader may go where it likes, by whole frames."""
        rows = rows[(self._lost[rows] > plc.LENGTH) & (fill[rows] <= 0)]
        if not len(rows):
            return
        debt = self._depth.debt[rows]
        ahead = (self._readers(rows) + (FRAME - 1)) // FRAME % FRAMES
        gain = (debt >= FRAME // 2) & (self._fill[rows, ahead] <= 0)
        fall = debt <= -FRAME // 2
        step = np.where(gain, FRAME, np.where(fall, -FRAME, 0))
        self._move(rows, step)
        self._depth.debt[rows] = np.where(np.abs(debt) < FRAME // 2, 0, debt - step)
        self._depth.fell[rows[fall]] = True

    def _seam(
        self,
        slots: _Int,
        samples: npt.NDArray[np.float32],
        made: npt.NDArray[np.float32],
        lag: _Int,
        alike: npt.NDArray[np.float32],
        sign: int,
    ) -> None:
        """Let these hear the frames `made` instead, where it is good or must be."""
        waited = self._tick - self._depth.due[slots]
        power = np.einsum("ij,ij->i", samples, samples) / samples.shape[1]
        good = (
            (alike >= np.where(waited >= 0, _FAIR, _SMOOTH))
            | (power < _QUIET_POWER)
            | (waited >= _FORCED_TICKS)
        )
        slots, lag = slots[good], lag[good]
        if not len(slots):
            return
        self._ulaw[slots] = _encode(made[good])
        before = (self._readers(slots) - 1) // FRAME
        self._move(slots, sign * lag)
        after = (self._readers(slots) + (FRAME - 1)) // FRAME
        if sign > 0:
            # The frame that was read ahead of its time.
            passed = after > before + 1
            self._fill[slots[passed], after[passed] - 1 & (FRAMES - 1)] = 0
        else:
            again = after <= before
            self._fill[slots[again], after[again] % FRAMES] = FRAME
            self._depth.fell[slots] = True
        for slot in slots[self._streamed[slots] > 0]:
            self._rebase(int(slot))
        left = self._depth.debt[slots] - sign * lag
        self._depth.debt[slots] = np.where(sign * left < stretch.SHORTEST, 0, left)

    def _rebase(self, slot: int) -> None:
        """Bring the reader of a line back onto the border of frames by moving what it is going to
        read, and what it has read lately: a line's samples need no fixed place, and come so close
        to their time that a reader between two frames would miss the end of the second."""
        read, border = self._reader(slot), self._border(slot)
        end = int(self._newest[slot] + self._timestamp[slot])
        first, last = border // FRAME, end // FRAME
        frames = np.arange(first, last) % FRAMES
        if last - first > FRAMES // 2 or not (self._fill[slot, frames] >= FRAME).all():
            return
        which, start = np.array([slot]), np.array([read - plc.HISTORY])
        kept = self._gather(which, start, end - read + plc.HISTORY)
        move = border - read
        self.data.reshape(-1)[self._where(which, start + move, kept.shape[1])] = kept
        self._move(slot, move)
        self._newest[slot] += move
        for frame in range(first, (end + move) // FRAME + 1):
            self._fill[slot, frame % FRAMES] = min(FRAME, end + move - frame * FRAME)

    def _look_back(self, count: int) -> None:
        """Twice a second: is the delay of each leg what it should be? And how does its far end's
        clock run?"""
        part, margin = slice(0, count), self._margin[:count]
        heard, streamed = self.heard[part], self._streamed[part]
        line = streamed > 0
        self._depth.look(margin, self._newest[part] - self._readers(part), line, self._tick)
        margin[:] = NO_MARGIN
        self._due[:, _KIND] = 0
        if self._straying:
            self._fall_in(count)
        theirs = np.where(line, streamed, self._timestamp[part]) & 0xFFFFFFFF
        self._drift.look(heard * FRAME, theirs, heard >= self._tick - 1)

    def _fall_in(self, count: int) -> None:
        """Readers that are whole frames off the common pace fall in with it: their ring turns."""
        stray = self._stray[:count]
        for slot in np.flatnonzero((stray != 0) & (stray % FRAME == 0)).tolist():
            frames = int(stray[slot]) // FRAME
            ring = self.data[slot].reshape(FRAMES, FRAME)
            ring[:] = np.roll(ring, -frames, axis=0)
            self._fill[slot] = np.roll(self._fill[slot], -frames)
            self._newest[slot] -= frames * FRAME
            self._move(slot, -frames * FRAME)
        self._straying = bool(stray.any())

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

    def ppm(self, slot: int) -> float | None:
        """By how much the clock of this leg's far end is faster than ours, in millionths; None
        before a minute of it."""
        return self._drift.ppm(slot)

    def delay_ms(self, slot: int) -> float:
        """How far ahead of the reader the newest packet of this leg landed."""
        return (int(self._newest[slot]) - self._reader(slot)) / 8


def _one_turn(urgent: npt.NDArray[np.bool_], tick: int) -> npt.NDArray[np.bool_]:
    """Of those in a hurry, whose turn it is in this tick: at most `_HURRYING`."""
    order = np.cumsum(urgent)
    turns = -(-int(order[-1]) // _HURRYING) if len(order) else 0
    return urgent if turns <= 1 else (order + tick) % turns == 0


def _encode(samples: npt.NDArray[np.float32]) -> g711.Bytes:
    return g711.ulaw_encode(np.rint(np.clip(samples, -32124, 32124)).astype(np.int16))
