"""One written-out conversation per modem profile, replayed whole and cut into single bytes.

Lines of a transcript: `> command` the driver must send next, `>> hex` the same for bytes that are
no command, `< text` what the modem says (with escapes), `* event` what the driver must report next,
`wait ms`, `audio n` samples heard since the last time, `state name`, `do answer|hangup|dial n`,
`open [usb id]`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.lines.modem_core import Audio, ModemCore, Send
from appliance.lines.profiles import load_profiles

FOLDER = Path(__file__).parent / "transcripts"
FILES = sorted(FOLDER.glob("*.txt"))
PATIENCE_MS = 2000


class Replay:
    def __init__(self, country: str, bytewise: bool) -> None:
        self.core = ModemCore("auto", country, registry=load_profiles())
        self.now = 5_000
        self.bytewise = bytewise
        self.sent = bytearray()
        self.events: list[str] = []
        self.samples = 0

    def collect(self) -> None:
        for item in self.core.take():
            if isinstance(item, Send):
                self.sent += item.data
            elif isinstance(item, Audio):
                self.samples += len(item.pcm) // 2
            else:
                self.events.append(repr(item))

    def wait(self, ms: int, until_sent: int | None = None) -> None:
        end = self.now + ms
        self.collect()
        while until_sent is None or len(self.sent) < until_sent:
            due = self.core.next_deadline()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self.core.tick(self.now)
            self.collect()
        if until_sent is None:
            self.now = end
            self.core.tick(end)
            self.collect()

    def expect_sent(self, data: bytes, where: str) -> None:
        self.wait(PATIENCE_MS, until_sent=len(data))
        assert bytes(self.sent[: len(data)]) == data, where
        del self.sent[: len(data)]

    def step(self, line: str, where: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "open":
            self.core.opened(self.now, rest)
        elif word == ">":
            self.expect_sent(rest.encode() + b"\r", where)
        elif word == ">>":
            self.expect_sent(bytes.fromhex(rest), where)
        elif word == "<":
            data = rest.encode().decode("unicode_escape").encode("latin-1")
            assert self.sent == b"", f"{where}: the driver talks out of turn"
            for piece in [bytes([b]) for b in data] if self.bytewise else [data]:
                self.core.receive(piece, self.now)
        elif word == "*":
            self.collect()
            assert self.events[:1] == [rest], where
            del self.events[:1]
        elif word == "wait":
            self.wait(int(rest))
        elif word == "audio":
            self.collect()
            assert self.samples == int(rest), where
            self.samples = 0
        elif word == "state":
            self.wait(0)
            assert self.core.state == rest, where
        elif rest == "answer":
            self.core.answer(self.now)
        elif rest == "hangup":
            self.core.hangup(self.now)
        else:
            assert rest.startswith("dial "), where
            self.core.dial(rest.removeprefix("dial "), self.now)


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_driver_follows_the_transcript(file: Path, bytewise: bool) -> None:
    replay = Replay("us" if file.stem.startswith("conexant") else "ro", bytewise)
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if line and not line.startswith("#"):
            replay.step(line, f"{file.name}:{number}: {line}")
    assert replay.core.profile.name == file.stem
    assert replay.events == []
    assert replay.sent == b""


def test_every_profile_has_a_transcript() -> None:
    assert {file.stem for file in FILES} == {profile.name for profile in load_profiles()}
