"""mgetty's voice programs (`vm`, `vgetty`) on an emulated modem, with their configuration and
their files in a folder of the test: a private mount namespace puts it where they look for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from appliance.simulator import sound
from appliance.simulator.sound import Samples
from tests.peers import program

CONFIG = """
part generic
voice_log_level 6
phone_owner root
phone_group root
phone_mode 0660
port_speed 115200
command_delay 20
poll_interval 10
rec_compression 0
rec_speed 8000
rec_silence_len 0
rec_max_len 30
rec_min_len 0
forceV253 TRUE
program vgetty
rings 2
answer_mode voice
program vm
voice_devices dialup_line
"""

PLACES = {"etc": "/etc/mgetty", "spool": "/var/spool/voice", "log": "/var/log/mgetty"}


class Mgetty:
    """One folder with all that the programs read and write."""

    def __init__(self, folder: Path, device: Path) -> None:
        for place in ("etc", "spool/incoming", "spool/messages", "log"):
            (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / "etc/voice.conf").write_text(CONFIG)
        (folder / "etc/mgetty.config").write_text("")
        self.folder = folder
        self._device = device

    @asynccontextmanager
    async def running(
        self, name: str, *arguments: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """The program, ended with the block. `{device}` stands for the modem's terminal."""
        path = program(name)
        program("unshare")
        if not all(Path(place).is_dir() for place in PLACES.values()):
            pytest.skip("mgetty's folders are missing")
        device = os.path.relpath(os.readlink(self._device), "/dev")
        mounts = "; ".join(
            f"mount --bind {self.folder / own} {place}" for own, place in PLACES.items()
        )
        rights = [] if os.geteuid() == 0 else ["--map-root-user"]
        process = await asyncio.create_subprocess_exec(
            *("unshare", *rights, "--mount", "sh", "-ec", f'{mounts}; exec "$@"', "sh", path),
            *(argument.replace("{device}", device) for argument in arguments),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def log(self) -> str:
        return "\n".join(
            path.read_text(errors="replace") for path in (self.folder / "log").iterdir()
        )


RMD_HEADER = b"RMD1" + b"V253modem".ljust(16, b"\0") + (8000).to_bytes(4, "big") + b"\x08"
"""mgetty's raw modem data: 32 bytes, then the samples as the modem sends them (8-bit unsigned)."""


def write_rmd(path: Path, pcm: Samples) -> None:
    path.write_bytes(RMD_HEADER.ljust(32, b"\0") + sound.encode("u8", pcm))


def read_rmd(path: Path) -> Samples:
    return sound.decode("u8", path.read_bytes()[32:])


MARK = sound.chirp(100)


def known_signal() -> Samples:
    """Two marks 1.5 s apart; between them a tone so loud that its bytes hold many a 0x10."""
    loud = sound.tone([440], 1000, 2.5)
    return np.concatenate([MARK, sound.silence(200), loud, sound.silence(200), MARK])


MARKS_APART = 12_000


def marks(pcm: Samples) -> tuple[int, int]:
    """Where the two marks begin, by correlation."""
    found = np.correlate(pcm.astype(np.float64), MARK.astype(np.float64), "valid")
    first = int(np.argmax(found))
    spared = found.copy()
    spared[max(0, first - 4000) : first + 4000] = 0
    second = int(np.argmax(spared))
    return min(first, second), max(first, second)


def loud_part(pcm: Samples) -> Samples:
    """The loud tone's middle, 0.8 s."""
    start = marks(pcm)[0] + len(MARK) + sound.ms_to_samples(300)
    return pcm[start : start + sound.ms_to_samples(800)]
