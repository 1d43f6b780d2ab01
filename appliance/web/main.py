"""The web process: HTTP and HTTPS of one box."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvicorn

from appliance.certificate import ensure_certificate
from appliance.site.model import Site
from appliance.web.app import create_app
from appliance.web.connection import Connection
from appliance.web.guard import MOST_BODY
from appliance.web.office import Office
from appliance.web.pages import Pages

log = logging.getLogger("centrala.web")

STOP_S: Final = 2.0


class _Server(uvicorn.Server):
    """Signals belong to the process's owner, not to one of its servers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run(site: Site, data: Path, control_socket: Path) -> None:
    """Serve until cancelled.

    HTTP on `site.web.http_port` and HTTPS on `https_port`; control is looked for on
    `control_socket` for ever. Raises OSError with a sentence when a port cannot be had or `data`
    cannot be written.
    """
    _return_large_blocks()
    certificate, key = await asyncio.to_thread(
        ensure_certificate, data / "tls", site.web.hosts, datetime.now(UTC)
    )
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(_listen(site.web.host, site.web.http_port))
        secure = stack.enter_context(_listen(site.web.host, site.web.https_port))
        office = await Office.open(site, data, control_socket)
        try:
            app = create_app(office, Pages())
            common = {
                "http": Connection,
                "ws": "websockets-sansio",
                "ws_max_size": MOST_BODY,
                "ws_max_queue": 8,
                # 300 kB a socket, for messages of a few kilobytes on a LAN.
                "ws_per_message_deflate": False,
                "ws_ping_interval": 5.0,
                "ws_ping_timeout": 5.0,
                "lifespan": "off",
                "log_config": None,
                "access_log": False,
                "server_header": False,
                # Nothing stands in front of the box; a forged header would fool the limits.
                "proxy_headers": False,
                "timeout_keep_alive": 30,
                "timeout_graceful_shutdown": 1,
                "limit_concurrency": 600,
            }
            http = uvicorn.Config(app, **common)  # type: ignore[arg-type]
            https = uvicorn.Config(
                app,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                **common,  # type: ignore[arg-type]
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(office.link.run())
                group.create_task(office.hub.run())
                group.create_task(_serve(http, plain))
                group.create_task(_serve(https, secure))
                log.info("pages on http %s and https %s", site.web.http_port, site.web.https_port)
        finally:
            await office.close()


def _return_large_blocks() -> None:
    """Have glibc give blocks over 1 MiB back when they are freed. A password check takes 19 MiB
    for a moment; by default the first one makes glibc keep that much for good."""
    mmap_threshold = -3
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(mmap_threshold, 1 << 20)


async def _serve(config: uvicorn.Config, listening: socket.socket) -> None:
    """Runs one server; on cancel it says good-bye to its connections first."""
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        _, pending = await asyncio.wait({serving}, timeout=STOP_S)
        for task in pending:
            task.cancel()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(256)
    except OSError as error:
        listening.close()
        raise OSError(
            error.errno,
            f"port {port} on {host} cannot be used for the pages ({error.strerror}); free it or "
            "choose another in [web] of the site document",
        ) from error
    listening.setblocking(False)
    return listening
