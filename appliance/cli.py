"""The `centrala` command."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import getpass
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance import __version__

if TYPE_CHECKING:
    from appliance.site.model import Site


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code: 0 done, 1 refused with a sentence, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="centrala", description="A call centre on a box: lines, phones, browsers, queues."
    )
    parser.add_argument("--version", action="version", version=f"centrala {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="check a site document and say what the box would be")
    check.add_argument("file", type=Path)

    rehearse = commands.add_parser(
        "rehearse", help="play a day with simulated callers and say how the office would do"
    )
    rehearse.add_argument("--site", type=Path, help="site document; without it, the demo office")
    rehearse.add_argument("--calls", type=float, default=120, help="calls of the day (120)")
    rehearse.add_argument("--talk", type=float, default=180, help="mean conversation, s (180)")
    rehearse.add_argument("--patience", type=float, default=150, help="mean patience, s (150)")
    rehearse.add_argument("--day", type=date.fromisoformat, help="2026-11-25; default: today")
    rehearse.add_argument("--seed", type=int, default=1, help="another seed, other callers")

    run = commands.add_parser("run", help="start the whole box; without --site, a demo office")
    run.add_argument("--site", type=Path, help="site document (TOML)")
    run.add_argument("--data", type=Path, help="data directory")
    run.add_argument("--no-practice", action="store_true", help="demo without practice callers")

    for name, text in (
        ("control", "the process that handles calls (started by run or systemd)"),
        ("media", "the audio process (started by run or systemd)"),
        ("web", "the pages and the API (started by run or systemd)"),
    ):
        process = commands.add_parser(name, help=text)
        process.add_argument("--site", type=Path, required=True)
        process.add_argument("--data", type=Path, required=True)
        if name == "control":
            process.add_argument("--media", type=int, help="audio processes that were started")
        if name == "media":
            process.add_argument("--process", type=int, default=0, help="which of several, from 0")

    simulate = commands.add_parser("simulate", help="a telephone exchange with modems and callers")
    simulate.add_argument("--dir", type=Path, required=True, help="folder for the devices")
    simulate.add_argument("--lines", type=int, default=2)
    simulate.add_argument("--country", default="us")
    simulate.add_argument("--practice", action="store_true", help="a caller every half minute")

    finish = commands.add_parser(
        "finish", help="bring recordings into their lasting form (started by control)"
    )
    finish.add_argument("--data", type=Path, required=True)
    finish.add_argument("--format", choices=("opus", "flac", "wav"), required=True)

    password = commands.add_parser("password", help="set the password of a person")
    password.add_argument("person")
    password.add_argument("--site", type=Path, required=True)
    password.add_argument("--data", type=Path, required=True)

    pin = commands.add_parser("pin", help="set the PIN with which a person signs in at phones")
    pin.add_argument("person")
    pin.add_argument("--site", type=Path, required=True)
    pin.add_argument("--data", type=Path, required=True)

    key = commands.add_parser("key", help="make a key for a program, such as the office's web site")
    key.add_argument("name", help="who it is for; an older key of that name ends")
    key.add_argument("--remove", action="store_true", help="end the key instead")
    key.add_argument("--data", type=Path, required=True)

    secrets = commands.add_parser("secrets", help="show the SIP passwords of the phones")
    secrets.add_argument("--site", type=Path, required=True)
    secrets.add_argument("--data", type=Path, required=True)

    prompt = commands.add_parser("prompt", help="take a recorded prompt (any WAV) into use")
    prompt.add_argument("file", type=Path)
    prompt.add_argument("--name", help="its name in the site document (default: the file's)")
    prompt.add_argument("--data", type=Path, required=True)

    options = parser.parse_args(argv)
    logging.basicConfig(
        level=os.environ.get("CENTRALA_LOG", "WARNING").upper(),
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    handler = globals()[f"_{options.command}"]
    from appliance.ledger.errors import LedgerError
    from appliance.site.secrets import SecretsError

    try:
        return int(handler(options) or 0)
    except (OSError, RuntimeError, LedgerError, SecretsError) as error:
        print(f"centrala: {error}", file=sys.stderr)
        return 1


def _check(options: argparse.Namespace) -> int:
    from appliance.ivr.linter import lint
    from appliance.site import shown
    from appliance.site.check import check

    code, lines = check(options.file, lint, shown.lint)
    print("\n".join(lines))
    return code


def _rehearse(options: argparse.Namespace) -> int:
    from appliance.rehearsal.crowd import Habits
    from appliance.rehearsal.report import comparison, lines, rehearse, what_if

    if not (0 < options.calls <= 5000 and 1 <= options.talk <= 7200 and options.patience > 0):
        print("Up to 5000 calls, talks of 1 to 7200 s, a patience above 0.", file=sys.stderr)
        return 2
    if options.site is None:
        from appliance.demo import document

        site = document("/dev")
    else:
        site = _load(options.site)
    if not site.queues or not site.lines:
        print("A rehearsal needs a line and a queue in the site document.", file=sys.stderr)
        return 1
    day = options.day or date.today()
    habits = Habits(calls=options.calls, talk_s=options.talk, patience_s=options.patience)
    started = time.process_time()
    for line in lines(rehearse(site, habits, options.seed, day), day):
        print(line)
    print()
    for line in comparison(list(what_if(site, habits, options.seed, day))):
        print(line)
    print(f"\nComputed in {time.process_time() - started:.1f} s.")
    return 0


def _load(path: Path) -> Site:
    from appliance.site.load import load
    from appliance.site.problems import SiteError

    try:
        return load(path)
    except SiteError as error:
        print(f"{path} cannot be used:", file=sys.stderr)
        for problem in error.problems:
            print(f"  {problem}", file=sys.stderr)
        raise SystemExit(1) from None


def _run(options: argparse.Namespace) -> int:
    from appliance.app import Office, Places

    demo = options.site is None
    data = options.data or _default_data("centrala-demo" if demo else "centrala")
    places = Places(data.resolve())
    places.make()
    if demo:
        from appliance.demo import prepare

        site_path = prepare(places)
    else:
        site_path = options.site.resolve()
    site = _load(site_path)
    office = Office(
        site, site_path, places, simulate=demo, practice=demo and not options.no_practice
    )

    async def serve() -> None:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(office.run())
            tasks.create_task(_greet(office, demo))
            await running

    return _serve(serve())


async def _greet(office: Any, demo: bool) -> None:
    await office.wait_ready()
    web = office.site.web
    print(f"Centrala is ready: http://localhost:{web.http_port}", flush=True)
    if demo:
        print("This is a demo office; its page shows who can sign in.", flush=True)
    else:
        print(f"On the LAN: https://<this machine>:{web.https_port}", flush=True)


def _control(options: argparse.Namespace) -> int:
    from appliance.app import Places, media_processes
    from appliance.switch.run import Control

    places = Places(options.data.resolve())
    places.make()
    site = _load(options.site)
    control = Control(
        site,
        places.data,
        media_sockets=[
            places.media_socket(n) for n in range(options.media or media_processes(site))
        ],
        control_socket=places.control,
        document=options.site.resolve(),
    )
    return _serve(control.run(), fast=True)


def _media(options: argparse.Namespace) -> int:
    # Before numpy is there: threads of its own would only get in the way of the ticks.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from appliance.app import Places, media_modules
    from appliance.media.keeper import Keeper
    from appliance.media.process import main as media_main

    places = Places(options.data.resolve())
    places.make()
    _follow_parent()
    socket = places.media_socket(options.process)
    modules = media_modules(_load(options.site), options.process)
    Keeper(modules, lambda: media_main(socket, places.data)).run()
    return 0


def _finish(options: argparse.Namespace) -> int:
    """Paths of recordings, relative to the data directory, come line by line; each is answered by
    itself, a tab, and `done`, `busy` or `failed`."""
    from appliance.media.finish import Busy, Unfinished, be_idle, finish

    _follow_parent()
    be_idle()
    log = logging.getLogger("centrala.finish")
    data = options.data.resolve()
    for line in sys.stdin:
        name = line.rstrip("\n")
        result = "done"
        try:
            finish(data / name, options.format)
        except Busy:
            result = "busy"
        except (Unfinished, OSError) as error:
            result = "failed"
            log.error("recording %s stays as it is: %s", name, error)
        print(f"{name}\t{result}", flush=True)
    return 0


def _web(options: argparse.Namespace) -> int:
    from appliance.app import Places
    from appliance.web.main import run

    places = Places(options.data.resolve())
    places.make()
    return _serve(run(_load(options.site), places.data, places.control), fast=True)


def _simulate(options: argparse.Namespace) -> int:
    from appliance.simulator.serve import serve

    return _serve(serve(options.dir, options.lines, options.practice, options.country))


def _password(options: argparse.Namespace) -> int:
    return _set(options, "password")


def _pin(options: argparse.Namespace) -> int:
    return _set(options, "PIN")


def _set(options: argparse.Namespace, what: str) -> int:
    """Ask for a password or a PIN, or take it from the first line of the input."""
    from appliance.site.secrets import Secrets

    site = _load(options.site)
    if options.person not in site.people:
        print(f"There is no person {options.person!r} in {options.site}.", file=sys.stderr)
        return 1
    if sys.stdin.isatty():
        text = getpass.getpass(f"New {what}: ")
        if text != getpass.getpass("Once more: "):
            print("The two are not the same.", file=sys.stderr)
            return 1
    else:
        text = sys.stdin.readline().rstrip("\n")
    secrets = Secrets.load(options.data / "secrets.toml")
    try:
        (secrets.set_pin if what == "PIN" else secrets.set_password)(options.person, text)
        secrets.save()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _key(options: argparse.Namespace) -> int:
    from appliance.site.secrets import Secrets

    secrets = Secrets.load(options.data / "secrets.toml")
    try:
        if options.remove:
            if not secrets.drop_key(options.name):
                print(f"There is no key {options.name!r}.", file=sys.stderr)
                return 1
        else:
            print(secrets.make_key(options.name))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    secrets.save()
    return 0


def _prompt(options: argparse.Namespace) -> int:
    import re
    import shutil

    from appliance.media.prompts import PromptStore

    name = options.name or options.file.name
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,80}\.wav", name):
        print("The name has letters, digits, . _ - and ends in .wav; use --name.", file=sys.stderr)
        return 1
    try:
        asyncio.run(PromptStore(options.data.resolve()).check_upload(options.file.resolve()))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    folder = options.data / "prompts"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{name}.part"
    shutil.copyfile(options.file, part)
    part.rename(folder / name)
    print(f'In the site document: {{ file = "{name}" }}. It is heard after the next start.')
    return 0


def _secrets(options: argparse.Namespace) -> int:
    from appliance.site.secrets import Secrets

    site = _load(options.site)
    secrets = Secrets.load(options.data / "secrets.toml")
    if secrets.ensure(site):
        secrets.save()
    for extension, phone in site.phones.items():
        print(f"{extension}\t{secrets.phone(extension)}\t{phone.name}")
    return 0


def _default_data(name: str) -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / name


def _follow_parent() -> None:
    """Ask the kernel to end this process when the one that started it dies."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM, 0, 0, 0)


def _serve(main_task: Coroutine[Any, Any, None], *, fast: bool = False) -> int:
    """Run until SIGTERM or SIGINT, then let the task stop in order."""
    _follow_parent()

    async def until_stopped() -> None:
        task = asyncio.ensure_future(main_task)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    if fast:
        import uvloop

        uvloop.run(until_stopped())
    else:
        asyncio.run(until_stopped())
    return 0


if __name__ == "__main__":
    sys.exit(main())
