"""What the media process should be doing now, as the shortest list of commands that says so.

The media process may die; the calls need not. Every command that goes to one passes through here,
and `replay` gives a fresh media process the legs, bridges, rooms and sounds that should
exist, on the same ports. Prompts that were playing are not replayed (their `PlayEnded` is given as
failed so that menus go on); line legs are not either, since a modem that lost its driver has hung
up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.media import protocol as p


@dataclass(slots=True)
class _LegState:
    open: p.OpenRtp | p.OpenLine | p.OpenPeer
    aim: p.AimRtp | None = None
    music: p.Music | None = None
    tone: p.PlayTone | None = None
    listen: p.Listen | None = None
    playing: p.Play | None = None


@dataclass(slots=True)
class MediaMirror:
    """The wanted state of the media process."""

    setup: p.Setup | None = None
    _legs: dict[int, _LegState] = field(default_factory=dict)
    _bridges: dict[int, p.Bridge] = field(default_factory=dict)
    _rooms: dict[int, p.Room] = field(default_factory=dict)

    def note(self, command: p.Command) -> None:
        """Take a command that was given into account."""
        match command:
            case p.Setup():
                self.setup = command
            case p.OpenRtp() | p.OpenLine() | p.OpenPeer():
                self._legs[command.leg] = _LegState(command)
            case p.CloseLeg(leg=leg):
                self._legs.pop(leg, None)
                self._part({leg})
            case p.Bridge():
                self._part({command.a, command.b})
                self._bridges[command.bridge] = command
            case p.Unbridge(bridge=bridge):
                self._bridges.pop(bridge, None)
            case p.Room(room=room, members=members):
                self._rooms.pop(room, None)
                self._part({member.leg for member in members})
                if members:
                    self._rooms[room] = command
            case p.AimRtp() | p.Music() | p.PlayTone() | p.Listen() | p.Play() | p.StopPlay():
                self._note_leg(command)
            case _:
                pass

    def _part(self, legs: set[int]) -> None:
        """These legs are in no bridge and no room any more."""
        self._bridges = {k: b for k, b in self._bridges.items() if not legs & {b.a, b.b}}
        rooms: dict[int, p.Room] = {}
        for number, room in self._rooms.items():
            left = tuple(member for member in room.members if member.leg not in legs)
            if left:
                rooms[number] = p.Room(number, left)
        self._rooms = rooms

    def _note_leg(
        self,
        command: p.AimRtp | p.Music | p.PlayTone | p.Listen | p.Play | p.StopPlay,
    ) -> None:
        state = self._legs.get(command.leg)
        if state is None:
            return
        match command:
            case p.AimRtp():
                state.aim = command
            case p.Music():
                state.music = command if command.file is not None else None
            case p.PlayTone():
                state.tone = command if command.tone is not None else None
            case p.Listen():
                state.listen = command
            case p.Play():
                state.playing = command
            case p.StopPlay():
                state.playing = None

    def played(self, leg: int, token: int) -> None:
        """The media process reported the end of a prompt."""
        state = self._legs.get(leg)
        if state is not None and state.playing is not None and state.playing.token == token:
            state.playing = None

    def interrupted(self) -> list[p.PlayEnded]:
        """The prompts that a media process took with it, as their ends; forgets them."""
        ends: list[p.PlayEnded] = []
        for leg, state in self._legs.items():
            if state.playing is not None:
                ends.append(p.PlayEnded(leg, state.playing.token, "failed"))
                state.playing = None
        return ends

    def replay(self) -> list[p.Command]:
        """Commands for a fresh media process, in a valid order."""
        commands: list[p.Command] = [] if self.setup is None else [self.setup]
        for state in self._legs.values():
            if isinstance(state.open, p.OpenLine):
                continue
            commands.append(state.open)
            commands += [
                extra
                for extra in (state.aim, state.music, state.tone, state.listen)
                if extra is not None
            ]
        commands += self._bridges.values()
        commands += self._rooms.values()
        return commands
