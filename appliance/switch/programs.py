"""Asks the office's own programs over HTTP for callers: bounded in time, size and number."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import urllib.request
from collections.abc import Mapping
from typing import Final
from urllib.error import URLError

from appliance.site.model import VARIABLE_PATTERN

log = logging.getLogger("centrala.switch")

MOST_BYTES: Final = 64 * 1024
AT_ONCE: Final = 8


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A program answers by itself; what callers said is not carried elsewhere."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())


class Programs:
    """At most `AT_ONCE` questions are under way; others wait within their own time."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)

    async def ask(
        self, url: str, body: Mapping[str, str | None], timeout_s: float
    ) -> dict[str, str] | None:
        """The named values of the answer, None when there is none that can be used."""
        try:
            async with asyncio.timeout(timeout_s), self._free:
                raw = await asyncio.to_thread(_post, url, json.dumps(body).encode(), timeout_s)
            return values_of(raw)
        except TimeoutError:
            reason = f"no answer within {timeout_s:g} s"
        except (OSError, URLError, ValueError) as error:
            reason = str(getattr(error, "reason", "") or error)
        log.warning("the program at %s cannot be used: %s", url.partition("?")[0], reason)
        return None


def _post(url: str, body: bytes, timeout_s: float) -> bytes:
    request = urllib.request.Request(
        url, body, {"Content-Type": "application/json", "Accept": "application/json"}
    )
    with _opener.open(request, timeout=timeout_s) as answer:
        raw: bytes = answer.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise ValueError("the answer is too long")
    return raw


def values_of(raw: bytes) -> dict[str, str]:
    """Texts, numbers and truths of a JSON object under names that can be used; the rest is left
    out. Raises ValueError for anything else."""
    try:
        found = json.loads(raw)
    except RecursionError:
        raise ValueError("the answer nests too deep") from None
    if not isinstance(found, dict):
        raise ValueError("the answer is no JSON object")
    values: dict[str, str] = {}
    for name, value in found.items():
        if not re.fullmatch(VARIABLE_PATTERN, name):
            continue
        if isinstance(value, bool):
            values[name] = "true" if value else "false"
        elif isinstance(value, str) or (isinstance(value, int | float) and math.isfinite(value)):
            values[name] = str(value)
    return values
