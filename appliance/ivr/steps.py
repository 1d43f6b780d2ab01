"""The steps between menus: each a small machine that is asked what to say and told what was keyed.

A step answers with a `Turn`: what to say, how long to wait for a key afterwards, or where to go.
It knows nothing of prompts that are cut short or of other steps; `appliance.ivr.run` does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Protocol

from appliance.ivr.leaving import Leaving
from appliance.ivr.names import matches
from appliance.ivr.phrases import choose_language, choose_person, phrase, spell_name
from appliance.ivr.turns import State, Turn
from appliance.site.model import (
    Branch,
    ChooseLanguage,
    Collect,
    Directory,
    LookUp,
    News,
    Prompt,
    Record,
    Say,
    Step,
    When,
)
from appliance.site.routes import Route, parse_route

INTER_DIGIT_MS: Final = 2_000
FEW_PEOPLE: Final = 4
"""So many names are read out; with more the caller is to key on."""
LONGEST_VALUE: Final = 200
MOST_VALUES: Final = 40


class Machine(Protocol):
    """One step of one caller."""

    def begin(self, now: int) -> Turn: ...

    def key(self, digit: str, now: int) -> Turn: ...

    def silent(self, now: int) -> Turn: ...

    def answered(self, values: Mapping[str, str] | None) -> Turn: ...


def machine_of(step: Step, state: State) -> Machine:
    """The machine of a step."""
    match step:
        case Say():
            return _Saying((step.prompt,), step.go)
        case News():
            return _Telling(step, state)
        case ChooseLanguage():
            return _Choosing(step, state)
        case Collect():
            return _Collecting(step, state)
        case Branch():
            return _Branching(step, state)
        case LookUp():
            return _LookingUp(step, state)
        case Directory():
            return _Finding(step, state)
        case Record():
            return Leaving(step, state)


class _Deaf(ABC):
    """A step that no key and no answer changes."""

    def key(self, digit: str, now: int) -> Turn:
        return self.begin(now)

    def silent(self, now: int) -> Turn:
        return self.begin(now)

    def answered(self, values: Mapping[str, str] | None) -> Turn:
        return self.begin(0)

    @abstractmethod
    def begin(self, now: int) -> Turn: ...


class _Saying(_Deaf):
    def __init__(self, prompts: tuple[Prompt, ...], go: str) -> None:
        self._prompts, self._go = prompts, parse_route(go)

    def begin(self, now: int) -> Turn:
        return Turn(self._prompts, self._go)

    def key(self, digit: str, now: int) -> Turn:
        return Turn(go=self._go, heard=True, passes=True)


class _Telling(_Saying):
    """News: of the items those of today."""

    def __init__(self, step: News, state: State) -> None:
        super().__init__((), step.go)
        self._step, self._state = step, state

    def begin(self, now: int) -> Turn:
        today = datetime.fromtimestamp(now / 1000, self._state.scene.zone).date()
        current = tuple(
            item.prompt
            for item in self._step.items
            if (item.first is None or item.first <= today)
            and (item.last is None or today <= item.last)
        )
        return Turn(current, self._go)


class _Choosing:
    def __init__(self, step: ChooseLanguage, state: State) -> None:
        self._step, self._state = step, state
        self._tries = 0
        self._digits = ""
        self._prompts = (
            (step.prompt,)
            if step.prompt is not None
            else tuple(choose_language(key, language) for key, language in step.keys.items())
        )

    def begin(self, now: int) -> Turn:
        self._tries += 1
        self._digits = ""
        return Turn(self._prompts, wait_ms=int(self._step.timeout_s * 1000))

    def key(self, digit: str, now: int) -> Turn:
        self._digits += digit
        keys = self._step.keys
        if any(key != self._digits and key.startswith(self._digits) for key in keys):
            return Turn(wait_ms=INTER_DIGIT_MS, heard=True)
        return self._decide(now)

    def silent(self, now: int) -> Turn:
        return self._decide(now) if self._digits else self._again(now)

    def answered(self, values: Mapping[str, str] | None) -> Turn:
        return self._decide(0)

    def _decide(self, now: int) -> Turn:
        digits, self._digits = self._digits, ""
        chosen = self._step.keys.get(digits)
        if chosen is None:
            turn = self._again(now)
        else:
            self._state.language = chosen
            turn = Turn(go=parse_route(self._step.go))
        return Turn(turn.say, turn.go, turn.wait_ms, keyed=(digits, chosen is not None), heard=True)

    def _again(self, now: int) -> Turn:
        if self._tries < self._step.tries:
            return self.begin(now)
        return Turn(go=parse_route(self._step.go))


class _Collecting:
    def __init__(self, step: Collect, state: State) -> None:
        self._step, self._state = step, state
        self._tries = 0
        self._digits = ""

    def begin(self, now: int) -> Turn:
        self._tries += 1
        self._digits = ""
        return Turn((self._step.prompt,), wait_ms=int(self._step.timeout_s * 1000))

    def key(self, digit: str, now: int) -> Turn:
        if digit == self._step.end_key:
            return self._decide(now)
        self._digits += digit
        if len(self._digits) >= self._step.max_digits:
            return self._decide(now)
        return Turn(wait_ms=int(self._step.timeout_s * 1000), heard=True)

    def silent(self, now: int) -> Turn:
        return self._decide(now)

    def answered(self, values: Mapping[str, str] | None) -> Turn:
        return self._decide(0)

    def _decide(self, now: int) -> Turn:
        digits, self._digits = self._digits, ""
        step = self._step
        right = (
            digits.isdigit()
            and len(digits) >= step.min_digits
            and (step.check == "none" or luhn(digits))
        )
        if right:
            self._state.values[step.name] = digits
            turn = Turn(go=parse_route(step.go))
        elif self._tries < step.tries:
            again = self.begin(now)
            before = (step.invalid,) if step.invalid is not None and digits else ()
            turn = Turn((*before, *again.say), wait_ms=again.wait_ms)
        else:
            turn = Turn(go=parse_route(step.failed))
        shown = "*" * len(digits) if step.secret else digits
        keyed = (shown, right) if digits else None
        return Turn(turn.say, turn.go, turn.wait_ms, keyed=keyed, heard=bool(digits))


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1 annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 else 1)
        total += doubled // 10 + doubled % 10
    return len(digits) > 1 and total % 10 == 0


class _Branching(_Deaf):
    def __init__(self, step: Branch, state: State) -> None:
        self._step, self._state = step, state

    def begin(self, now: int) -> Turn:
        for case in self._step.cases:
            if fits(case, self._state, now):
                return Turn(go=parse_route(case.go))
        return Turn(go=parse_route(self._step.default))


def fits(case: When, state: State, now: int) -> bool:
    """Whether all that the case asks for holds."""
    scene = state.scene
    checks = [
        not case.caller
        or any(
            scene.caller is None if begin == "withheld" else (scene.caller or "").startswith(begin)
            for begin in case.caller
        ),
        not case.called or scene.called in case.called,
        case.hours is None or scene.is_open(case.hours, now),
        case.closed is None or not scene.is_open(case.closed, now),
        not case.language or state.language in case.language,
    ]
    if case.queue is not None:
        queue = scene.queue_now(case.queue, now)
        checks += [
            case.waiting_from is None or queue.waiting >= case.waiting_from,
            case.waiting_to is None or queue.waiting <= case.waiting_to,
            case.ready_to is None or queue.ready <= case.ready_to,
            case.wait_from_s is None or queue.longest_wait_ms >= case.wait_from_s * 1000,
        ]
    if case.name is not None:
        checks.append(_value_fits(case, state.values.get(case.name)))
    return all(checks)


def _value_fits(case: When, value: str | None) -> bool:
    if value is None:
        return False
    if case.equals and value not in case.equals:
        return False
    if case.least is None and case.most is None:
        return True
    try:
        number = float(value)
    except ValueError:
        return False
    return (case.least is None or number >= case.least) and (
        case.most is None or number <= case.most
    )


class _LookingUp:
    def __init__(self, step: LookUp, state: State) -> None:
        self._step, self._state = step, state

    def begin(self, now: int) -> Turn:
        said = (self._step.prompt,) if self._step.prompt is not None else ()
        # A little longer than the program may take: its silence is an answer too.
        return Turn(said, wait_ms=int(self._step.timeout_s * 1000) + 500, ask=self._step)

    def key(self, digit: str, now: int) -> Turn:
        return Turn(wait_ms=int(self._step.timeout_s * 1000) + 500, heard=True)

    def silent(self, now: int) -> Turn:
        return self.answered(None)

    def answered(self, values: Mapping[str, str] | None) -> Turn:
        if values is None:
            return Turn(go=parse_route(self._step.failed))
        for name, value in list(values.items())[:MOST_VALUES]:
            self._state.values[name] = value[:LONGEST_VALUE]
        return Turn(go=parse_route(self._step.go))


class _Finding:
    """Dial by name: key letters until few are left, then choose one by its number."""

    def __init__(self, step: Directory, state: State) -> None:
        self._step, self._state = step, state
        self._tries = 0
        self._digits = ""
        self._found: list[str] = []

    def begin(self, now: int) -> Turn:
        return self._ask(())

    def _ask(self, before: tuple[Prompt, ...]) -> Turn:
        self._digits, self._found = "", []
        self._tries += 1
        if self._tries > self._step.tries:
            return Turn(go=parse_route(self._step.failed))
        asked = self._step.prompt or spell_name(self._state.language)
        return Turn((*before, asked), wait_ms=self._wait)

    @property
    def _wait(self) -> int:
        return int(self._step.timeout_s * 1000)

    def key(self, digit: str, now: int) -> Turn:
        if self._found:
            # The hash key may still be on its way when few enough were found without it.
            return self._offer() if digit == "#" else self._choose(digit)
        if digit in "#*":
            return self._search(end=True)
        self._digits += digit
        return self._search(end=False)

    def silent(self, now: int) -> Turn:
        if self._found or not self._digits:
            return self._ask(())
        return self._search(end=True)

    def answered(self, values: Mapping[str, str] | None) -> Turn:
        return self._ask(())

    def _search(self, *, end: bool) -> Turn:
        people = self._state.scene.people
        found = matches(people, self._digits) if self._digits else []
        if not found:
            keyed = (self._digits, False)
            turn = self._ask((phrase("nobody", self._state.language),))
            return Turn(turn.say, turn.go, turn.wait_ms, keyed=keyed, heard=True)
        if not end and (len(self._digits) < 3 or len(found) > FEW_PEOPLE):
            return Turn(wait_ms=self._wait, heard=True)
        self._found = found[:9]
        return self._offer(keyed=(self._digits, True))

    def _offer(self, keyed: tuple[str, bool] | None = None) -> Turn:
        people = self._state.scene.people
        said = tuple(
            choose_person(number, people[extension], self._state.language)
            for number, extension in enumerate(self._found, start=1)
        )
        return Turn(said, wait_ms=self._wait, keyed=keyed, heard=True)

    def _choose(self, digit: str) -> Turn:
        index = int(digit) - 1 if digit.isdigit() else -1
        if 0 <= index < len(self._found):
            go = Route("phone", self._found[index])
            return Turn(go=go, keyed=(digit, True), heard=True)
        turn = self._ask(())
        return Turn(turn.say, turn.go, turn.wait_ms, keyed=(digit, False), heard=True)
