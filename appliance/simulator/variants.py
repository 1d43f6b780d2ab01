"""How voice modems differ, as data. The emulator has no `if` on a model's name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Format:
    """One line of +VSM=?: what the unit calls a coding, and which of `sound.CODINGS` it is."""

    id: int
    text: str
    coding: str

    @property
    def bytes_per_sample(self) -> int:
        return 2 if self.coding == "s16" else 1


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of unit."""

    info: dict[int, tuple[str, ...]]
    """Answers to ATI<n>."""
    maker: str
    model: str
    revision: str
    formats: tuple[Format, ...]
    default_format: int
    duplex: bool = True
    buffer_bytes: int = 1024
    answer_ms: tuple[int, int] = (20, 60)
    """A command's answer comes this long after it, drawn evenly."""
    hook_ms: int = 120
    """What the relay adds to +VLS and ATH."""
    ring_as_code: bool = True
    """In class 8 a ring is `DLE R`, else the text RING."""
    caller_id_layout: str = "{tag} = {value}"
    vls: tuple[int, ...] = (0, 1, 2, 4, 5)
    receive_needs_vls: tuple[int, ...] = ()
    """Settings of +VLS that let +VRX hear the line; empty: any off-hook one."""
    code_after_off_hook: bytes = b""
    """A DLE code this unit sends by itself after going off hook (the handset's false alarm)."""
    digits_by_vts: bool = True
    """+VTS=5 makes the key's tones; without, only frequency pairs sound."""
    keys: str = "shielded"
    """Own DTMF detector: "shielded" (DLE / DLE 5 ... DLE ~), "bare" (DLE 5) or "none"."""
    busy_code: bytes = b"b"
    """What the unit reports on busy tone; empty: nothing."""
    loop_break_code: bytes = b""
    receive_gain: tuple[int, int] = (0, 255)
    pairs_zero_bytes: bool = False
    """Two 0x10 samples in a row are sent as `DLE SUB`."""
    default_silence: tuple[int, int] = (128, 0)
    """+VSD at power-on: sensitivity, and quiet that is reported after, in 100 ms (0: off)."""
    accepts: frozenset[str] = field(default_factory=frozenset)
    """Further extended commands that are answered OK and do nothing here."""


_COMMON: Final = frozenset({"+IFC", "+ICF", "+IPR", "+ILRR", "+DS", "+ES", "+MS", "+GCI"})

CONEXANT: Final = Variant(
    info={
        0: ("56000",),
        3: ("CX93001-EIS_V0.2013-V92",),
        4: ("0",),
        6: ("CX93001-EIS_V0.2013-V92", "RCV56DPF-PLL L8571A Rev 50.00/85.00"),
    },
    maker="CONEXANT",
    model="V90",
    revision="CX93001-EIS_V0.2013-V92",
    formats=(
        Format(0, '0,"SIGNED PCM",8,0,8000,0,0', "s8"),
        Format(1, '1,"UNSIGNED PCM",8,0,8000,0,0', "u8"),
        Format(4, '4,"G.711U",8,0,8000,0,0', "ulaw"),
        Format(5, '5,"G.711A",8,0,8000,0,0', "alaw"),
    ),
    default_format=1,
    receive_gain=(0, 0),
    default_silence=(128, 50),
    accepts=_COMMON | {"-SCID", "-STE", "-SLP", "+VRID"},
)

USR: Final = Variant(
    info={
        0: ("5601",),
        3: ("U.S. Robotics 56K FAX USB V1.2.23",),
        7: (
            "Configuration Profile...",
            "Product type           US/Canada USB",
            "Options   V32bis,V.90",
        ),
    },
    maker="U.S. Robotics",
    model="56K FAX USB",
    revision="V1.2.23",
    formats=(
        Format(128, '128,"8-BIT LINEAR",(7200,8000,11025)', "u8"),
        Format(129, '129,"16-BIT LINEAR",(7200,8000,11025)', "s16"),
        Format(130, '130,"8-BIT ALAW",(7200,8000,11025)', "alaw"),
        Format(131, '131,"8-BIT ULAW",(7200,8000,11025)', "ulaw"),
    ),
    default_format=128,
    buffer_bytes=2048,
    answer_ms=(40, 120),
    caller_id_layout="{tag}={value}",
    vls=(0, 1, 2, 4, 5, 6, 7),
    receive_needs_vls=(5,),
    code_after_off_hook=b"H",
    digits_by_vts=False,
    keys="bare",
    accepts=_COMMON | {"+VPR"},
)

GENERIC: Final = Variant(
    info={0: ("V.253 voice modem",), 3: ("V.253 1.0",)},
    maker="Generic",
    model="V.253",
    revision="1.0",
    formats=(
        Format(1, '1,"UNSIGNED PCM",8,0,(8000),0,0', "u8"),
        Format(4, '4,"G.711 U-LAW",8,0,(8000),0,0', "ulaw"),
        Format(5, '5,"G.711 A-LAW",8,0,(8000),0,0', "alaw"),
    ),
    default_format=1,
    buffer_bytes=1536,
    answer_ms=(50, 200),
    ring_as_code=True,
    pairs_zero_bytes=True,
    busy_code=b"b",
    loop_break_code=b"l",
    accepts=_COMMON | {"+VPR", "+VNH"},
)

MULTITECH: Final = Variant(
    info={0: ("MT9234MU",), 3: ("MultiModemUSB 1.32k",)},
    maker="Multi-Tech Systems",
    model="MT9234MU",
    revision="1.32k",
    formats=(Format(128, '128,"8-BIT LINEAR",(7200,8000,11025)', "u8"),),
    default_format=128,
    busy_code=b"",
    accepts=_COMMON,
)
"""Nothing but 8-bit linear samples, and no report of a far end that hung up."""

VARIANTS: Final[dict[str, Variant]] = {
    "conexant": CONEXANT,
    "usr": USR,
    "generic": GENERIC,
    "multitech": MULTITECH,
}
