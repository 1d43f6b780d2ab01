"""The E-model: how good a call sounds, from what is measured of it (ITU-T G.107, 06/2015).

`rating` gives R (0 to 100) of one direction, `mos` the mean opinion score of that R. Loudness,
noise and echo stay at the recommendation's defaults (table 3); the numbers that a box can measure
are the delay, the loss and how the loss comes in bursts. Equipment figures are those of ITU-T
G.113 appendix I.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

BPL_PLAIN: Final = 4.3
"""Packet-loss robustness of G.711 that repeats or mutes what is lost (G.113 table I.4)."""
BPL_CONCEALED: Final = 25.1
"""The same with G.711 Appendix I concealment (G.113 table I.4)."""
PERFECT_MOS: Final = 4.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Parameters of table 3 of G.107 with their defaults. Levels in dB, times in ms."""

    slr: float = 8.0
    """Send loudness rating."""
    rlr: float = 2.0
    """Receive loudness rating."""
    stmr: float = 15.0
    """Sidetone masking rating."""
    d_send: float = 3.0
    d_receive: float = 3.0
    """D-factors of the telephones."""
    telr: float = 65.0
    """Talker echo loudness rating."""
    wepl: float = 110.0
    """Weighted echo path loss."""
    echo_ms: float = 0.0
    """T: mean one-way delay of the echo path."""
    round_trip_ms: float = 0.0
    """Tr: round trip of the four-wire loop."""
    delay_ms: float = 0.0
    """Ta: mouth to ear, one way."""
    qdu: float = 1.0
    """Quantising distortion units."""
    impairment: float = 0.0
    """Ie of the codec: 0 for G.711."""
    robustness: float = BPL_PLAIN
    """Bpl of codec and concealment."""
    loss: float = 0.0
    """Ppl as a share, 0 to 1."""
    bursts: float = 1.0
    """BurstR: mean length of losses in a row over that of random loss."""
    circuit_noise: float = -70.0
    noise_floor: float = -64.0
    room_send: float = 35.0
    room_receive: float = 35.0
    advantage: float = 0.0


DEFAULT: Final = Connection()


def rating(c: Connection = DEFAULT) -> float:
    """R of G.107 equation 7-1, not limited to 0 to 100."""
    noise = _noise(c)
    basic = 15 - 1.5 * (c.slr + noise)
    sidetone = _sidetone(c)
    delay = _talker_echo(c, noise, sidetone) + _listener_echo(c, basic) + _absolute(c.delay_ms)
    return (
        basic
        - _simultaneous(c, basic, noise, sidetone)
        - delay
        - equipment(c.impairment, c.robustness, c.loss, c.bursts)
        + c.advantage
    )


def mos(r: float) -> float:
    """Mean opinion score of a rating, 1 to 4.5 (annex B of G.107)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return PERFECT_MOS
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def score(
    delay_ms: float, loss: float, bursts: float = 1.0, robustness: float = BPL_CONCEALED
) -> float:
    """MOS of G.711 with this delay from mouth to ear (ms), share of loss and burst ratio.

    The delay counts as the talker's echo delay too (G.107 section 7.4: T = Ta, Tr = 2 Ta).
    """
    delay_ms = min(max(0.0, delay_ms), 10_000.0)
    return mos(
        rating(
            Connection(
                delay_ms=delay_ms,
                echo_ms=delay_ms,
                round_trip_ms=2 * delay_ms,
                loss=min(max(0.0, loss), 1.0),
                bursts=max(1.0, bursts),
                robustness=robustness,
            )
        )
    )


def equipment(impairment: float, robustness: float, loss: float, bursts: float) -> float:
    """Ie,eff (equation 7-29); `loss` is a share."""
    percent = 100 * loss
    if percent <= 0:
        return impairment
    return impairment + (95 - impairment) * percent / (percent / bursts + robustness)


def _noise(c: Connection) -> float:
    """No: circuit noise, rooms at both ends and the noise floor, added by power (7-3 to 7-7)."""
    olr = c.slr + c.rlr
    send = c.room_send - c.slr - c.d_send - 100
    send += 0.004 * (c.room_send - olr - c.d_send - 14) ** 2
    heard = c.room_receive + 10 * math.log10(1 + 10 ** ((10 - c.stmr - c.d_receive) / 10))
    receive = c.rlr - 121 + heard + 0.008 * (heard - 35) ** 2
    levels = (c.circuit_noise, send, receive, c.noise_floor + c.rlr)
    return 10 * math.log10(math.fsum(10 ** (level / 10) for level in levels))


def _sidetone(c: Connection) -> float:
    """Ist (7-12, 7-13): sidetone that is not the best one."""
    stmr = -10 * math.log10(10 ** (-c.stmr / 10) + math.exp(-c.echo_ms / 4) * 10 ** (-c.telr / 10))
    return float(
        12 * (1 + ((stmr - 13) / 6) ** 8) ** (1 / 8)
        - 28 * (1 + ((stmr + 1) / 19.4) ** 35) ** (1 / 35)
        - 13 * (1 + ((stmr - 3) / 33) ** 13) ** (1 / 13)
        + 29
    )


def _simultaneous(c: Connection, basic: float, noise: float, sidetone: float) -> float:
    """Is (7-8): loudness, sidetone and quantising, which go with the voice."""
    excess = (c.slr + c.rlr + 0.2 * (64 + noise - c.rlr)) / 8
    loud = 20 * ((1 + excess**8) ** (1 / 8) - excess)
    q = 37 - 15 * math.log10(c.qdu)
    g = 1.07 + 0.258 * q + 0.0602 * q * q
    y = (basic - 100) / 15 + 46 / 8.4 - g / 9
    z = 46 / 30 - g / 40
    return float(loud + sidetone + 15 * math.log10(1 + 10**y + 10**z))


def _talker_echo(c: Connection, noise: float, sidetone: float) -> float:
    """Idte (7-19 to 7-24)."""
    t = c.echo_ms
    terv = c.telr - 40 * math.log10((1 + t / 10) / (1 + t / 150)) + 6 * math.exp(-0.3 * t * t)
    if c.stmr < 9:
        terv += sidetone / 2
    below = (-1.5 * (noise - c.rlr) - (80 + 2.5 * (terv - 14))) / 2
    echo = (below + math.sqrt(below * below + 100) - 1) * (1 - math.exp(-t))
    return math.hypot(echo, sidetone) if c.stmr > 20 else echo


def _listener_echo(c: Connection, basic: float) -> float:
    """Idle (7-25, 7-26)."""
    below = (basic - 10.5 * (c.wepl + 7) * (c.round_trip_ms + 1) ** -0.25) / 2
    return float(below + math.sqrt(below * below + 169))


def _absolute(delay_ms: float) -> float:
    """Idd (7-27, 7-28 with the default sensitivity): delay itself, free up to 100 ms."""
    if delay_ms <= 100:
        return 0.0
    x = math.log2(delay_ms / 100)
    return float(25 * ((1 + x**6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2))
