"""The serial port of a modem: opening, naming, closing. Everything here may block."""

from __future__ import annotations

import contextlib
import errno
import os
import termios
from pathlib import Path
from typing import Final

import serial

_BAUD: Final = 115200
"""80 kbit/s of 8-bit samples need more than 57600 where there is a real UART behind the port."""
_NO_UART: Final = ("ttyACM", "pts/")
"""Ports that are as fast as USB whatever speed is set: CDC-ACM, and pseudo-terminals."""


class PortError(Exception):
    """The port cannot be opened; the text is a sentence for people."""

    def __init__(self, reason: str, *, absent: bool) -> None:
        super().__init__(reason)
        self.absent = absent
        """The device does not exist (yet)."""


def open_port(device: str) -> serial.Serial:
    """Open a port exclusively, raw and non-blocking. Raises PortError.

    Modem lines (CTS, DTR and the rest) are used where the port has them and never needed:
    pseudo-terminals and some bridges have none.
    """
    try:
        port = serial.Serial(device, _BAUD, timeout=0, rtscts=True, exclusive=True)
    except (OSError, ValueError, termios.error) as error:
        raise _explain(device, error) from None
    try:
        # With VMIN 1 a read of nothing says EAGAIN, so that 0 bytes always mean a hang-up.
        fd = port.fileno()
        attributes = termios.tcgetattr(fd)
        attributes[6][termios.VMIN] = 1
        attributes[6][termios.VTIME] = 0
        termios.tcsetattr(fd, termios.TCSANOW, attributes)
        os.set_blocking(fd, False)
        termios.tcflush(fd, termios.TCIFLUSH)
    except (OSError, termios.error) as error:
        close_port(port)
        raise _explain(device, error) from None
    return port


def close_port(port: serial.Serial) -> None:
    """Close at once, without waiting for a dead modem to take what is queued."""
    with contextlib.suppress(OSError, termios.error):
        termios.tcflush(port.fileno(), termios.TCIOFLUSH)
    with contextlib.suppress(OSError, termios.error):
        port.close()


def carries_wide(device: str) -> bool:
    """Whether the port is fast enough for 160 kbit/s each way, which 16-bit samples are."""
    return os.path.realpath(device).startswith(tuple(f"/dev/{kind}" for kind in _NO_UART))


def usb_id(device: str) -> str:
    """ "vvvv:pppp" of the USB device behind a port, "" when it is none."""
    name = os.path.basename(os.path.realpath(device))
    place = Path("/sys/class/tty") / name / "device"
    try:
        place = place.resolve(strict=True)
        for folder in (place, *place.parents[:4]):
            if (folder / "idVendor").is_file():
                vendor = (folder / "idVendor").read_text("ascii").strip()
                product = (folder / "idProduct").read_text("ascii").strip()
                return f"{vendor}:{product}".lower()
    except (OSError, ValueError):
        pass
    return ""


def _explain(device: str, error: Exception) -> PortError:
    code = getattr(error, "errno", None)
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return PortError(
            f"There is no modem at {device}. Plug it in, or correct the line's device in the"
            " site document.",
            absent=True,
        )
    if code in (errno.EACCES, errno.EPERM):
        reason = (
            f"The modem at {device} may not be used by this program. Make its user a member of"
            " the group dialout."
        )
    elif code in (errno.EBUSY, errno.EAGAIN):
        reason = f"The modem at {device} is in use by another program. End that program."
    else:
        cause = os.strerror(code) if isinstance(code, int) else str(error)
        reason = f"{device} cannot be used as a serial port ({cause})."
    return PortError(reason, absent=False)
