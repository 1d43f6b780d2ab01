"""From what is to be said to files that the media process can play.

Speaking takes tens of milliseconds the first time and nothing after, since every sentence is kept.
A prompt that was replaced or hushed while it was being prepared is never played.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.ivr import linter, phrases
from appliance.ivr.actions import Recorded
from appliance.ivr.values import places
from appliance.media import protocol as p
from appliance.media.prompts import PromptStore
from appliance.recordings import finished, heard
from appliance.site.model import Language, Prompt, Site
from appliance.switch.actions import Speak

log = logging.getLogger("centrala.switch")

MOST_KNOWN = 5000
POSITIONS = 10
"""Places in the queue that are spoken ahead of time."""


class Sounds:
    """`send` takes media commands, `ended` the ends of prompts that never got to play."""

    def __init__(
        self,
        store: PromptStore,
        data: Path,
        tasks: asyncio.TaskGroup,
        send: Callable[[p.Command], None],
        ended: Callable[[p.PlayEnded], None],
    ) -> None:
        self._store = store
        self._data = data
        self._folder = data / "prompts"
        self._tasks = tasks
        self._send = send
        self._ended = ended
        self._known: dict[tuple[str, str], Path] = {}
        self._preparing: dict[int, int] = {}
        """Leg -> token of the prompt that is being prepared for it."""
        self._music = ""

    async def first(self, site: Site) -> None:
        """Prepare what the first caller may hear: menus, welcomes, the recording notice, music."""
        prompts = [one for _, prompt in linter.prompts(site) for one in _variants(prompt)]
        prompts.append(phrases.phrase("busy", site.office.language))
        self._music = str(await self._store.music())
        await self._prepare_all(prompts, site.office.language)
        for queue in site.queues.values():
            if queue.music is not None:
                await self._upload(queue.music)

    async def rest(self, site: Site) -> None:
        """Prepare what is heard later: the other sentences and the places in the queue."""
        language = site.office.language
        prompts = [phrases.phrase(name, language) for name in phrases.PHRASES]
        prompts.append(phrases.BEEP)
        prompts += [phrases.position(n, language) for n in range(1, POSITIONS + 1)]
        await self._prepare_all(prompts, language)

    async def _prepare_all(self, prompts: list[Prompt], language: Language) -> None:
        texts = [
            (prompt.text, prompt.language or language)
            for prompt in prompts
            if prompt.text is not None
        ]
        await self._store.warm(texts)
        for prompt in prompts:
            await self._file(prompt, language)

    def speak(self, action: Speak) -> None:
        """Play now if everything is at hand, else as soon as it is."""
        self._cancel(action.leg)
        files = [self._at_hand(prompt, action.language) for prompt in action.prompts]
        if all(file is not None for file in files):
            self._play(action, [file for file in files if file is not None])
            return
        self._preparing[action.leg] = action.token
        self._tasks.create_task(self._prepare(action))

    def hush(self, leg: int) -> None:
        self._cancel(leg)
        self._send(p.StopPlay(leg))

    def music(self, leg: int, file: str | None) -> None:
        """Music of the prompts folder, the built-in one for "", none for None."""
        if file is None:
            self._send(p.Music(leg, None))
            return
        known = self._known.get((file, "upload")) if file else None
        path = str(known) if known is not None else self._music
        if path:
            self._send(p.Music(leg, path))

    def forget(self, leg: int) -> None:
        """The leg is gone."""
        self._preparing.pop(leg, None)

    async def take(self, name: str, upload: Path) -> None:
        """Take an uploaded sound into use; calls that begin from now on hear it. What is kept is
        what callers will hear. Raises ValueError with a sentence, OSError."""
        try:
            heard = await self._store.check_upload(upload)
            await asyncio.to_thread(_keep, heard, self._folder / name)
        finally:
            upload.unlink(missing_ok=True)
        self._known.pop((name, "upload"), None)
        await self._upload(name)

    async def drop(self, name: str) -> None:
        """Forget a sound. Raises OSError when there is none."""
        await asyncio.to_thread((self._folder / name).unlink)
        self._known.pop((name, "upload"), None)

    def _cancel(self, leg: int) -> None:
        token = self._preparing.pop(leg, None)
        if token is not None:
            self._ended(p.PlayEnded(leg, token, "stopped"))

    def _play(self, action: Speak, files: list[Path]) -> None:
        self._send(p.Play(action.leg, action.token, tuple(str(file) for file in files)))

    def _at_hand(self, prompt: Prompt | Recorded, language: Language) -> Path | None:
        if isinstance(prompt, Recorded):
            return None
        if prompt.file is not None:
            return self._known.get((prompt.file, "upload"))
        path = self._known.get((prompt.text or "", prompt.language or language))
        return path if path is not None and path.exists() else None

    async def _prepare(self, action: Speak) -> None:
        files = [await self._file(prompt, action.language) for prompt in action.prompts]
        if self._preparing.get(action.leg) != action.token:
            return
        del self._preparing[action.leg]
        self._play(action, files)

    async def _file(self, prompt: Prompt | Recorded, language: Language) -> Path:
        if isinstance(prompt, Recorded):
            begun = self._data / prompt.path
            found = await asyncio.to_thread(finished, begun)
            return await self._store.recorded(found or begun, heard(begun))
        if prompt == phrases.BEEP and not (self._folder / (prompt.file or "")).exists():
            self._known[(prompt.file or "", "upload")] = self._store.beep()
        if prompt.file is not None:
            found = await self._upload(prompt.file)
            if found is not None:
                return found
        text = prompt.text or phrases.phrase("busy", language).text or ""
        spoken = prompt.language or language
        path = await self._store.path(text, spoken)
        if len(self._known) > MOST_KNOWN:
            # What callers' values made of sentences; the rest is found again on disk.
            self._known = {key: one for key, one in self._known.items() if key[1] == "upload"}
        self._known[(text, spoken)] = path
        return path

    async def _upload(self, name: str) -> Path | None:
        key = (name, "upload")
        if key not in self._known:
            try:
                self._known[key] = await self._store.check_upload(self._folder / name)
            except (OSError, ValueError) as error:
                log.error("prompt %s cannot be used: %s", name, error)
                return None
        return self._known[key]


def _keep(heard: Path, target: Path) -> None:
    """A copy under its final name, only when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with part.open("wb") as file:
        file.write(heard.read_bytes())
        file.flush()
        os.fsync(file.fileno())
    part.replace(target)


def _variants(prompt: Prompt) -> Iterator[Prompt]:
    """The prompt in each of its languages; without those whose values only a call brings."""
    languages = {*prompt.texts, *prompt.files}
    for one in [prompt.spoken(each) for each in languages] or [prompt]:
        if one.text is None or not places(one.text):
            yield one
