"""How long recordings are kept.

Recordings lie in one folder a day, `recordings/2026-11-22`. A day goes as a whole when it is older
than the site document's `keep_days`; the facts about its calls stay.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo


def expired_days(names: Iterable[str], today: date, keep_days: int) -> list[str]:
    """The day folders among `names` that are older than `keep_days` days, oldest first. Names that
    are no day are somebody else's and stay."""
    last_kept = today - timedelta(days=keep_days)
    days = []
    for name in names:
        try:
            day = date.fromisoformat(name)
        except ValueError:
            continue
        if day.isoformat() == name and day < last_kept:
            days.append(name)
    return sorted(days)


def kept_since(now: int, zone: ZoneInfo, keep_days: int) -> int:
    """The first moment, in UTC ms, of the oldest day that is kept."""
    today = datetime.fromtimestamp(now / 1000, zone)
    first = datetime.combine(today.date() - timedelta(days=keep_days), time(), zone)
    return int(first.timestamp() * 1000)


def delete_expired(folder: Path, today: date, keep_days: int) -> list[str]:
    """Delete what has expired under `folder`; returns the days. Blocking. Raises OSError."""
    if not folder.is_dir():
        return []
    names = [entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink()]
    gone = expired_days(names, today, keep_days)
    for name in gone:
        shutil.rmtree(folder / name)
    return gone
