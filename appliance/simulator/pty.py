"""A modem's port as a pseudo-terminal: the only place where the emulator meets the kernel.

The kernel would take 19 kB (two seconds of voice) from a host that runs ahead, so bytes are read
only as the modem has room for them. A host that has closed the port is noticed as DTR dropping.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import termios
import tty
from pathlib import Path
from typing import Final

from appliance.simulator.modem import Modem

UNREAD_MAX: Final = 1024
"""Bytes the port keeps for a host that does not read, beyond what the kernel takes."""


class ModemPort:
    """`link` is the device path that stays the same over unplug and replug."""

    def __init__(self, modem: Modem, link: Path) -> None:
        self.modem = modem
        self.link = link
        self.host_open = False
        self.most_ahead = 0
        """Largest number of bytes seen waiting in the kernel while voice was being sent."""
        self._master: int | None = None
        self._unsent = b""

    @property
    def plugged(self) -> bool:
        return self._master is not None

    def plug(self) -> None:
        """Make the device appear. Nothing if it is there."""
        if self._master is not None:
            return
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        name = os.ttyname(slave)
        os.close(slave)
        self._master = master
        self._unsent = b""
        self.host_open = False
        new = self.link.with_name(self.link.name + ".new")
        new.unlink(missing_ok=True)
        new.symlink_to(name)
        new.replace(self.link)

    def unplug(self) -> None:
        """The device goes: a host that has it open gets an I/O error, the line is dropped."""
        if self._master is None:
            return
        self.link.unlink(missing_ok=True)
        os.close(self._master)
        self._master = None
        self.host_open = False
        self.modem.power_off()

    def read_host(self, now: int) -> None:
        """Hand over what the host sent, as far as the modem has room."""
        if self._master is None:
            return
        modem = self.modem
        if modem.state in ("transmit", "duplex"):
            self.most_ahead = max(self.most_ahead, self._waiting())
        room = modem.room
        if room <= 0:
            return
        try:
            data = os.read(self._master, room)
        except BlockingIOError:
            self.host_open = True
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self._closed()
            return
        self.host_open = True
        modem.receive(data, now)

    def write_host(self, now: int) -> None:
        """Hand out what the modem has to say; a host that is not there misses it."""
        data = self._unsent + self.modem.take(now)
        if self._master is None or not self.host_open:
            self._unsent = b""
            return
        if data:
            written = 0
            try:
                written = os.write(self._master, data)
            except BlockingIOError:
                pass
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
            self._unsent = data[written:]
        self.modem.host_full = len(self._unsent) > UNREAD_MAX

    def _waiting(self) -> int:
        assert self._master is not None
        raw = fcntl.ioctl(self._master, termios.FIONREAD, b"\0\0\0\0")
        return int(struct.unpack("i", raw)[0])

    def _closed(self) -> None:
        if not self.host_open:
            return
        self.host_open = False
        self._unsent = b""
        self.modem.host_closed()
        assert self._master is not None
        with contextlib.suppress(termios.error):
            termios.tcflush(self._master, termios.TCIOFLUSH)
