"""Validation errors of the model, as sentences for the owner of the document."""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from appliance.site import model
from appliance.site.problems import InconsistentSite, Problem, key, short

# Pattern of the model -> what it wants, in words.
_PATTERNS: Final = {
    model.ID_PATTERN: "use small letters, digits, - and _ (at most 32), for example sales_2",
    model.EXTENSION_PATTERN: 'an extension has 2 to 6 digits between quotes: "201"',
    model.DIGITS_PATTERN: 'a key of a menu is 1 to 4 of 0-9 * #, between quotes: "1"',
    model.NUMBER_PATTERN: 'a number has up to 20 digits, + in front if need be: "+40215550100"',
    model.SHOWN_PATTERN: 'a number has up to 20 digits, + in front if need be, or "withheld"',
    model.WAV_PATTERN: 'name a WAV file of the folder prompts/, for example "welcome.wav"',
    model.VARIABLE_PATTERN: "use small letters, digits and _ (at most 32), for example order_2",
    model.URL_PATTERN: 'write the whole address: "http://192.168.1.10/lookup"',
    model.PREFIX_PATTERN: 'write up to two digits between quotes: "0", or "" for none',
    model.DIAL_PATTERN: 'digits and X, Z, N, with a dot at the end for the rest: "00X."',
    model.AREA_PATTERN: 'write the area code in digits without its leading zero: "21"',
    model.ABROAD_PATTERN: 'write + and the country code: "+49"',
    model.CODE_PATTERN: 'a code begins with * or #: "*80"',
    model.HOST_PATTERN: "write a host name or an address, without sip: or a port",
    model.USER_PATTERN: "write the user name alone, without spaces, quotes, @ or a host",
    model.LABEL_PATTERN: "it contains control characters; write it on one line",
    model.TEXT_PATTERN: "it contains control characters; write plain text",
    model.DEVICE_PATTERN: "write the device's path, for example /dev/serial/by-id/usb-...",
}
MAX_PROBLEMS: Final = 100
_SECRET_WORDS: Final = ("pass", "secret", "pin", "token", "credential")


def explain(error: ValidationError) -> list[Problem]:
    """One problem for each error, paths as the owner would write them."""
    found: list[Problem] = []
    for detail in error.errors(include_url=False):
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, InconsistentSite):
            found.extend(cause.problems)
        else:
            found.append(Problem(_path(detail["loc"]), _message(detail)))
    if len(found) > MAX_PROBLEMS:
        rest = len(found) - MAX_PROBLEMS
        found[MAX_PROBLEMS:] = [Problem("", f"and {rest} more problems")]
    return found


def _path(loc: tuple[int | str, ...]) -> str:
    """`("queues", "sales", "agents", 1)` -> `queues.sales.agents[1]`."""
    path = ""
    for part, _ in _walk(loc):
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{key(part)}" if path else key(part)
    return path


def _walk(loc: tuple[int | str, ...]) -> list[tuple[int | str, Any]]:
    """The parts of a location that stand in the document, each with the type of what is there
    (None where the model knows nothing of it). Drops the marks that pydantic puts in between: the
    chosen kind of a line, and that it is a key which is wrong."""
    steps: list[tuple[int | str, Any]] = []
    here: Any = model.Site
    for part in loc:
        if part == "[key]":
            continue
        kinds = _kinds(here)
        if kinds:
            here = kinds.get(str(part))
            continue
        here = _inside(here, part)
        steps.append((part, here))
    return steps


def _kinds_at(loc: tuple[int | str, ...]) -> list[str]:
    """The kinds of table that could stand at this place."""
    steps = _walk(loc)
    return list(_kinds(steps[-1][1])) if steps else []


