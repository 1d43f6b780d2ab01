"""The SIP door as the switch uses it: `Core` with sockets, one timer and name look-ups around."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from appliance.sip.core import Core, MakeOffer, Stats
from appliance.sip.dialog import SavedDialog
from appliance.sip.events import Event, SipConfig, Target
from appliance.sip.flow import Flow, Hop
from appliance.sip.registrar import SavedBinding
from appliance.sip.subscription import Published, SavedSubscription
from appliance.sip.transport import Address, TcpConnection, UdpPort, route_to

_log = logging.getLogger("centrala.sip")

MAX_CONNECTIONS: Final = 512
MAX_CONNECTIONS_OF_HOST: Final = 64
_STOP_S: Final = 2.0
"""How long `stop` waits for answers to its BYE, CANCEL and log-outs."""
_RESOLVE_S: Final = 300.0
_RESOLVE_AGAIN_S: Final = 15.0
"""The same while a name has no address."""
_SWEEP_S: Final = 10.0
_STALL_S: Final = 30.0
"""A connection that does not finish a message in this time is cut."""
_IDLE_S: Final = 900.0
"""So is one that says nothing for this long and has no phone registered on it."""
_CONNECT_S: Final = 10.0
MAX_HELD: Final = 64
"""Messages that wait for one connection to open."""


Kept = tuple[str, SavedDialog | None]
_Way = tuple[str, str, int]
"""Transport, host and port."""


def _listens(config: SipConfig) -> tuple[object, ...]:
    """All that decides which sockets are open."""
    return (
        config.host,
        config.port,
        config.udp,
        config.tcp,
        config.tls,
        config.tls_port,
    )


def system_clock() -> Callable[[], int]:
    """UTC milliseconds that never run back: the wall clock at the start, then the monotonic."""
    offset = time.time_ns() - time.monotonic_ns()
    return lambda: (time.monotonic_ns() + offset) // 1_000_000


class Endpoint:
    """The SIP door. Events come to `on_event` on the loop's thread, never from inside a command.
    Commands for a call that is over are ignored."""

    def __init__(
        self,
        config: SipConfig,
        on_event: Callable[[Event], None],
        clock: Callable[[], int] | None = None,
        tls: ssl.SSLContext | None = None,
        trust: ssl.SSLContext | None = None,
        on_kept: Callable[[list[Kept]], None] | None = None,
    ) -> None:
        """`tls` is our side of connections that come in by TLS, with the box's certificate;
        without it none do. `trust` decides about the certificates of trunks; the system's
        authorities if not given. `on_kept` is told from inside of commands how each answered call
        could be ended by a later process, and when it is over; see `end_dialogs`."""
        self._config = config
        self._tls = tls
        self._trust = trust
        self._on_event = on_event
        self._on_kept = on_kept
        self._clock = clock or system_clock()
        self._core = Core(config, secrets.token_bytes, self._route, self._clock())
        self._events: deque[Event] = deque()
        self._udp: UdpPort | None = None
        self._servers: list[asyncio.Server] = []
        self._connections: dict[int, TcpConnection] = {}
        self._outgoing: dict[_Way, int | list[bytes]] = {}
        """Where to -> number of the connection that we made, or what waits for it to open."""
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: int | None = None
        self._delivering = False
        self._scheduled = False
        self._task: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None
        self._resolve = asyncio.Event()
        self._quiet = asyncio.Event()
        self._closed = False

    # --- life -------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the sockets. Raises OSError when a port cannot be had."""
        await self._listen()
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._run(ready), name="sip")
        await ready.wait()
        self._core.tick(self._clock())
        self._flush()

    async def stop(self) -> None:
        """End every call, log out, close the sockets; bounded by two seconds."""
        if self._task is None:
            return
        self._core.shutdown(self._clock())
        self._quiet.clear()
        self._flush()
        if not self._core.idle:
            try:
                await asyncio.wait_for(self._quiet.wait(), _STOP_S)
            except TimeoutError:
                _log.info("some peers did not answer while stopping")
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._unlisten()
        for connection in list(self._connections.values()):
            connection.close()
        task, self._task = self._task, None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def reconfigure(self, config: SipConfig) -> None:
        """Take a new configuration while calls go on. Raises OSError, and keeps listening as
        before, when a new port cannot be had."""
        old = self._config
        moved = _listens(config) != _listens(old)
        if moved:
            self._unlisten()
            self._config = config
            try:
                await self._listen()
            except OSError:
                self._config = old
                await self._listen()
                raise
        self._config = config
        self._core.reconfigure(config, self._clock())
        self._resolve.set()
        self._core.tick(self._clock())
        self._flush()

    async def _listen(self) -> None:
        config = self._config
        if config.udp:
            self._udp = UdpPort(config.host, config.port, self._datagram)
        loop = asyncio.get_running_loop()
        try:
            if config.tcp:
                self._servers.append(
                    await loop.create_server(
                        self._connection, config.host, config.port, reuse_address=True
                    )
                )
            if config.tls and self._tls is not None:
                self._servers.append(
                    await loop.create_server(
                        self._secure_connection,
                        config.host,
                        config.tls_port,
                        ssl=self._tls,
                        ssl_handshake_timeout=_CONNECT_S,
                        reuse_address=True,
                    )
                )
        except OSError:
            self._unlisten()
            raise

    def _unlisten(self) -> None:
        if self._udp is not None:
            self._udp.close()
            self._udp = None
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def _run(self, ready: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._resolve_names(), name="sip names")
            group.create_task(self._sweep(), name="sip sweep")
            ready.set()

    # --- commands ---------------------------------------------------------------------------

    def saved_bindings(self) -> list[SavedBinding]:
        """The phones' contacts, to be given to `restore_bindings` of a later process."""
        return self._core.saved_bindings()

    def restore_bindings(self, saved: Iterable[SavedBinding]) -> None:
        """Phones that an earlier process knew, so that none is lost by a restart. `Registered`
        follows for each. Call after `start`."""
        self._core.restore_bindings(saved, self._clock())
        self._flush()

    def end_dialogs(self, saved: Iterable[SavedDialog]) -> None:
        """Tell the peers of an earlier process that died that its calls are over. Call after
        `restore_bindings`."""
        self._core.end_dialogs(saved, self._clock())
        self._flush()

    def saved_subscriptions(self) -> list[SavedSubscription]:
        """To be given to `restore_subscriptions` of a later process."""
        return self._core.saved_subscriptions()

    def restore_subscriptions(self, saved: Iterable[SavedSubscription]) -> None:
        """Subscriptions of an earlier process go on. Call when what they watch was published, and
        before phones are restored: those are told apart otherwise."""
        self._core.restore_subscriptions(saved, self._clock())
        self._flush()

    def registered(self, extension: str) -> bool:
        return self._core.registered(extension)

    def publish(self, package: str, resource: str, state: Published | None) -> None:
        """The state of something that phones subscribe to; None: it is no more."""
        self._core.publish(package, resource, state, self._clock())
        self._flush()

    def ring(self, call: str) -> None:
        """180 Ringing."""
        self._core.ring(call, self._clock())
        self._flush()

    def progress(self, call: str, sdp_text: str) -> None:
        """183 with early media; `sdp_text` is the answer that `answer` must repeat."""
        self._core.progress(call, sdp_text, self._clock())
        self._flush()

    def answer(self, call: str, sdp_text: str) -> None:
        """200. `Answered` follows when the caller has acknowledged it."""
        self._core.answer(call, sdp_text, self._clock())
        self._flush()

    def reject(self, call: str, code: int) -> None:
        """Refuse an unanswered incoming call. Raises ValueError on a code that does not."""
        self._core.reject(call, code, self._clock())
        self._flush()

    def invite(
        self,
        target: Target,
        caller_number: str | None,
        caller_name: str | None,
        make_offer: MakeOffer,
    ) -> str:
        """Call a phone (all its contacts) or a number by a trunk. Returns the call's key;
        `make_offer(local_host)` is asked for the SDP at once. `Progress`, then `Answered` or
        `Failed` follow."""
        call = self._core.invite(target, caller_number, caller_name, make_offer, self._clock())
        self._flush()
        return call

    def hangup(self, call: str) -> None:
        """CANCEL, BYE or 480, whatever ends the call in its state."""
        self._core.hangup(call, self._clock())
        self._flush()

    def refer_done(self, call: str, status: int) -> None:
        """What became of a transfer that a phone asked for, as a SIP status."""
        self._core.refer_done(call, status, self._clock())
        self._flush()

    def reoffer(self, call: str, sdp_text: str) -> None:
        """Change the media of an answered call (re-INVITE). `Reanswered` follows."""
        self._core.reoffer(call, sdp_text, self._clock())
        self._flush()

    def reanswer(self, call: str, sdp_text: str | None) -> None:
        """Answer a `Reoffered`; None refuses it (488) and all stays as it was."""
        self._core.reanswer(call, sdp_text, self._clock())
        self._flush()

    def stats(self) -> Stats:
        """What is alive."""
        return self._core.stats()

    # --- from core to sockets and switch ----------------------------------------------------

    def _flush(self) -> None:
        """Send what the core wants sent, plan its next deadline, have its events delivered."""
        for hop, data in self._core.take_output():
            self._send(hop, data)
        kept = self._core.take_kept()
        if kept and self._on_kept is not None:
            self._on_kept(kept)
        self._events.extend(self._core.take_events())
        if self._events and not self._delivering and not self._scheduled and not self._closed:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver)
        if self._core.idle:
            self._quiet.set()
        self._plan()

    def _deliver(self) -> None:
        self._scheduled = False
        self._delivering = True
        try:
            while self._events:
                self._on_event(self._events.popleft())
        finally:
            self._delivering = False
            self._flush()

    def _plan(self) -> None:
        due = self._core.next_deadline()
        if due == self._timer_due and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_due = due
        if due is not None and not self._closed:
            delay = max(0, due - self._clock()) / 1000
            self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._timer = self._timer_due = None
        self._core.tick(self._clock())
        self._flush()

    def _send(self, hop: Hop, data: bytes) -> None:
        if hop.flow.transport == "udp":
            if self._udp is not None:
                self._udp.send(hop.flow.local_host, (hop.host, hop.port), data)
        elif hop.flow.connection:
            connection = self._connections.get(hop.flow.connection)
            if connection is not None:
                connection.send(data)
        else:
            self._send_connecting((hop.flow.transport, hop.host, hop.port), data)

    def _send_connecting(self, to: _Way, data: bytes) -> None:
        there = self._outgoing.get(to)
        if isinstance(there, int):
            self._connections[there].send(data)
        elif there is not None:
            if len(there) < MAX_HELD:
                there.append(data)
        elif self._group is not None and not self._closed:
            self._outgoing[to] = [data]
            self._group.create_task(self._connect(to), name="sip connect")

    async def _connect(self, to: _Way) -> None:
        transport, host, port = to
        try:
            async with asyncio.timeout(_CONNECT_S):
                connection = await self._connected(transport, host, port)
        except (OSError, TimeoutError) as error:
            _log.warning(
                "no %s connection to %s:%d: %s", transport, host, port, error or "no answer in time"
            )
            self._outgoing.pop(to, None)
            self._core.unreachable(host, port, self._clock())
            self._flush()
            return
        held = self._outgoing.get(to)
        if connection.number not in self._connections:
            self._outgoing.pop(to, None)
            return
        self._outgoing[to] = connection.number
        for data in held if isinstance(held, list) else ():
            connection.send(data)

    async def _connected(self, transport: str, host: str, port: int) -> TcpConnection:
        """A new connection. Raises OSError, and `ssl.SSLError`, which is one."""
        loop = asyncio.get_running_loop()
        if transport != "tls":
            return (await loop.create_connection(self._connection, host, port))[1]
        name, verify = self._core.tls_name(host, port)
        context = self._trust or ssl.create_default_context()
        if not verify:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, connection = await loop.create_connection(
            self._secure_connection, host, port, ssl=context, server_hostname=name
        )
        return connection

    # --- from sockets to core ---------------------------------------------------------------

    def _route(self, host: str) -> str:
        return route_to(host) if self._config.host in ("0.0.0.0", "::") else self._config.host

    def _datagram(self, local_host: str, source: Address, data: bytes) -> None:
        flow = Flow("udp", 0, local_host, self._config.port)
        self._core.receive(flow, source, data, self._clock())
        self._flush()

    def _connection(self) -> TcpConnection:
        self._serial += 1
        return TcpConnection(self._serial, self._message, self._opened, self._lost)

    def _secure_connection(self) -> TcpConnection:
        self._serial += 1
        return TcpConnection(self._serial, self._message, self._opened, self._lost, "tls")

    def _opened(self, connection: TcpConnection) -> bool:
        host = connection.peer[0]
        of_host = sum(1 for other in self._connections.values() if other.peer[0] == host)
        full = len(self._connections) >= MAX_CONNECTIONS or of_host >= MAX_CONNECTIONS_OF_HOST
        if self._closed or full:
            return False
        self._connections[connection.number] = connection
        return True

    def _message(self, connection: TcpConnection, data: bytes) -> None:
        port = self._config.port_of(connection.transport)
        flow = Flow(connection.transport, connection.number, connection.local_host, port)
        self._core.receive(flow, connection.peer, data, self._clock())
        self._flush()

    def _lost(self, connection: TcpConnection) -> None:
        if self._connections.pop(connection.number, None) is None:
            return
        now = self._clock()
        for to, number in list(self._outgoing.items()):
            if number == connection.number:
                del self._outgoing[to]
                self._core.unreachable(to[1], to[2], now)
        self._core.closed(connection.number, now)
        if not self._closed:
            self._flush()

    # --- background -------------------------------------------------------------------------

    async def _resolve_names(self) -> None:
        """Keep the addresses of trunks that are given by name."""
        loop = asyncio.get_running_loop()
        while True:
            self._resolve.clear()
            pause = _RESOLVE_S
            for trunk, host in self._core.names().items():
                try:
                    found = await loop.getaddrinfo(
                        host, None, family=socket.AF_INET, type=socket.SOCK_DGRAM
                    )
                except OSError:
                    found = []
                addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
                if not addresses:
                    pause = _RESOLVE_AGAIN_S
                self._core.resolved(trunk, addresses, self._clock())
                self._flush()
            try:
                await asyncio.wait_for(self._resolve.wait(), pause)
            except TimeoutError:
                continue

    async def _sweep(self) -> None:
        """Cut connections that stall or that nobody uses."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = loop.time()
            for connection in list(self._connections.values()):
                silent = now - connection.active_at
                if connection.unfinished or not connection.messages:
                    if silent > _STALL_S and connection.number not in self._outgoing.values():
                        connection.close()
                elif silent > _IDLE_S and not self._core.in_use(connection.number):
                    connection.close()
