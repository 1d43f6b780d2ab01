"""What a voice modem remembers and tells: registers, parameters, identification.

`Settings.answer` carries out each command that moves nothing on the line; what does (hook,
dialling, voice data, tones) is the modem's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.simulator.at import Command
from appliance.simulator.variants import Format, Variant

ANY_CLASS: Final = frozenset({"+VCID", "+VRID", "+VDR", "+VDID"})
"""Ring services work in every class; all other +V commands need class 8 (V.253)."""

_RANGES: Final[dict[str, tuple[int, int]]] = {
    "+VGT": (0, 255),
    "+VIT": (0, 255),
    "+VRA": (0, 255),
    "+VRN": (0, 255),
    "+VTD": (0, 255),
    "+VCID": (0, 1),
    "+VNH": (0, 2),
    "+VPR": (0, 255),
}
_DEFAULTS: Final[dict[str, int]] = {
    "+VGT": 128,
    "+VGR": 0,
    "+VIT": 0,
    "+VRA": 50,
    "+VRN": 10,
    "+VTD": 10,
    "+VCID": 0,
    "+VNH": 0,
    "+VPR": 0,
}
_IGNORED_BASIC: Final = frozenset(
    {"&C", "&K", "&H", "&R", "&S", "&W", "&G", "&T", "&I", "&M", "\\N", "\\Q", "%C", "%E"}
    | {"B", "L", "M", "N", "P", "T", "W", "X", "Y", "&Y", "&A", "&B"}
)
_INFORM: Final = {
    "+FMI": "maker",
    "+GMI": "maker",
    "+FMM": "model",
    "+GMM": "model",
    "+FMR": "revision",
    "+GMR": "revision",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """Information lines, then the result: OK unless `error`."""

    lines: tuple[str, ...] = ()
    error: bool = False


OK: Final = Reply()
ERROR: Final = Reply(error=True)


def numbers(value: str) -> list[int | None]:
    """`1,,8000` as [1, None, 8000]; ValueError for what is no decimal number."""
    return [int(part) if part else None for part in value.split(",")]


class Settings:
    """Power-on values of one unit and the commands that read and change them."""

    def __init__(self, variant: Variant, gci: str) -> None:
        self.variant = variant
        self._gci_default = gci
        self.reset()

    def reset(self) -> None:
        """ATZ."""
        self.echo = True
        self.verbose = True
        self.quiet = False
        self.voice_class = False
        self.dtr_ignored = False
        self.registers = {0: 0, 3: 13, 4: 10, 5: 8, 6: 2, 7: 50, 8: 2, 10: 14, 11: 95, 30: 0}
        self.values = dict(_DEFAULTS)
        self.gci = self._gci_default
        self.silence = self.variant.default_silence
        self.format = self._format(self.variant.default_format)

    def _format(self, number: int) -> Format:
        return next(one for one in self.variant.formats if one.id == number)

    @property
    def caller_id(self) -> bool:
        return self.values["+VCID"] == 1

    def answer(self, command: Command | None) -> Reply:
        """Carry out one command. What the unit does not know is `ERROR`."""
        if command is None:
            return ERROR
        name = command.name
        if name.startswith("+V") and name not in ANY_CLASS and not self.voice_class:
            return ERROR
        try:
            if name == "S":
                return self._register(command)
            if not name.startswith(("+", "-", "#", "*")):
                return self._basic(name, int(command.value or 0))
            return self._extended(command)
        except ValueError:
            return ERROR

    def _register(self, command: Command) -> Reply:
        if command.op == "?":
            return Reply((f"{self.registers.get(int(command.value), 0):03d}",))
        number, value = (int(part or 0) for part in command.value.split(","))
        if number > 255 or value > 255:
            return ERROR
        self.registers[number] = value
        return OK

    def _basic(self, name: str, number: int) -> Reply:
        if name == "E":
            self.echo = number == 1
        elif name == "V":
            self.verbose = number == 1
        elif name == "Q":
            self.quiet = number == 1
        elif name == "&F":
            self.reset()
        elif name == "&D":
            self.dtr_ignored = number == 0
        elif name == "I":
            return Reply(self.variant.info.get(number, ()))
        elif name not in _IGNORED_BASIC:
            return ERROR
        return OK

    def _extended(self, command: Command) -> Reply:
        name, op = command.name, command.op
        if name in _INFORM and op in ("", "?"):
            text: str = getattr(self.variant, _INFORM[name])
            return Reply((text,))
        if name == "+VSM":
            return self._sample_format(command)
        if name == "+VSD":
            return self._silence_detector(command)
        if name == "+VBQ" and op == "?":
            return Reply((str(self.variant.buffer_bytes),))
        if name == "+GCI":
            if op == "=":
                self.gci = command.value
                return OK
            return Reply((f"+GCI: {self.gci}",)) if op == "?" else ERROR
        if name == "+VGR":
            return self._ranged(command, self.variant.receive_gain)
        if name in _RANGES:
            return self._ranged(command, _RANGES[name])
        if name == "+VDR" or name in self.variant.accepts:
            return OK if op == "=" or not op else Reply(("0",))
        return ERROR

    def _ranged(self, command: Command, allowed: tuple[int, int]) -> Reply:
        if command.op == "=?":
            return Reply((f"({allowed[0]}-{allowed[1]})",))
        if command.op == "?":
            return Reply((str(self.values[command.name]),))
        value = int(command.value)
        if command.op != "=" or not allowed[0] <= value <= allowed[1]:
            return ERROR
        self.values[command.name] = value
        return OK

    def _sample_format(self, command: Command) -> Reply:
        if command.op == "=?":
            return Reply(tuple(one.text for one in self.variant.formats))
        if command.op == "?":
            return Reply((f"{self.format.id},8000,0,0",))
        wanted = numbers(command.value)
        known = {one.id: one for one in self.variant.formats}
        if wanted[0] not in known or (len(wanted) > 1 and wanted[1] not in (None, 8000)):
            return ERROR
        self.format = known[wanted[0]]
        return OK

    def _silence_detector(self, command: Command) -> Reply:
        if command.op == "=?":
            return Reply(("(0-255),(0-255)",))
        if command.op == "?":
            return Reply(("{},{}".format(*self.silence),))
        wanted = numbers(command.value)
        sensitivity = self.silence[0] if wanted[0] is None else wanted[0]
        after = self.silence[1] if len(wanted) < 2 or wanted[1] is None else wanted[1]
        if not (0 <= sensitivity <= 255 and 0 <= after <= 255):
            return ERROR
        self.silence = (sensitivity, after)
        return OK
