"""What is said to a modem, as scripts: generators that yield requests and are sent answers.

One script runs at a time, the others wait their turn. The runner keeps the rest a modem needs
between an answer and the next command, gives up on answers that do not come, and keeps late ones
apart from the command after them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from appliance.lines.at import Answer, AtChannel
from appliance.lines.profiles import Commands

ANSWER_MS: Final = 3000
LATE_MS: Final = 300
"""An answer this much later than its time-out is still kept apart from the next command's."""
_RETRY_MS: Final = 200
_ABANDON_MS: Final = 2000

PAUSED: Final = Answer("OK")
NO_ANSWER: Final = Answer("")


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a command; its `Answer` comes back, with the code "" when none came in time."""

    command: str
    timeout_ms: int = ANSWER_MS


@dataclass(frozen=True, slots=True)
class Raw:
    """Send bytes that are no command and have no answer."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    ms: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Send bytes that end voice data state and are answered by a result code."""

    data: bytes
    timeout_ms: int


T = TypeVar("T")
Request = Ask | Raw | Pause | Stop
Script = Generator[Request, Answer, None]
Part = Generator[Request, Answer, T]
"""A piece of a script (`yield from`) that comes to a value."""


class Wedged(Exception):
    """A command was left unanswered twice."""


class Refused(Exception):
    """The modem answers ERROR to a command it cannot do without."""


class Unfit(Exception):
    """The modem lives and cannot be a phone line; the text is a sentence for people."""


class ScriptRunner:
    """`send` takes bytes for the modem; `trouble` is told how a script failed, which ends it."""

    def __init__(
        self,
        at: AtChannel,
        send: Callable[[bytes], None],
        trouble: Callable[[Wedged | Refused | Unfit], None],
    ) -> None:
        self._at = at
        self._send = send
        self._trouble = trouble
        self._now = 0
        self._script: Script | None = None
        self._queue: deque[Script] = deque()
        self._held: Ask | None = None
        self._wait: Literal["", "gap", "pause", "answer", "abandoned"] = ""
        self._wait_until = 0
        self._not_before = 0
        self.asked = ""
        """The last command sent."""
        self.gap_ms = 0
        """Rest between an answer and the next command."""

    @property
    def idle(self) -> bool:
        return self._script is None and not self._wait and not self._queue

    @property
    def awaits_answer(self) -> bool:
        return self._wait == "answer"

    @property
    def deadline(self) -> int | None:
        return self._wait_until if self._wait else None

    def push(self, script: Script, now: int) -> None:
        """Run after what runs now."""
        self._now = now
        self._queue.append(script)
        if self._script is None:
            self._advance(None)

    def switch(self, script: Script, now: int) -> None:
        """Run instead of what runs now. A command in flight is waited for: its late result code
        must not pass for the answer to the next one."""
        self._now = now
        self._drop_scripts()
        self._queue.append(script)
        if self._wait in ("answer", "abandoned"):
            self._wait = "abandoned"
            self._wait_until = min(self._wait_until, now + _ABANDON_MS)
        else:
            self._wait = ""
            self._advance(None)

    def forget(self, now: int) -> None:
        """Nothing of what was under way counts any more."""
        self._now = now
        self._drop_scripts()
        self._wait = ""
        self._not_before = now
        self._at.reset()

    def rest(self, now: int, ms: int) -> None:
        """No command for so long: the modem has something to say unasked."""
        self._not_before = max(self._not_before, now + ms)

    def answered(self, answer: Answer, now: int) -> None:
        if self._wait not in ("answer", "abandoned"):
            return
        self._now = now
        self._not_before = now + self.gap_ms
        abandoned, self._wait = self._wait == "abandoned", ""
        self._advance(None if abandoned else answer)

    def tick(self, now: int) -> None:
        if not self._wait or now < self._wait_until:
            return
        self._now = now
        kind, self._wait = self._wait, ""
        if kind == "gap" and self._held is not None:
            request, self._held = self._held, None
            self._ask(request)
        elif kind == "pause":
            self._advance(PAUSED)
        else:
            self._at.give_up()
            self._not_before = now + LATE_MS
            self._advance(None if kind == "abandoned" else NO_ANSWER)

    def _drop_scripts(self) -> None:
        if self._script is not None:
            self._script.close()
            self._script = None
        self._held = None
        self._queue.clear()

    def _advance(self, answer: Answer | None) -> None:
        """Go on with the script that got this answer, or with the next one in the queue."""
        while not self._wait:
            if self._script is None:
                if not self._queue:
                    return
                self._script, answer = self._queue.popleft(), None
            try:
                request = next(self._script) if answer is None else self._script.send(answer)
            except StopIteration:
                self._script = None
            except (Wedged, Refused, Unfit) as trouble:
                self._script = None
                self._trouble(trouble)
                return
            else:
                answer = self._serve(request)

    def _serve(self, request: Request) -> Answer:
        """Begin a request; the result counts only when there is nothing to wait for."""
        if isinstance(request, Raw):
            self._send(request.data)
        elif isinstance(request, Pause):
            self._wait, self._wait_until = "pause", self._now + request.ms
        elif isinstance(request, Stop):
            self._send(request.data)
            self._at.expect("stop")
            self.asked = "stop"
            self._wait, self._wait_until = "answer", self._now + request.timeout_ms
        elif self._now < self._not_before:
            self._held = request
            self._wait, self._wait_until = "gap", self._not_before
        else:
            self._ask(request)
        return PAUSED

    def _ask(self, request: Ask) -> None:
        self.asked = request.command
        self._send(self._at.send(request.command))
        self._wait, self._wait_until = "answer", self._now + request.timeout_ms


def ask_twice(command: str, timeout_ms: int) -> Part[Answer]:
    """One command, repeated once when nothing came. Raises Wedged."""
    answer = yield Ask(command, timeout_ms)
    if answer.came:
        return answer
    answer = yield Ask(command, timeout_ms)
    if not answer.came:
        raise Wedged(f"it leaves {command} unanswered")
    # The first answer may still be on its way behind the second.
    yield Pause(LATE_MS)
    return answer


def obey(
    commands: Commands, works: dict[Commands, str], timeout_ms: int = ANSWER_MS
) -> Part[Answer]:
    """The first choice that works; all of them twice, since some units refuse once and then obey.

    `works` remembers the choice, which is tried first from then on. Raises Wedged and Refused.
    """
    choices = commands.choices
    known = works.get(commands)
    if known is not None:
        choices = (known, *(choice for choice in choices if choice != known))
    for _ in range(2):
        for choice in choices:
            if not choice:
                return PAUSED
            answer = yield from ask_twice(choice, timeout_ms)
            if answer.ok:
                works[commands] = choice
                return answer
        yield Pause(_RETRY_MS)
    raise Refused(f"it answers ERROR to {commands.choices[0]}")
