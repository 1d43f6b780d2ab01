"""What changed between two live states, as small as it can be said, and how to apply it. Pure.

A live state is an object whose tables are lists of rows with a key. A difference has `set` (top
level values that are new), and for each table that changed `rows` (of new rows all values, of
others the key and the changed values) and `order` (the keys in order, where rows came, went or
moved; rows that are not in it are gone). Applied to the state it was made from it gives exactly the
other state.
"""

from __future__ import annotations

from typing import Any, Final

KEYS: Final = {
    "agents": "id",
    "queues": "id",
    "waiting": "entry",
    "calls": "call",
    "lines": "id",
    "phones": "extension",
    "parked": "orbit",
    "callbacks": "callback",
    "campaigns": "id",
    "alarms": "id",
}
"""The tables of a live state and what names their rows."""

State = dict[str, Any]


def diff(old: State, new: State) -> State:
    """The difference; empty when nothing changed."""
    found: State = {}
    plain = {
        name: value
        for name, value in new.items()
        if name not in KEYS and (name not in old or old[name] != value)
    }
    if plain:
        found["set"] = plain
    tables = {}
    for name, key in KEYS.items():
        table = _table(old.get(name, []), new.get(name, []), key)
        if table:
            tables[name] = table
    if tables:
        found["tables"] = tables
    return found


def _table(old: list[State], new: list[State], key: str) -> State:
    before = {row[key]: row for row in old}
    rows = []
    for row in new:
        known = before.get(row[key])
        if known is None:
            rows.append(row)
        elif known != row:
            changed = {name: value for name, value in row.items() if known.get(name) != value}
            rows.append({key: row[key], **changed})
    table: State = {}
    if rows:
        table["rows"] = rows
    order = [row[key] for row in new]
    if order != [row[key] for row in old]:
        table["order"] = order
    return table


def apply(old: State, change: State) -> State:
    """The state after the difference; `old` is left as it was."""
    new = {**old, **change.get("set", {})}
    for name, table in change.get("tables", {}).items():
        key = KEYS[name]
        rows = {row[key]: row for row in old.get(name, [])}
        for row in table.get("rows", []):
            rows[row[key]] = {**rows.get(row[key], {}), **row}
        order = table.get("order")
        new[name] = list(rows.values()) if order is None else [rows[one] for one in order]
    return new
