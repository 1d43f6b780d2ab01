"""One caller's way through the menus.

How it works
------------
The run is always in one of five modes. `prompt`: the menu's prompt plays, keys already count
(barge-in). `choose`: the prompt is over, silence counts as no choice after `timeout_s`. `parting`:
a last sentence plays before the run moves on along a route; any key cuts it short. `step`: a
machine of `appliance.ivr.steps` says what happens. `over`.

Keys are collected until no longer key of the menu could be meant: at once when the digits fit one
key and begin no other, otherwise after `INTER_DIGIT_MS` without a further digit.

A menu is played `tries` times (silence and wrong keys alike use one up), then its `default` is
taken. Moving from menu to menu without a key is bounded, so that no document can keep a line busy
by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from appliance.events import Fact, IvrIn, IvrKey, IvrOut
from appliance.ivr.actions import Action, Ask, Go, Hush, Say, Speaks
from appliance.ivr.leaving import Leaving
from appliance.ivr.phrases import phrase
from appliance.ivr.scene import Scene
from appliance.ivr.steps import INTER_DIGIT_MS, Machine, machine_of
from appliance.ivr.turns import State, Turn
from appliance.ivr.values import fill, with_clock
from appliance.site.model import Language, LookUp, Menu, Prompt, Step
from appliance.site.routes import Route, parse_route

LONGEST_SAY_MS: Final = 300_000
"""A prompt whose end is never reported counts as played after this."""
MAX_HOPS: Final = 24
"""Menus and steps entered or repeated in a row without a key."""
MAX_KEYS: Final = 100
"""Choices in one run; a stuck key or a machine at the other end does not hold the line."""
KEYS: Final = frozenset("0123456789*#")

Output = list[Fact | Action]
_HANGUP: Final = Route("hangup")


class MenuRun:
    """The menus and steps of one call, from `start` to `Go` or `gone`.

    `first` is the menu or step to start with. `now` is UTC milliseconds. After the end every
    method returns an empty list.
    """

    def __init__(self, scene: Scene, call: str, first: Route) -> None:
        self._scene = scene
        self._state = State(scene, scene.language)
        self._call = call
        self._first = first
        self._menu_id = first.target
        self._mode: Literal["prompt", "choose", "parting", "step", "over"] = "choose"
        self._step: Machine | None = None
        self._after = Turn()
        """What the step wants when its prompt is over."""
        self._asking: int | None = None
        self._token = 0
        self._speaking = False
        self._digits = ""
        self._tries = 0
        self._hops = 0
        self._choices = 0
        self._route = _HANGUP
        self._closed = False
        self._spoken: Language = scene.language
        self._deadline: int | None = None
        self._out: Output = []

    @property
    def menu(self) -> str:
        """Id of the menu or step the caller is in (or left last)."""
        return self._menu_id

    @property
    def values(self) -> Mapping[str, str]:
        """What was collected and looked up."""
        return self._state.values

    @property
    def over(self) -> bool:
        return self._mode == "over"

    # --- in ---------------------------------------------------------------------------------

    def start(self, now: int) -> Output:
        """The caller enters the first menu."""
        self._out.append(IvrIn(at=now, call=self._call, menu=self._menu_id))
        self._follow(self._first, now)
        return self._flush()

    def key(self, digit: str, now: int) -> Output:
        """The caller pressed `digit` (one of 0-9 * #; anything else is ignored)."""
        if self.over or digit not in KEYS:
            return []
        self._press(digit, now)
        return self._flush()

    def answered(self, token: int, values: Mapping[str, str] | None, now: int) -> Output:
        """The program that was asked with this token answered; None: it did not, or with
        nothing that could be used."""
        if self.over or token != self._asking or self._step is None:
            return []
        self._asking = None
        if self._speaking:
            self._speaking = False
            self._out.append(Hush())
        self._take(self._step.answered(values), now)
        return self._flush()

    def speaks(self, speaking: bool, now: int) -> Output:
        """Whether the caller spoke in the last second; told while a message is recorded."""
        if self.over or not isinstance(self._step, Leaving):
            return []
        turn = self._step.heard(speaking, now)
        if turn is not None:
            self._take(turn, now)
        return self._flush()

    def played(self, token: int, now: int) -> Output:
        """The `Say` with this token ended (or could not be played)."""
        if self.over or not self._speaking or token != self._token:
            return []
        self._prompt_over(now)
        return self._flush()

    def gone(self, now: int, result: str = "abandoned", target: str | None = None) -> Output:
        """The caller hung up, or was taken elsewhere: `result` and `target` of `IvrOut`."""
        if not self.over:
            self._finish(now, result, target)
        return self._flush()

    def tick(self, now: int) -> Output:
        """Carry out what has fallen due."""
        if self._deadline is None or now < self._deadline or self.over:
            return []
        if self._speaking:
            self._out.append(Hush())
            self._prompt_over(now)
        elif self._mode == "step" and self._step is not None:
            self._asking = None
            self._take(self._step.silent(now), now)
        elif self._digits:
            self._decide(now)
        else:
            self._no_choice(now, ())
        return self._flush()

    def next_deadline(self) -> int | None:
        """When `tick` has something to do, UTC ms."""
        return None if self.over else self._deadline

    # --- within -----------------------------------------------------------------------------

    @property
    def _menu(self) -> Menu:
        return self._scene.menus[self._menu_id]

    def _flush(self) -> Output:
        out, self._out = self._out, []
        return out

    def _press(self, digit: str, now: int) -> None:
        if self._speaking:
            self._speaking = False
            self._out.append(Hush())
        # Type-ahead: a key that cuts a sentence short belongs to what comes behind it.
        passes = False
        if self._mode == "parting":
            self._follow(self._route, now)
            passes = True
        elif self._mode == "step" and self._step is not None:
            turn = self._step.key(digit, now)
            self._take(turn, now)
            passes = turn.passes
        else:
            self._collect(digit, now)
        if passes and self._speaking and not self.over and self._hops < MAX_HOPS:
            self._press(digit, now)

    def _collect(self, digit: str, now: int) -> None:
        self._mode = "choose"
        self._digits += digit
        keys = self._menu.keys
        if any(key != self._digits and key.startswith(self._digits) for key in keys):
            self._deadline = now + INTER_DIGIT_MS
        else:
            self._decide(now)

    def _say(self, prompts: tuple[Prompt, ...], now: int) -> None:
        self._token += 1
        self._speaking = True
        self._deadline = now + LONGEST_SAY_MS
        scene = self._scene
        values = with_clock(self._state.values, scene.caller, scene.called, scene.zone, now)
        said = tuple(fill(prompt, values, self._state.language) for prompt in prompts)
        self._out.append(Say(self._token, said))

    def _prompt_over(self, now: int) -> None:
        self._speaking = False
        if self._mode == "parting":
            self._follow(self._route, now)
        elif self._mode == "step":
            self._wait(self._after, now)
        else:
            self._mode = "choose"
            self._deadline = now + int(self._menu.timeout_s * 1000)

    def _enter(self, menu_id: str, now: int) -> None:
        if menu_id not in self._scene.menus or self._lost():
            self._follow(_HANGUP, now)
            return
        self._menu_id = menu_id
        self._tries = 0
        self._digits = ""
        menu = self._menu
        if menu.hours is not None and not self._scene.is_open(menu.hours, now):
            route = parse_route(menu.closed_go)
            self._closed = True
            if menu.closed is not None:
                self._part((menu.closed,), route, now)
            elif route.kind == "hangup":
                self._part((phrase("closed", self._state.language),), route, now)
            else:
                self._follow(route, now)
            return
        self._closed = False
        self._prompt((), now)

    # --- steps ------------------------------------------------------------------------------

    def _enter_step(self, step_id: str, now: int) -> None:
        self._enter_machine(step_id, self._scene.steps.get(step_id), now)

    def _enter_machine(self, name: str, step: Step | None, now: int) -> None:
        if step is None or self._lost():
            self._follow(_HANGUP, now)
            return
        self._menu_id = name
        self._mode = "step"
        self._closed = False
        self._step = machine_of(step, self._state)
        self._take(self._step.begin(now), now)

    def _take(self, turn: Turn, now: int) -> None:
        """Do what a step wants."""
        if turn.keyed is not None:
            digits, valid = turn.keyed
            self._out.append(
                IvrKey(at=now, call=self._call, menu=self._menu_id, key=digits, valid=valid)
            )
        if turn.heard:
            self._hops = 0
            self._choices += 1
            if self._choices >= MAX_KEYS:
                self._follow(_HANGUP, now)
                return
        if turn.tape is not None:
            self._out.append(turn.tape)
        if self._state.language != self._spoken:
            self._spoken = self._state.language
            self._out.append(Speaks(self._spoken))
        if turn.ask is not None:
            self._ask(turn.ask, now)
        self._after = turn
        if turn.say:
            self._say(turn.say, now)
        else:
            self._wait(turn, now)

    def _wait(self, turn: Turn, now: int) -> None:
        if turn.go is not None:
            self._follow(turn.go, now)
        else:
            self._deadline = now + turn.wait_ms

    def _ask(self, step: LookUp, now: int) -> None:
        self._token += 1
        self._asking = self._token
        scene, values = self._scene, self._state.values
        body: dict[str, str | None] = {
            **{name: values.get(name) for name in step.send},
            "call": self._call,
            "caller": scene.caller,
            "called": scene.called,
            "language": self._state.language,
        }
        self._out.append(Ask(self._asking, step.url, body, int(step.timeout_s * 1000)))

    # --- menus ------------------------------------------------------------------------------

    def _prompt(self, before: tuple[Prompt, ...], now: int) -> None:
        self._mode = "prompt"
        self._digits = ""
        self._tries += 1
        self._say((*before, self._menu.prompt), now)

    def _part(self, prompts: tuple[Prompt, ...], route: Route, now: int) -> None:
        self._mode = "parting"
        self._route = route
        self._say(prompts, now)

    def _decide(self, now: int) -> None:
        """The caller's digits are complete."""
        digits, self._digits = self._digits, ""
        menu = self._menu
        chosen = menu.keys.get(digits)
        self._out.append(
            IvrKey(
                at=now, call=self._call, menu=self._menu_id, key=digits, valid=chosen is not None
            )
        )
        self._hops = 0
        self._choices += 1
        if self._choices >= MAX_KEYS:
            self._follow(_HANGUP, now)
        elif chosen is None:
            self._no_choice(now, (menu.invalid,) if menu.invalid else ())
        elif chosen.say is not None:
            self._part((chosen.say,), parse_route(chosen.go), now)
        else:
            self._follow(parse_route(chosen.go), now)

    def _no_choice(self, now: int, before: tuple[Prompt, ...]) -> None:
        if self._tries < self._menu.tries:
            self._prompt(before, now)
        else:
            self._follow(parse_route(self._menu.default), now)

    def _follow(self, route: Route, now: int) -> None:
        match route.kind:
            case "menu":
                self._enter(route.target, now)
            case "step":
                self._enter_step(route.target, now)
            case "voicemail":
                box = self._scene.boxes.get(route.target)
                self._enter_machine(str(route), box, now)
            case "repeat" if self._lost():
                self._follow(_HANGUP, now)
            case "repeat":
                # A wish of the caller, not a failed try.
                self._tries = max(0, self._tries - 1)
                self._prompt((), now)
            case _:
                result = "closed" if self._closed else route.kind
                target = str(route) if self._closed else route.target or None
                self._finish(now, result, target)
                self._out.append(Go(route))

    def _lost(self) -> bool:
        """One more move without a key in between; True when it was one too many."""
        self._hops += 1
        return self._hops > MAX_HOPS

    def _finish(self, now: int, result: str, target: str | None) -> None:
        self._mode = "over"
        self._deadline = None
        self._speaking = False
        self._out.append(
            IvrOut(at=now, call=self._call, menu=self._menu_id, result=result, target=target)
        )