def _bare(annotation: Any) -> Any:
    """Without `Annotated` and `| None`."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
            continue
        if get_origin(annotation) in (Union, types.UnionType):
            options = [each for each in get_args(annotation) if each is not type(None)]
            if len(options) == 1:
                annotation = options[0]
                continue
        return annotation


def _kinds(annotation: Any) -> dict[str, Any]:
    """The tables that a `kind` chooses between."""
    annotation = _bare(annotation)
    if get_origin(annotation) not in (Union, types.UnionType):
        return {}
    options = [each for each in get_args(annotation) if _is_table(each)]
    return {each.model_fields["kind"].default: each for each in options}


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _inside(annotation: Any, part: int | str) -> Any:
    annotation = _bare(annotation)
    if _is_table(annotation):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field else None
    arguments = get_args(annotation)
    match get_origin(annotation):
        case origin if origin is dict:
            return arguments[1]
        case origin if origin is tuple:
            if arguments[-1] is Ellipsis or not isinstance(part, int):
                return arguments[0]
            return arguments[part] if part < len(arguments) else None
    return None


def _message(detail: ErrorDetails) -> str:
    context: Mapping[str, Any] = detail.get("ctx", {})
    given = detail.get("input")
    match detail["type"]:
        case "missing":
            return "is missing" + _wanted(detail["loc"])
        case "extra_forbidden":
            return _unknown_key(detail["loc"])
        case "string_pattern_mismatch":
            wanted = _PATTERNS.get(context["pattern"], "it does not have the right form")
            return f"{_show(given)} will not do; {wanted}"
        case "string_too_short":
            return "is empty; write something or leave the key out"
        case "string_too_long":
            return f"is longer than {context['max_length']} characters; shorten it"
        case "literal_error":
            return _choice(given, context["expected"])
        case "union_tag_not_found":
            kinds = " or ".join(f'kind = "{kind}"' for kind in _kinds_at(detail["loc"]))
            return f"say which kind it is: {kinds}"
        case "union_tag_invalid":
            kinds = " or ".join(f'"{kind}"' for kind in _kinds_at(detail["loc"]))
            return f"kind {_show(context['tag'])} is not known; write {kinds}"
        case "greater_than_equal":
            return f"{_show(given)} is too small; the least is {context['ge']}"
        case "less_than_equal":
            return f"{_show(given)} is too large; the most is {context['le']}"
        case "string_type":
            return f"{_show(given)} has to be text between quotes" + _quoted(given)
        case "int_type" | "int_parsing" | "int_from_float":
            return f"{_show(given)} has to be a whole number, without quotes"
        case "float_type" | "float_parsing":
            return f"{_show(given)} has to be a number, without quotes"
        case "bool_type" | "bool_parsing":
            return f"{_show(given)} has to be true or false, without quotes"
        case "tuple_type":
            return f"{_show(given)} has to be a list in brackets: [...]"
        case "too_long" | "too_short":
            return "has to be a list of two ports, first and last: [16000, 16999]"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"{_show(given)} stands where a table is expected, for example {_table(detail)}"
        case "value_error":
            return str(context["error"])
        case kind if kind.startswith("date"):
            return f"{_show(given)} is not a date; write it without quotes: 2026-12-25"
    return detail["msg"][:1].lower() + detail["msg"][1:]


def _table(detail: ErrorDetails) -> str:
    path = _path(detail["loc"])
    name = "" if len(detail["loc"]) > 1 or path in _single_tables() else ".name"
    return f"[{path}{name}]"


def _single_tables() -> set[str]:
    return {name for name, field in model.Site.model_fields.items() if _is_table(field.annotation)}


def _wanted(loc: tuple[int | str, ...]) -> str:
    example = _EXAMPLES.get(str(loc[-1]))
    return f"; write for example {loc[-1]} = {example}" if example else ""


_EXAMPLES: Final = {
    "name": '"Sales"',
    "route": '"menu:main"',
    "lines": '["trunk1"]',
    "number": '"+40215550100"',
    "device": '"/dev/serial/by-id/usb-..."',
    "host": '"sip.example.com"',
    "default": '"queue:sales"',
    "go": '"queue:sales"',
    "prompt": '{ text = "Welcome. For sales press one." }',
    "keys": '{ 1 = { go = "queue:sales" } }',
}


def _unknown_key(loc: tuple[int | str, ...]) -> str:
    name = str(loc[-1])
    if any(word in name.lower() for word in _SECRET_WORDS):
        return (
            "no secrets stand in this document; passwords of people, phones and trunks are kept in"
            " secrets.toml of the data directory"
        )
    steps = _walk(loc)
    table: Any = model.Site
    if len(steps) > 1:
        table = _bare(steps[-2][1])
        kinds = _kinds(table)
        if kinds:
            table = next((kinds[str(part)] for part in loc if str(part) in kinds), None)
    known = list(table.model_fields) if _is_table(table) else []
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f'this key is not known; did you mean "{close[0]}"?'
    return "this key is not known" + (f"; known are {', '.join(known)}" if known else "")


def _choice(given: object, expected: str) -> str:
    options = [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]
    close = difflib.get_close_matches(str(given), options, n=1, cutoff=0.6)
    listed = ", ".join(f'"{option}"' for option in options)
    hint = f'; did you mean "{close[0]}"?' if close else ""
    return f"{_show(given)} is not one of {listed}{hint}"


def _quoted(given: object) -> str:
    return f': "{given}"' if isinstance(given, int) and not isinstance(given, bool) else ""


def _show(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{short(value)}"'
        case Mapping():
            return "a table"
        case list() | tuple():
            return "a list"
    return short(str(value))
