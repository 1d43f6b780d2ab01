"""The jitter buffer of all legs: one ring of mu-law samples per leg, read by the tick.

A ring holds 32 frames of 160 samples. Positions are sample counts since the leg was opened; the
reader of a leg moves on by one frame a tick. A packet is placed by its timestamp relative to the
newest packet, in the order of its sequence number: what is late but not yet due still lands in its
place, what was there before is dropped. A timestamp that jumps while sequence numbers go on (a
phone that changes its clock at transfer) does not interrupt the sound; a new SSRC starts anew after
two packets in a row.

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

import sys
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
_KIND_SHIFT: Final = np.uint32(8 if sys.byteorder == "little" else 16)
_NO_MARKER: Final = np.frombuffer(bytes((255, 127, 255, 255)), np.uint32)[0]
"""Payload type and marker in the first word of a header, as it lies in memory."""

_Int = npt.NDArray[np.int64]


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
        self._lost: _Int = _none()
        """Samples since what came last ended; 0 while the stream is on."""
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
        self._due: g711.Bytes = np.empty((0, rtp.HEADER_BYTES), np.uint8)
        """Header of the packet that comes next, if all goes well, with payload type 0."""
        self._due_known: npt.NDArray[np.bool_] = np.empty(0, np.bool_)
        """Whether that is so still."""
        self._first_sequence: _Int = _none()
        self.ssrc: _Int = _none()
        """Of the stream that is played, -1 before the first packet."""
        self.heard: _Int = _none()
        """Tick of the last audio packet, -1 before the first."""
        self.received: _Int = _none()
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
        self._grow(capacity)
        self.data[:] = g711.ULAW_SILENCE

    def _grow(self, capacity: int) -> None:
        first = self.capacity
        # Memory that is not written to is not taken: slots may never be used.
        data = np.empty((capacity, RING), np.uint8)
        data[:first] = self.data
        self.data = data
        for name, value in list(vars(self).items()):
            if isinstance(value, np.ndarray) and value is not self.data:
                setattr(self, name, widen(value, capacity, 0xFF if value.dtype == np.uint8 else 0))
        for part in (self._plc, self._noise, self._drift, self._depth):
            part.reserve(capacity)
        # In a tuple: it is no state.
        self._windows = (windows(self.data, FRAME),)
        self._due_sequence = self._due.view(">u2")[:, 1]
        self._due_stamp = self._due.view(">u4")[:, 1]
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
        self._read[slot] = 0
        self._lost[slot] = _NOISE_SAMPLES
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
        self._seen[slot] = -1
        self._forget_due(slot)
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

    def _forget_due(self, slot: int) -> None:
        # No header begins with a zero.
        self._due[slot] = 0
        self._due_known[slot] = False

    def _border(self, slot: int) -> int:
        """First sample of the first frame that nothing was read of yet."""
        return -(-int(self._read[slot]) // FRAME) * FRAME

    def _target(self, slot: int) -> int:
        return TARGET + int(self._depth.more[slot])

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
        where = together(slots)
        words = packets[:count].view(np.uint32)[:, :3]
        fits = self._due_now(where, words, sizes, payload_types)
        if not fits.all():
            # Somebody's numbers may have moved on without us.
            for slot in slots[~fits & ~self._due_known[slots]].tolist():
                self._expect(slot)
            fits = self._due_now(where, words, sizes, payload_types)
        if self._last_began == self._tick:
            fits = fits & (self._began[where] != self._tick)
        position = self._newest[where] + FRAME
        margin = position - self._read[where]
        if (position % FRAME).any() or margin.min() < 0 or margin.max() >= _MAX_AHEAD:
            fits &= (position % FRAME == 0) & (margin >= 0) & (margin < _MAX_AHEAD)
        payload = packets[:count, rtp.HEADER_BYTES : rtp.HEADER_BYTES + FRAME]
        if not fits.all():
            slots, position, margin = slots[fits], position[fits], margin[fits]
            payload, payload_types = payload[fits], payload_types[fits]
            where = slots
            if not len(slots):
                return fits
        if payload_types.any():
            payload = np.where(
                (payload_types == g711.PCMA)[:, None], g711.ALAW_TO_ULAW[payload], payload
            )
        frame = position // FRAME % FRAMES
        self.data.reshape(self.capacity, FRAMES, FRAME)[slots, frame] = payload
        self._fill[slots, frame] = FRAME
        extended = self._sequence[where] + 1
        self._sequence[where] = extended
        self._seen[slots, extended % FRAMES] = extended
        self._timestamp[where] += FRAME
        self._due_sequence[where] += 1
        self._due_stamp[where] += FRAME
        self._newest[where] = position
        self._margin[where] = np.minimum(self._margin[where], margin)
        self._next_ssrc[where] = -1
        # With numbers in order, what arrival is away from its time is away from the next tick.
        moved = np.abs(self._tick - 1 - self.heard[where]) * FRAME
        self.heard[where] = self._tick
        self.received[where] += 1
        jitter = self.jitter[where]
        self.jitter[where] = jitter + (np.minimum(moved, _MAX_JUMP) - jitter) / 16
        return fits

    def _due_now(
        self,
        where: slice | _Int,
        words: npt.NDArray[np.uint32],
        sizes: _Int,
        payload_types: _Int,
    ) -> npt.NDArray[np.bool_]:
        """Which of these headers are those of the packet that comes next."""
        wrong = words ^ self._due[where].view(np.uint32)
        # The table holds payload type 0; the marker may be anything.
        wrong[:, 0] ^= payload_types.astype(np.uint32) << _KIND_SHIFT
        wrong[:, 0] &= _NO_MARKER
        fits: npt.NDArray[np.bool_] = sizes == rtp.HEADER_BYTES + FRAME
        if wrong.any():
            fits = fits & ~wrong.any(axis=1)
        return fits

    def _expect(self, slot: int) -> None:
        """Write down the header that this leg's next packet has, if all goes well."""
        if self.ssrc[slot] >= 0:
            header = rtp.build(
                0,
                int(self._sequence[slot]) + 1,
                int(self._timestamp[slot]) + FRAME,
                int(self.ssrc[slot]),
                b"",
            )
            self._due[slot] = np.frombuffer(header, np.uint8)
            self._due_known[slot] = True

    def put(self, slot: int, packet: rtp.Packet) -> bool:
        """Place any audio packet; its payload is G.711 of its payload type. False if dropped."""
        self._forget_due(slot)
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
        if started and self._seen[slot, extended % FRAMES] == extended:
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
        self._seen[slot, extended % FRAMES] = extended
        if newest:
            self.gaps[slot] += started and step > 1
            self._sequence[slot] = extended
            self._timestamp[slot] = packet.timestamp
        if packet.payload_type == g711.PCMA:
            payload = payload.translate(g711.ALAW_TO_ULAW_BYTES)
        placed = self._place(slot, position, payload, newest)
        self.late[slot] += not placed
        return placed

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
        margin = position - int(self._read[slot])
        self._margin[slot] = min(int(self._margin[slot]), margin)
        return self._copy(slot, position, payload)

    def _drop(self, slot: int, frames: int) -> None:
        """The next frames are not played."""
        first = self._border(slot) // FRAME
        self._fill[slot, np.arange(first, first + frames) % FRAMES] = 0
        self._read[slot] += frames * FRAME

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
        self._tick = tick
        self._depth.tick_was_late(late_s, tick)

    def read(self, count: int) -> tuple[g711.Bytes, npt.NDArray[np.float32]]:
        """The next frame of slots 0 to `count` as mu-law (count, 160) and samples on the
        16-bit scale, same shape.

        Both arrays are ours and valid until the next call. What is missing is made up.
        """
        index = np.arange(count)
        frames = self.data.reshape(self.capacity, FRAMES, FRAME)
        read = self._read[:count]
        last = (read + (FRAME - 1)) // FRAME
        where = last % FRAMES
        fill = self._fill[index, where]
        lost = self._lost[:count] > 0
        ill = np.flatnonzero((fill < FRAME) | lost)
        if len(ill):
            self._mend(ill, last[ill] * FRAME, fill[ill])
        self._fill[index, where] = 0
        ulaw = self._ulaw[:count]
        ulaw[:] = frames[index, where]
        crooked = np.flatnonzero(read != last * FRAME)
        if len(crooked):
            ulaw[crooked] = self._between(crooked, read[crooked])
            self._straighten(crooked)
        self._read[:count] += FRAME
        if self._depth.owing:
            self._settle(count, fill)
        pcm = self._pcm[:count]
        np.take(g711.ULAW_FLOAT, ulaw, out=pcm, mode="clip")
        if self._tick % LISTEN_TICKS == 0:
            self._noise.listen(pcm, self._lost[:count] == 0)
        if self._tick % LOOK_TICKS == 0:
            self._look_back(count)
        return ulaw, pcm

    def ahead(self, slot: int) -> int:
        """Whole frames from the reader to the end of the newest packet."""
        return max(0, (int(self._newest[slot]) - int(self._read[slot])) // FRAME + 1)

    def coming(self, slot: int, frames: int) -> list[bytes | None]:
        """The last so many frames that came, None for those that are not there."""
        newest = int(self._newest[slot]) // FRAME
        places = [(newest + offset) % FRAMES for offset in range(1 - frames, 1)]
        ring = self.data[slot].reshape(FRAMES, FRAME)
        return [ring[p].tobytes() if self._fill[slot, p] >= FRAME else None for p in places]

    def seamless(self, slot: int) -> bool:
        """Whether whoever hears this reader may go on at the next border of frames unnoticed."""
        read = int(self._read[slot])
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
        first = (self._read[:count] + (FRAME - 1)) // FRAME
        for offset in range(step):
            self._fill[index, (first + offset) % FRAMES] = 0
        self._read[:count] += frames * FRAME

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
            off = self._read[rows] % FRAME
            self._read[rows] += np.where(off >= FRAME // 2, FRAME - off, -off)

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
        start = self._read[rows] - FRAME
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
        ahead = (self._read[rows] + (FRAME - 1)) // FRAME % FRAMES
        gain = (debt >= FRAME // 2) & (self._fill[rows, ahead] <= 0)
        fall = debt <= -FRAME // 2
        step = np.where(gain, FRAME, np.where(fall, -FRAME, 0))
        self._read[rows] += step
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
        before = (self._read[slots] - 1) // FRAME
        self._read[slots] += sign * lag
        after = (self._read[slots] + (FRAME - 1)) // FRAME
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
        read, border = int(self._read[slot]), self._border(slot)
        end = int(self._newest[slot] + self._timestamp[slot])
        first, last = border // FRAME, end // FRAME
        frames = np.arange(first, last) % FRAMES
        if last - first > FRAMES // 2 or not (self._fill[slot, frames] >= FRAME).all():
            return
        which, start = np.array([slot]), np.array([read - plc.HISTORY])
        kept = self._gather(which, start, end - read + plc.HISTORY)
        move = border - read
        self.data.reshape(-1)[self._where(which, start + move, kept.shape[1])] = kept
        self._read[slot] = border
        self._newest[slot] += move
        for frame in range(first, (end + move) // FRAME + 1):
            self._fill[slot, frame % FRAMES] = min(FRAME, end + move - frame * FRAME)

    def _look_back(self, count: int) -> None:
        """Twice a second: is the delay of each leg what it should be? And how does its far end's
        clock run?"""
        part, margin = slice(0, count), self._margin[:count]
        heard, streamed = self.heard[part], self._streamed[part]
        line = streamed > 0
        self._depth.look(margin, self._newest[part] - self._read[part], line, self._tick)
        margin[:] = NO_MARGIN
        theirs = np.where(line, streamed, self._timestamp[part]) & 0xFFFFFFFF
        self._drift.look(heard * FRAME, theirs, heard >= self._tick - 1)

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
        return (int(self._newest[slot]) - int(self._read[slot])) / 8


def _one_turn(urgent: npt.NDArray[np.bool_], tick: int) -> npt.NDArray[np.bool_]:
    """Of those in a hurry, whose turn it is in this tick: at most `_HURRYING`."""
    order = np.cumsum(urgent)
    turns = -(-int(order[-1]) // _HURRYING) if len(order) else 0
    return urgent if turns <= 1 else (order + tick) % turns == 0


def _encode(samples: npt.NDArray[np.float32]) -> g711.Bytes:
    return g711.ulaw_encode(np.rint(np.clip(samples, -32124, 32124)).astype(np.int16))
